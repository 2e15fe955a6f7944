"""Where the frames of blocks are: an index and wanted frames come in, the frames go out. `AudioStore` asks.

`BlockSource` is all that an `AudioStore` needs of a place to fetch by time. Here is the one over persisters, whose blocks are values of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tilewright.audio.pcm import RawPCM, unpack
from tilewright.errors import InputError, NotFoundError
from tilewright.stores.blocks import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tilewright.stores.base import Persister
    from tilewright.stores.blocks import Blocks, Layout
    from tilewright.stores.keys import KeyMap
    from tilewright.stores.sounds import FLACFile, WAVFile


@dataclass(frozen=True, slots=True)
class Wanted:
    """Frames of a session, in blocks that follow each other."""

    sensor: str
    """Empty where the layout has no sensors."""
    session: int
    blocks: NDArray[np.int64]
    """Offsets and lengths in bytes of the blocks that have them, shape (2, blocks)."""
    start: int
    """The first frame, counted from the session's beginning."""
    stop: int
    """The one after the last."""
    out: NDArray[Any]
    """Where they go: shape (frames,) or (frames, channels), of the layout's dtype, its memory in one piece."""


class BlockSource(Protocol):
    """A place that has blocks."""

    def index(self) -> dict[str, Blocks]:
        """Look at the place, and return the blocks of each sensor; of a place without sensors, those of ""."""

    def read(self, wanted: Sequence[Wanted]) -> None:
        """Put the frames that are wanted where they go.

        Raises
        ------
        NotFoundError
            A block is not there any longer.
        InputError
            A block is not what the index says.
        """


def block_named(keys: KeyMap, path: str) -> tuple[str, int, int]:
    """Return sensor, session and offset of the block at a path; "" for the sensor of a template without."""
    values = dict(zip(keys.names, keys.values(path), strict=True))
    return str(values.get("sensor", "")), int(values["session"]), int(values["block"])


class PersisterBlocks:
    """Blocks that are values of a persister.

    Lengths come from what the place says of its values in a listing. Of WAV and FLAC these are no lengths of samples: every
    value is read for them.

    Parameters
    ----------
    keys
        With fields session, block, and maybe sensor.
    value_map
        What the values are.
    """

    def __init__(
        self, persister: Persister, keys: KeyMap, value_map: RawPCM | WAVFile | FLACFile, layout: Layout
    ) -> None:
        self.persister, self.keys, self.value_map, self.layout = persister, keys, value_map, layout

    def index(self) -> dict[str, Blocks]:
        """Return the blocks of each sensor, by one listing."""
        return blocks_of(self.layout, self._found())

    def read(self, wanted: Sequence[Wanted]) -> None:
        """Put the frames that are wanted where they go: see `BlockSource.read`."""
        try:
            if not isinstance(self.value_map, RawPCM):
                self._decode(wanted)
            elif self.value_map.is_packed:
                self._read_packed(wanted)
            else:
                self.persister.read_into(
                    [part for one in wanted for part in self._parts(one, memoryview(one.out).cast("B"))]  # type: ignore[arg-type]
                )
        except KeyError as error:
            raise NotFoundError(
                f"The block {error.args[0]!r} is not there any longer: look again with refresh()."
            ) from error

    def _found(self) -> Iterator[tuple[str, int, int, int]]:
        places = [self.keys.names.index(name) for name in ("session", "block")]
        sensor = self.keys.names.index("sensor") if "sensor" in self.keys.names else None
        for path, size in self.persister.listing():
            try:
                values = self.keys.values(path)
                length = size if isinstance(self.value_map, RawPCM) else self._bytes_of(path)
            except KeyError:  # somebody else's, or removed meanwhile
                continue
            session, block = (int(values[place]) for place in places)
            yield "" if sensor is None else str(values[sensor]), session, block, length

    def _bytes_of(self, path: str) -> int:
        """Return how many bytes the samples of a block are, as raw PCM."""
        return len(self._samples(path)) * self.layout.pcm.frame_bytes

    def _samples(self, path: str) -> NDArray[Any]:
        try:
            return self.value_map.decode(self.persister[path])
        except InputError as error:
            raise InputError(f"Cannot read the block {path!r}. {error}") from error

    def _path(self, one: Wanted, block: int) -> str:
        return self.keys.template.format(session=one.session, sensor=one.sensor, block=block)

    def _parts(self, one: Wanted, room: memoryview) -> Iterator[tuple[str, int, memoryview]]:
        """Yield which bytes of which value go where in the memory of a span."""
        size = self.layout.pcm.frame_bytes
        place, stop, path = one.start * size, one.stop * size, self.keys.template.format
        begin = place
        for offset, length in zip(*one.blocks.tolist(), strict=True):
            last = min(stop, offset + length)
            if last > place:
                room_of_it = room[place - begin : last - begin]
                yield path(session=one.session, sensor=one.sensor, block=offset), place - offset, room_of_it
                place = last

    def _read_packed(self, wanted: Sequence[Wanted]) -> None:
        size = self.layout.pcm.frame_bytes
        rooms = [bytearray((one.stop - one.start) * size) for one in wanted]
        self.persister.read_into(
            [
                part
                for one, room in zip(wanted, rooms, strict=True)
                for part in self._parts(one, memoryview(room))
            ]
        )
        for one, room in zip(wanted, rooms, strict=True):
            unpack(room, one.out, self.value_map.bits)

    def _decode(self, wanted: Sequence[Wanted]) -> None:
        size = self.layout.pcm.frame_bytes
        for one in wanted:
            for offset, length in one.blocks.T.tolist():
                path, begins = self._path(one, offset), offset // size
                samples = self._samples(path)
                if len(samples) * size != length:
                    raise InputError(
                        f"The block {path!r} has {len(samples)} frames, and had {length // size}: look again with refresh()."
                    )
                first, last = max(one.start, begins), min(one.stop, begins + len(samples))
                one.out[first - one.start : last - one.start] = samples[first - begins : last - begins]
