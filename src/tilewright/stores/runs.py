"""Blocks in a catalog as runs: one a session, all samples of a sensor in one array. `ready` puts a mapping in front of it.

    path ─▶ session, sensor, offset ─▶ rows of the run's array      `tracks`: what was written here, and what the catalog had

A block that is set goes to the run of its session, as from any other source of blocks (`tilewright.sources.blocks`), through a
journal: nothing waits for the server until something is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tilewright.audio import Pcm
from tilewright.clients import open_catalog
from tilewright.clients.filters import metadata_queries
from tilewright.clients.recordings.loading import describe, stream_rows
from tilewright.clients.spans import Span, fetch_spans
from tilewright.documents import path_segment
from tilewright.errors import InputError, NotFoundError, TransientError
from tilewright.sources.blocks.session_run import AUDIO, PLAN_NAME
from tilewright.sources.blocks.sessions import SENSOR, Block, Sessions
from tilewright.stores.base import Persister
from tilewright.stores.blocks import Blocks
from tilewright.stores.sources import block_named
from tilewright.stores.tracks import Place, Track
from tilewright.writer import TiledWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tilewright.clients.recordings.loading import Description
    from tilewright.clients.run import Run
    from tilewright.stores.blocks import Layout
    from tilewright.stores.keys import KeyMap
    from tilewright.stores.sources import Wanted
    from tilewright.stores.tracks import Stretch

PATIENCE = 60.0
"""Seconds that a reader waits for what was written here."""
_COLUMNS = ("position", "samples", "first")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Blocks of a sensor in a run, as `Track.rows`."""

    sensor: str
    session: int
    rows: NDArray[np.int64]


class RunBlocks(Persister):
    """Blocks that are runs in a catalog; a `BlockSource`, too.

    What others write is seen when `index` looks again. A block cannot be taken out of a run; one that is set again is there with its
    new samples, and the run has both.

    Parameters
    ----------
    catalog
        A directory, an address, a server or an opened catalog: what `tilewright.open_catalog` takes. What is opened for it is closed by
        `close`.
    keys
        With fields session, block, and maybe sensor; without, the sensor is "microphone".
    pcm
        What the bytes are.
    unit
        What a session's number counts: "s", "ms", "us" or "ns".
    name
        In the start documents of the runs: others are none of this store.
    """

    def __init__(self, catalog: Any, keys: KeyMap, layout: Layout, pcm: Pcm, *, unit: str, name: str) -> None:
        super().__init__()
        self._keys, self._layout, self._pcm, self._unit, self._name = keys, layout, pcm, unit, name
        self._opened = open_catalog(catalog)
        self._sessions = Sessions(pcm, unit=unit, sensors={}, about={"name": name})
        self._writer: TiledWriter | None = None
        self._runs: dict[str, int] = {}
        """Numbers of the runs that blocks are in, by their uid; in the order of the numbers."""
        self._tracks: dict[tuple[str, int], Track] | None = None
        """By sensor and session; None before the catalog was asked."""
        self._over: dict[str, list[_Rows]] = {}
        """Blocks of the runs that no more can come to, by their uid."""
        self._links: dict[int, str] = {}
        """Addresses of runs that were read from, by their number."""
        self._run_of: dict[str, int] = {}
        """Number of the run of each descriptor that was written."""
        self._is_under_way = False
        """Whether something was written that may not have arrived."""

    def __repr__(self) -> str:
        return f"<RunBlocks {self._name!r} in {self._opened.uri}>"

    def __delitem__(self, path: str) -> NoReturn:
        if path not in self:
            raise KeyError(path)
        raise InputError(
            f"{path!r} cannot be deleted: it is a block of a run, and a run has all that was recorded. The run as a whole can be, "
            "with Tiled's client."
        )

    def close(self) -> None:
        """Stop the runs that were written here, wait until they are in the catalog, and close that. Can be repeated."""
        try:
            if self._writer is not None:
                for document in self._sessions.stop():
                    self._writer(*document)
                    self._is_under_way = True
                self._arrive()
        finally:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._opened.close()

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the bytes of its block, in the order of the paths."""
        found = []
        for (sensor, session), track in self._known().items():
            offsets, lengths = track.settled()[:2].tolist()
            found += [
                (self._path(sensor, session, offset), length)
                for offset, length in zip(offsets, lengths, strict=True)
            ]
        yield from sorted(found)

    def __len__(self) -> int:
        return sum(track.settled().shape[1] for track in self._known().values())

    def index(self) -> dict[str, Blocks]:
        """Look at the catalog, and return the blocks of each sensor: see `BlockSource.index`."""
        self._arrive()
        self._look()
        sensors: dict[str, list[NDArray[np.int64]]] = {}
        for (sensor, session), track in self._known().items():
            rows = track.settled()[:2]
            sensors.setdefault(sensor, []).append(
                np.concatenate([np.full((1, rows.shape[1]), session), rows])
            )
        return {
            sensor: Blocks(self._layout, *np.concatenate(parts, axis=1))
            for sensor, parts in sorted(sensors.items())
        }

    def read(self, wanted: Sequence[Wanted]) -> None:
        """Put the frames that are wanted where they go, with one request a run: see `BlockSource.read`."""
        self._arrive()
        spans: dict[int, list[tuple[Span, NDArray[Any]]]] = {}
        for one in wanted:
            for part in self._stretches(one):
                room = one.out[part.start - one.start : part.stop - one.start]
                span = self._span(one.sensor, part.first, len(room))
                spans.setdefault(part.run, []).append((span, room))
        for run, pairs in spans.items():
            for (_, room), samples in zip(
                pairs, self._fetched(run, [span for span, _ in pairs]), strict=True
            ):
                room[...] = samples

    def _stretches(self, one: Wanted) -> list[Stretch]:
        try:
            track = self._known()[one.sensor, one.session]
            return list(track.stretches(one.blocks[0], self._pcm.frame_bytes, one.start, one.stop))
        except KeyError as error:
            raise NotFoundError(
                f"A block of session {one.session} is not there any longer: look again with refresh()."
            ) from error

    def _read(self, path: str) -> bytes:
        place = self._find(path)
        if place is None:
            raise KeyError(path)
        self._arrive()
        span = self._span(self._named(path)[0], place.first, place.length // self._pcm.frame_bytes)
        (samples,) = self._fetched(place.run, [span])
        return self._pcm.encode(samples)

    def _has(self, path: str) -> bool:
        return self._keys.fits(path) and self._find(path) is not None

    def _remove(self, path: str) -> NoReturn:
        del self[path]
        raise AssertionError("it does not come here")

    def _write(self, path: str, value: Any) -> None:
        sensor, session, offset = self._named(path)
        if not value:
            raise InputError(f"{path!r} has no samples: a run has no place for a block without.")
        track = self._known().setdefault((sensor, session), Track())
        if self._writer is None:
            # A session that is over holds up no other.
            self._writer = TiledWriter(self._opened, on_stop="return")
        for name, document in self._sessions.take(Block(session, offset, value, sensor or SENSOR)):
            self._writer(name, document)
            self._is_under_way = True
            if name == "descriptor":
                self._run_of[document["uid"]] = self._number(document["run_start"])
            elif name == "event" and (samples := document["data"]["samples"]):
                run, length = self._run_of[document["descriptor"]], samples * self._pcm.frame_bytes
                track.written[offset] = Place(length, document["data"]["first"], run)

    def _known(self) -> dict[tuple[str, int], Track]:
        if self._tracks is None:
            self._look()
        assert self._tracks is not None, "as `_look` leaves it"
        return self._tracks

    def _arrive(self) -> None:
        """Wait until the catalog has what was written here."""
        if self._is_under_way and self._writer is not None and not self._writer.flush(PATIENCE):
            raise TransientError(
                f"What was stored has not arrived at {self._opened.uri} within {PATIENCE:.0f} s; it is kept, and will be delivered: "
                f"{self._writer.status()}"
            )
        self._is_under_way = False

    def _look(self) -> None:
        """Ask the catalog which blocks it has; of runs that are over, once."""
        found = self._opened
        for query in metadata_queries({"plan_name": PLAN_NAME, "name": self._name}):
            found = found.search(query)
        seen: dict[str, list[_Rows]] = {}
        for run in found.values():
            uid = str(run.metadata["start"]["uid"])
            seen[uid] = self._over[uid] if uid in self._over else self._rows_of(run, uid)
        self._tracks = {}
        for rows in seen.values():
            for one in rows:
                self._tracks.setdefault((one.sensor, one.session), Track()).add(one.rows)

    def _rows_of(self, run: Run, uid: str) -> list[_Rows]:
        """Return the blocks of a run.

        Raises
        ------
        InputError
            If they are none that this store could have written.
        """
        described = describe(run)
        start, number = described.start, self._number(uid)
        session, rest = divmod(int(start["anchor"]), self._layout.unit)
        if rest:
            raise InputError(
                f"Run {uid[:8]} of {self._name!r} began at {start['anchor']} ns, which is no whole number of {self._unit}: take another unit."
            )
        made = []
        for name in described.units:
            self._check(uid, name, described)
            table = stream_rows(described.streams[name], _COLUMNS)
            position, samples, first = (table[column].to_numpy() for column in _COLUMNS)
            is_there = samples > 0
            size = self._pcm.frame_bytes
            rows = [position * size, samples * size, first, np.full(len(first), number)]
            told = str(described.streams[name].data_keys[AUDIO]["object_name"])
            sensor = told if "sensor" in self._keys.names else ""
            made.append(_Rows(sensor, session, np.stack(rows)[:, is_there]))
        if described.is_over:
            self._over[uid] = made
        return made

    def _check(self, uid: str, sensor: str, described: Description) -> None:
        (settings,) = (one["data"] for one in described.streams[sensor].metadata["configuration"].values())
        pcm = Pcm(settings["rate"], settings["bits"], settings["channels"])
        if pcm != self._pcm:
            raise InputError(f"Sensor {sensor} of run {uid[:8]} has {pcm}, and the store is of {self._pcm}.")
        if "sensor" not in self._keys.names and sensor != SENSOR:
            raise InputError(
                f"Run {uid[:8]} has a sensor {sensor}, and the template {self._keys.template!r} no field for it: put {{sensor}} there."
            )

    def _number(self, uid: str) -> int:
        return self._runs.setdefault(uid, len(self._runs))

    def _named(self, path: str) -> tuple[str, int, int]:
        return block_named(self._keys, path)

    def _path(self, sensor: str, session: int, offset: int) -> str:
        return self._keys.template.format(sensor=sensor, session=session, block=offset)

    def _find(self, path: str) -> Place | None:
        sensor, session, offset = self._named(path)
        track = self._known().get((sensor, session))
        return None if track is None else track.find(offset)

    def _span(self, sensor: str, first: int, frames: int) -> Span:
        row = self._pcm.raw.shape(frames)[1:]
        return Span((path_segment(sensor or SENSOR), AUDIO), first, first + frames, self._pcm.dtype, row)

    def _fetched(self, number: int, spans: Sequence[Span]) -> list[NDArray[Any]]:
        """Return samples of a run's arrays, with one request."""
        uid = list(self._runs)[number]
        try:
            if number not in self._links:
                self._links[number] = self._opened[uid].item["links"]["search"]
            return fetch_spans(self._opened.context, self._links[number], spans)
        except NotFoundError as error:
            raise NotFoundError(
                f"Run {uid[:8]} is not there any longer: look again with refresh(). {error}"
            ) from error
