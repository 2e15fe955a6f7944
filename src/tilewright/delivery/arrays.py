"""An array in the events of a stream, on the server: brought to match the plan; called by the run's delivery.

Its rows are those of the stream's table; or, if it is joined, those of all values of its events. It lies in chunks of 1 to 4 MB, whatever the size of an event; the last one is
written again as long as rows come to it. To write a row again changes nothing, so that a request may be repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tilewright.delivery.failures import ConflictError, FateUnknownError, NotThereError
from tilewright.delivery.nodes import MAX_REQUEST_BYTES, Mismatch
from tilewright.delivery.steps import Create, Extend, Measure, Write
from tilewright.errors import FinalError
from tilewright.formats.layout import Layout, dtype_of
from tilewright.tables import IN_TABLE, ArrayType, Hints, Ragged, SchemaTooNarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from tilewright.delivery.remote import Node, Path, Remote
    from tilewright.delivery.steps import Bundle
    from tilewright.tables import ArrayColumn, Block, Schema

ZARR = "application/x-zarr"
RAGGED = "application/x-ragged+sql"
CHUNK_BYTES = 2 << 20
"""About the size of a chunk."""
MOST_CHUNK_BYTES = 4 << 20
"""A larger row is several chunks."""
MOST_FAILURES = 5
"""How often a server may fail to make an array before it is taken for unable: a stock one has no other word for it."""


@dataclass(slots=True)
class StoredArray:
    """One array. `rows` is how many of its rows the server is known to have; None if it has to be asked."""

    path: Path
    key: Any
    type: ArrayType
    layout: Layout
    metadata: dict[str, Any]
    rows: int | None = 0
    is_there: bool = False
    """Whether the node is there, and can hold the rows."""
    failures: int = 0
    """How often the server failed when it was to make the node."""
    missing: dict[int, int] = field(default_factory=dict)
    """How many events have no value, of those that were sent together: by the first of these."""
    joined: int = 0
    """How many rows a joined array has of the events that have been sent."""
    joining: int = 0
    """How many it has with those that are being sent."""

    @classmethod
    def of(
        cls, stream: Path, column: ArrayColumn, dims: tuple[str, ...], metadata: dict[str, Any]
    ) -> StoredArray:
        """Return an array of a stream of which nothing is known yet."""
        kind = column.type
        assert kind.dtype is not None, "known before anything is sent"
        whole = tuple(length or 0 for length in kind.row_shape)
        chunks = () if kind.is_ragged else chunk_shape(kind.dtype, whole)
        layout = Layout(kind.dtype, whole, chunks, "stack", join_chunks=True, dims=dims)
        return cls((*stream, column.name), column.key, kind, layout, metadata)

    def create(self, bundle: Bundle, access_tags: list[str] | None, learn: Callable[[Hints], None]) -> None:
        """Make it, or adopt the one that is there.

        Sending the bundle calls `learn` with the type of one that is wider, and raises `SchemaTooNarrow`, also if the server
        has no place for arrays, so that the values stay in the table; and `Mismatch` if what is there cannot hold the rows.
        """
        if self.is_there:
            return

        def then(node: Node) -> None:
            if not node.created:
                self._adopt(node, learn)
            self.is_there = True

        family = "ragged" if self.type.is_ragged else "array"
        source = {
            "structure_family": family,
            "structure": self._structure(),
            "mimetype": RAGGED if self.type.is_ragged else ZARR,
            "parameters": {},
        }

        def failed(error: Exception) -> bool:
            if self._is_impossible(error):
                hints = Hints(arrays={self.key: IN_TABLE})
                learn(hints)
                raise SchemaTooNarrow(hints) from error
            return False

        bundle.add(Create(self.path, family, self.metadata, [], source, access_tags), then, failed)

    def write(self, bundle: Bundle, remote: Remote, block: Block, first_row: int) -> None:
        """Send the rows of a block, which begins at the table's row `first_row`, that are not there."""
        if block.missing:
            self.missing[first_row] = block.missing
        if self.type.is_joined:
            first_row = self.joined
            self.joining = first_row + block.rows
        if self.rows is None:
            self.rows = remote.count_rows(self.path)
        start = max(0, self.rows - first_row)
        if isinstance(block.values, Ragged):
            if start < block.rows:
                self._add(bundle, Extend(self.path, block, start, first_row + start), first_row + block.rows)
            return
        step = max(
            1, MAX_REQUEST_BYTES // max(1, math.prod(self.layout.row_shape) * self.layout.dtype.itemsize)
        )
        while start < block.rows:
            stop = min(start + step, block.rows)
            self._add(bundle, Write(self.path, block, start, stop, first_row + start), first_row + stop)
            start = stop

    def sent(self) -> None:
        """Know that the rows of the last `write` are there."""
        self.joined = self.joining

    def rows_of(self, events: int) -> int:
        """Return how many rows it has when the table has so many."""
        return self.joining if self.type.is_joined else events

    def check(self, bundle: Bundle, events: int) -> None:
        """Read back whether it has its rows, the table having so many. Sending the bundle raises `Mismatch` if it is not so."""
        rows = self.rows_of(events)

        def then(is_so: bool) -> None:  # noqa: FBT001 - what comes of the step
            if not is_so:
                raise Mismatch(self.path, f"it has not {rows} rows as the journal has")

        bundle.add(Measure(self.path, rows), then)

    @property
    def note(self) -> str | None:
        """A sentence on the rows without a value, if there are some."""
        if not (count := sum(self.missing.values())):
            return None
        where = f"{self.path[-1]!r} of stream {self.path[-2]!r} has no value in {count} of its"
        if self.type.is_joined:
            return f"{where} events"
        return f"{where} rows, which are {'empty' if self.type.is_ragged else self.type.fill}"

    def _add(self, bundle: Bundle, step: Write | Extend, rows: int) -> None:
        def then(_: None) -> None:
            self.rows = rows

        def failed(error: Exception) -> bool:
            if isinstance(error, ConflictError):
                raise Mismatch(self.path, str(error)) from error
            if self.type.is_ragged and isinstance(error, FateUnknownError):
                self.rows = None
            return False

        bundle.add(step, then, failed)

    def _is_impossible(self, error: Exception) -> bool:
        """Tell whether the server will not make the node, however often it is asked."""
        if isinstance(error, FateUnknownError) and error.status == httpx.codes.INTERNAL_SERVER_ERROR:
            self.failures += 1
            return self.failures >= MOST_FAILURES
        return isinstance(error, FinalError) and not isinstance(error, NotThereError)

    def _adopt(self, node: Node, learn: Callable[[Hints], None]) -> None:
        there = None if _is_in_files(node) else type_of(node.structure, is_joined=self.type.is_joined)
        if there is None or self.type.merge(there) != there:
            raise Mismatch(self.path, f"it is {there}, and should be {self.type}")
        if there != self.type:  # it is wider, from an earlier pass over the same journal
            learned = Hints(arrays={self.key: there})
            learn(learned)
            raise SchemaTooNarrow(learned)
        assert node.structure is not None, "an array has a structure"
        rows = int(node.structure["shape"][0])
        # The last chunk may have been cut off, or be longer than the rows in it: a stock server begins with a whole one.
        whole = self.layout.chunk_shape[0] if self.layout.chunk_shape else 1
        self.rows = rows if self.type.is_ragged else max(0, rows - 1) // whole * whole

    def _structure(self) -> dict[str, Any]:
        """Return Tiled's description of the array without a row."""
        structure = self.layout.structure(0)
        if not self.type.is_ragged:
            # The first chunk says how many rows one has (`tiled.adapters.zarr`).
            return {**structure, "chunks": [[self.layout.chunk_shape[0]], *structure["chunks"][1:]]}
        lengths = self.type.row_shape
        chunks = [[], *(None if length is None else [length] for length in lengths)]
        return {**structure, "shape": [0, *lengths], "chunks": chunks, "size": 0}


def chunk_shape(dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the chunks of an array, of as many rows as make a good size, or of a part of a row.

    Examples
    --------
    >>> import numpy as np
    >>> chunk_shape(np.dtype("f8"), (2048,)), chunk_shape(np.dtype("f8"), (4096, 4096))
    ((128, 2048), (1, 128, 4096))
    """
    row_bytes = dtype.itemsize * math.prod(row_shape)
    if row_bytes <= MOST_CHUNK_BYTES:
        return (max(1, CHUNK_BYTES // max(1, row_bytes)), *row_shape)
    shape = [1, *row_shape]
    for axis in range(1, len(shape)):
        rest = dtype.itemsize * math.prod(shape[axis + 1 :])
        shape[axis] = max(1, min(shape[axis], MOST_CHUNK_BYTES // rest))
        if rest <= MOST_CHUNK_BYTES:
            break
    return tuple(shape)


def dims_of(schema: Schema, data_keys: Mapping[Any, Mapping[str, Any]]) -> dict[Any, tuple[str, ...]]:
    """Return the names of the dimensions of a stream's arrays: as the descriptor says, else as Bluesky's writer gives them.

    It names dimensions of one length alike, so that they are one in a Dataset; but also two of them in a square image, which
    cannot be in one then.
    """
    names: dict[tuple[int | None, int], str] = {}
    found = {}
    for column in schema.arrays:
        declared: Any = data_keys.get(column.key, {}).get("dims")
        lengths = column.type.row_shape
        is_list = isinstance(declared, (list, tuple)) and len(declared) == len(
            column.type.of_events.row_shape
        )
        if is_list and all(isinstance(name, str) for name in declared):
            found[column.key] = tuple(declared) if column.type.is_joined else ("time", *declared)
            continue
        dims = [f"{column.name}_dim0" if column.type.is_joined else "time"]
        for axis, length in enumerate(lengths, 1):
            again = lengths[: axis - 1].count(length)  # two dimensions of one array must not be called alike
            number = len(names) + 1
            dims.append(
                f"dim_rgd_{axis}"
                if length is None
                else names.setdefault((length, again), f"dim_int_{number}")
            )
        found[column.key] = tuple(dims)
    return found


def _is_in_files(node: Node) -> bool:
    """Tell whether a node is an array of somebody else's files, which must not be written to."""
    return node.data_source is None or node.data_source.get("management") == "external"


def type_of(structure: dict[str, Any] | None, *, is_joined: bool = False) -> ArrayType | None:
    """Return the type of an array of this structure; None if it is something else."""
    if structure is None or "data_type" not in structure:
        return None
    dtype, row_shape = dtype_of(structure["data_type"]), tuple(structure["shape"][1:])
    return ArrayType(dtype, row_shape, is_seen=True, is_joined=is_joined)
