"""Sound by time, from blocks in any place: two times come in, samples go out; and a mapping from keys to blocks beside it.

`ready` makes one for a dict, a folder or S3. Which frames are wanted is decided by `blocks` and by what decides it for recordings
(`clients.recordings.timeline` and `gaps`); a `BlockSource` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from tilewright.clients.recordings.gaps import Gaps, filling, without_holes
from tilewright.clients.recordings.moments import text, window
from tilewright.documents.notes import quoted
from tilewright.errors import InputError, NotFoundError
from tilewright.stores.blocks import Blocks
from tilewright.stores.sources import Wanted, block_named
from tilewright.stores.waveforms import Waveform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from numpy.typing import NDArray

    from tilewright.clients.recordings.timeline import Part
    from tilewright.stores.blocks import Layout
    from tilewright.stores.index_files import IndexFile
    from tilewright.stores.keys import KeyMap
    from tilewright.stores.sources import BlockSource

_SHOWN = 5
"""Gaps, or sensors, that a message names."""


class AudioStore(MutableMapping[Any, Any]):
    """Blocks of sound by their keys, and sound by time.

    ``store[session, block] = chunk`` takes raw PCM as bytes, or an array; ``store[session, block]`` gives an array. A block is named by
    its byte offset in the session: the bytes of raw PCM before it, whatever the blocks are stored as.

    What is fetched by time goes through an index, made by one listing when it is first needed, and kept up to date with what
    this store writes and deletes. What others write is seen after `refresh`. It can be used from several threads.

    Parameters
    ----------
    store
        The blocks by their keys.
    source
        Reads frames by time.
    key_map
        What is session, sensor and block in a key.
    layout
        How samples lie in sessions.
    index_file
        Where the index is kept; without, in memory only.
    """

    def __init__(
        self,
        store: MutableMapping[Any, Any],
        source: BlockSource,
        key_map: KeyMap,
        layout: Layout,
        index_file: IndexFile | None = None,
    ) -> None:
        self.store, self.source, self.key_map, self.layout = store, source, key_map, layout
        self._file = index_file
        self._sensors = None if index_file is None else index_file.load(layout)
        self._lock = RLock()

    def __repr__(self) -> str:
        return f"<AudioStore {self.key_map.template!r} in {self.store!r}>"

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return cast("NDArray[Any]", self.store[key])

    def __setitem__(self, key: Any, chunk: Any) -> None:
        size = self.layout.pcm.frame_bytes
        sensor, session, block = self._named(key)
        if block % size:
            raise InputError(
                f"Cannot store a block at {quoted(key)}: its offset is in bytes, and frames have {size} of them."
            )
        self.layout.check(session, block)
        is_raw = isinstance(chunk, (bytes, bytearray, memoryview))
        samples = self.layout.pcm.decode(bytes(chunk)) if is_raw else chunk
        with self._changing():
            self.store[key] = samples
        with self._lock:
            if self._sensors is not None:
                blocks = self._sensors.setdefault(sensor, Blocks(self.layout))
                blocks.put(session, block, len(samples) * size)

    def __delitem__(self, key: Any) -> None:
        with self._changing():
            del self.store[key]
        sensor, session, block = self._named(key)
        with self._lock:
            if self._sensors is not None and sensor in self._sensors:
                self._sensors[sensor].remove(session, block)

    def __contains__(self, key: object) -> bool:
        return key in self.store

    def __iter__(self) -> Iterator[Any]:
        return iter(self.store)

    def __len__(self) -> int:
        return len(self.store)

    def clear(self) -> None:
        """Remove all blocks, if that is allowed."""
        with self._changing():
            self.store.clear()
        with self._lock:
            self._sensors = None

    def fetch(
        self, t0: Any, t1: Any, sensor: str | None = None, *, gaps: Gaps = "mask", fill_value: float = 0
    ) -> Any:
        """Return the samples whose time t has t0 <= t < t1, exactly: those of each session, across blocks and sessions.

        Where nothing was recorded, the grid of what was before goes on; where sessions or blocks overlap, the earlier one counts to its
        end; as in a selection of recordings.

        Parameters
        ----------
        t0, t1
            Text with a zone, datetimes with a zone, numpy.datetime64 or pandas.Timestamps.
        sensor
            Its name; may be left out where there is one only.
        gaps
            "mask" puts zeros where nothing was recorded, and `Waveform.recorded` tells; "fill" puts `fill_value`; "raise" raises; and
            "segments" gives a list, a `Waveform` for each time without a break, of what overlaps both whole.

        Returns
        -------
        Waveform
            Or a list of them.

        Raises
        ------
        InputError
            A time without a zone, another `gaps`, a value that samples cannot be; a gap, with gaps="raise".
        NotFoundError
            No such sensor; a block that is not there any longer.
        """
        begin, end = window((t0, t1))
        if gaps not in get_args(Gaps):
            raise InputError(f"gaps={gaps!r}: expected one of {', '.join(get_args(Gaps))}.")
        with self._lock:
            name = self._one(sensor)
            blocks = self._index().get(name) or Blocks(self.layout)
            timeline, first = blocks.timeline(begin, end)
            if gaps == "segments":
                lines = timeline.segments(timeline.whole_between(begin, end))
            else:
                lines = [without_holes(timeline, begin, end)]
            if gaps == "raise":
                _refuse_gaps(name, lines[0])
            value = filling(gaps, fill_value, self.layout.pcm.dtype)
            made, wanted = [], []
            for parts in lines:
                out, more = self._room(name, blocks, parts, first, value)
                made.append(Waveform(out, self.layout.rate, name, tuple(parts), _recorded(parts, gaps)))
                wanted += more
        self.source.read(wanted)
        return made if gaps == "segments" else made[0]

    def sessions(self, t0: Any = None, t1: Any = None, sensor: str | None = None) -> NDArray[np.int64]:
        """Return the sessions that have a sample whose time t has t0 <= t < t1; without times, all. Sorted, shape (sessions,).

        Parameters
        ----------
        sensor
            Those of one; without, of all.
        """
        span = () if t0 is None and t1 is None else window((t0, t1))
        with self._lock:
            chosen = self._index() if sensor is None else {self._one(sensor): None}
            found = [self._index()[name].sessions(*span) for name in chosen]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def blocks(self, session: int, sensor: str | None = None) -> NDArray[np.int64]:
        """Return the byte offsets of a session's blocks, sorted, shape (blocks,); none if there is no such session."""
        with self._lock:
            found = self._index().get(self._one(sensor))
            return np.empty(0, np.int64) if found is None else found.offsets(session).copy()

    @property
    def sensors(self) -> list[str]:
        """Names of the sensors that have blocks, sorted; "" is that of a layout without sensors."""
        with self._lock:
            return sorted(self._index())

    def refresh(self) -> None:
        """Look at the place again, for what others have written or deleted."""
        with self._lock:
            self._sensors = self.source.index()
            if self._file is not None:
                self._file.save(self._sensors)

    def close(self) -> None:
        """Write the index file, if there is one, and close the place. Can be repeated."""
        with self._lock:
            if self._file is not None and self._sensors is not None:
                self._file.save(self._sensors)
        if hasattr(self.store, "close"):
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Have no index file while the place is changed, and none that somebody else made meanwhile."""
        self._discard_file()
        yield
        self._discard_file()

    def _discard_file(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.discard()

    def _index(self) -> dict[str, Blocks]:
        if self._sensors is None:
            self.refresh()
        assert self._sensors is not None, "refresh made it"
        return self._sensors

    def _named(self, key: Any) -> tuple[str, int, int]:
        """Return sensor, session and block of a key."""
        return block_named(self.key_map, self.key_map.path(key))

    def _one(self, sensor: str | None) -> str:
        """Return the name of the sensor that is meant."""
        there = self._index()
        if sensor is None and len(there) > 1:
            raise InputError(f"There are {len(there)} sensors, name one of them: {_some(there)}.")
        if sensor is None:
            return next(iter(there), "")
        if sensor not in there:
            raise NotFoundError(f"No sensor {quoted(sensor)} has blocks here. There are: {_some(there)}.")
        return sensor

    def _room(
        self, sensor: str, blocks: Blocks, parts: Sequence[Part], first: int, value: Any
    ) -> tuple[NDArray[Any], list[Wanted]]:
        """Return an array for parts, filled where nothing was recorded, and what is wanted to fill the rest."""
        pcm = self.layout.pcm
        out = np.empty(pcm.shape(sum(map(len, parts))), pcm.dtype)
        wanted, place = [], 0
        for part in parts:
            room = out[place : place + len(part)]
            place += len(part)
            if not part.is_recorded:
                room[:] = value
                continue
            size = pcm.frame_bytes
            session, found = blocks.of_run(first + part.piece.file, part.start * size, part.stop * size)
            wanted.append(Wanted(sensor, session, found, part.start, part.stop, room))
        return out, wanted


def _recorded(parts: Sequence[Part], gaps: Gaps) -> NDArray[np.bool_] | None:
    if gaps != "mask" or all(part.is_recorded for part in parts):
        return None
    return np.repeat([part.is_recorded for part in parts], [len(part) for part in parts])


def _refuse_gaps(sensor: str, parts: Sequence[Part]) -> None:
    holes = [f"from {text(part.begins)} to {text(part.ends)}" for part in parts if not part.is_recorded]
    if holes:
        more = f"; and {len(holes) - _SHOWN} more" if len(holes) > _SHOWN else ""
        raise InputError(
            f"{_who(sensor)} did not record all of that time: nothing {'; '.join(holes[:_SHOWN])}{more}."
        )


def _who(sensor: str) -> str:
    return f"Sensor {sensor}" if sensor else "The sensor"


def _some(names: Sequence[str] | dict[str, Any]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return (shown + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")) or "none"
