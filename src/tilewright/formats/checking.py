"""The files of an array held against what was declared of it: what each file holds comes in, a verdict goes out.

`tilewright.formats.looking` opens the files and calls `judge`; `Run.verify(files=True)` shows what comes of it. Pure.

    promised    what the documents said: the structure, and of several files the rows of each
    there       what the files hold, up to the first that lacks something: only whole rows, in unbroken order
    present     what the catalog says: as promised, or as an earlier repair has corrected it

A structure that has been corrected keeps what was promised among the properties of its data source (`DECLARED`). So the
files are always held against the promise: when those that were missing are there again, that is found too. Whoever
registers the array anew, such as a delivery of the same journal, replaces structure and properties, and with them the
correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any, Literal

from tilewright.formats.layout import data_type, dtype_of, split
from tilewright.formats.ranges import RANGES, expanded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from tilewright.formats.base import DataSource, FileFacts, Json

Kind = Literal[
    "missing", "unreadable", "locked", "outside", "damaged", "dtype", "shape", "shorter", "longer", "chunks"
]
OUT_OF_REACH = frozenset({"unreadable", "locked", "outside"})
"""Kinds that say nothing of what the file holds: the server has to be let at it, and no structure is wrong yet."""
NOT_YET = frozenset({"missing", "locked", "damaged"})
"""Kinds that may say no more than that the file is still to be written, or is being written."""

CORRECTED = "Corrected after a look at the files: "
"""How the sentences in a run's notes begin that tell of corrected structures."""
DECLARED = "declared"
"""Property of a data source that is shorter, or otherwise, than declared: `structure` and `properties` as they were declared."""
FILES = "files"
"""Property of such a data source: how many of its files, from the first on, make up the array."""
ONE_FRAME_A_FILE = "multipart/related;"
"""How the mimetypes of sequences begin, all of whose files hold the same."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is other than declared in one file."""

    uri: str
    kind: Kind
    text: str
    """A clause that follows the file's name."""
    harmless: bool = False
    """Whether the array can be read all the same, and right."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen of one file."""

    uri: str
    facts: FileFacts | None = None
    """None where it could not be opened, or its format does not say how to look into it."""
    failure: Finding | None = None
    """Why it could not be opened."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the files of one array compare with what was declared of it."""

    findings: tuple[Finding, ...] = ()
    """At most one a file, in their order."""
    right: DataSource | None = None
    """The registration that the files bear out; None if there is none to be told, see `obstacle`."""
    obstacle: str = ""
    """Why the structure cannot be corrected, as a clause; empty if it can or need not be."""
    count: int = 0
    """How many findings there are, should some of them have been left out."""

    def bounded(self, most: int) -> Verdict:
        """Return it with so many findings at most; the harmless ones go first."""
        harmful = tuple(finding for finding in self.findings if not finding.harmless)
        findings = harmful or self.findings
        return replace(self, findings=findings[:most], count=len(findings))


def judge(source: DataSource, looked: Sequence[Looked], *, each_is_cut: bool = True) -> Verdict:
    """Compare what files hold with what was declared of them.

    Parameters
    ----------
    source
        The registration as it is in the catalog, corrected or not.
    looked
        The files, in the order of the assets.
    each_is_cut
        Whether the server leaves out what a file has beyond its promised rows also where other files follow.
    """
    promised = declared(source)
    if source.structure_family != "array":
        failures = tuple(one.failure for one in looked if one.failure is not None)
        return Verdict(failures, None if failures else promised, "there is no structure" if failures else "")
    promise = _Promise.of(promised, looked, each_is_cut=each_is_cut)
    findings = tuple(promise.findings())
    if all(finding.harmless for finding in findings):
        return Verdict(findings, promised)
    if obstacle := promise.obstacle(findings):
        return Verdict(findings, None, obstacle)
    return Verdict(findings, promise.corrected(findings))


def declared(source: DataSource) -> DataSource:
    """Return a registration as it was before it was corrected; as it is, if it was not."""
    was = source.properties.get(DECLARED)
    if was is None:
        return source
    return replace(source, structure=was["structure"], properties=was["properties"])


def shortened(source: DataSource, rows: int, files: int, of: int) -> DataSource:
    """Return a registration of the first rows only, which lie in the first `files` of its `of` files; it keeps what was declared."""
    structure = source.structure
    shape, chunks = (
        [rows, *structure["shape"][1:]],
        [_cut(structure["chunks"][0], rows), *structure["chunks"][1:]],
    )
    return replace(
        source,
        structure={**structure, "shape": shape, "chunks": chunks},
        properties=_with_declared(source, files, of),
    )


def described(structure: Mapping[str, Json]) -> str:
    """Return dtype, shape and chunks of an array's structure as a text.

    >>> import numpy as np
    >>> from tilewright.formats.layout import data_type
    >>> described({"data_type": data_type(np.dtype("<u2")), "shape": [3, 5], "chunks": [[2, 1], [5]]})
    'uint16 of shape (3, 5) in chunks of (2, 5)'
    """
    chunks = tuple(sizes[0] for sizes in structure["chunks"])
    return f"{dtype_of(structure['data_type'])} of shape {tuple(structure['shape'])} in chunks of {chunks}"


@dataclass(frozen=True, slots=True)
class _Promise:
    """What was declared of an array and of each of its files, beside what these hold."""

    source: DataSource
    looked: Sequence[Looked]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    values: tuple[int, ...] | None
    """How many values are promised of each file; None if only their sum is known."""
    each_is_cut: bool
    """As in `judge`."""

    @classmethod
    def of(cls, source: DataSource, looked: Sequence[Looked], *, each_is_cut: bool) -> _Promise:
        shape = tuple(source.structure["shape"])
        values = _values_of_each(source, math.prod(shape), looked)
        dtype = dtype_of(source.structure["data_type"])
        return cls(source, looked, dtype, shape, values, each_is_cut)

    @property
    def row_values(self) -> int:
        return math.prod(self.shape[1:])

    def findings(self) -> Iterator[Finding]:
        """Yield what is other than declared, at most one for each file."""
        there = [_size(one.facts) for one in self.looked if one.facts is not None]
        complete = len(there) == len(self.looked) and sum(there) == math.prod(self.shape)
        for number, one in enumerate(self.looked):
            if one.failure is not None:
                yield one.failure
            elif one.facts is not None:
                finding = self._finding(number, one.uri, one.facts, complete=complete)
                if finding is not None:
                    yield finding

    def _finding(self, number: int, uri: str, facts: FileFacts, *, complete: bool) -> Finding | None:
        if facts.dtype is not None and facts.dtype != self.dtype:
            return Finding(uri, "dtype", f"holds {facts.dtype}, declared is {self.dtype}")
        if not _fits(facts.shape[1:], self.shape[1:]):
            rows = f"{facts.shape[1:]} in a row, declared is {self.shape[1:]}"
            return Finding(uri, "shape", f"has shape {facts.shape}: {rows}")
        if not complete or self._is_certain:
            counted = self._count(number, uri, facts)
            if counted is not None:
                return counted
        return self._chunk_finding(uri, facts)

    @property
    def _is_certain(self) -> bool:
        return self.values is not None and (len(self.looked) == 1 or RANGES in self.source.properties)

    def _count(self, number: int, uri: str, facts: FileFacts) -> Finding | None:
        """Compare how much there is with how much is promised."""
        last, there = number == len(self.looked) - 1, _size(facts)
        if self.values is None:
            if not last:
                return None
            total = sum(_size(one.facts) for one in self.looked if one.facts is not None)
            text = f"and those before it hold {self._amount(total, math.prod(self.shape))} together"
            return Finding(uri, "shorter" if total < math.prod(self.shape) else "longer", text)
        promised = self.values[number]
        if there == promised:
            return None
        text = f"holds {self._amount(there, promised)}"
        if there < promised:
            return Finding(uri, "shorter", text)
        # Tiled's own adapters cut at the end of the array; those for files of which it is known which rows count, in each.
        in_each = self.each_is_cut and RANGES in self.source.properties
        cut_off = in_each or (last and facts.shape[1:] == self.shape[1:] and not facts.whole)
        return Finding(uri, "longer", text, harmless=cut_off)

    def _amount(self, there: int, promised: int) -> str:
        unit, name = (self.row_values or 1), "row"
        if there % unit or promised % unit:
            unit, name = 1, "value"
        plural = "" if there == unit else "s"
        return f"{there // unit} {name}{plural}, declared are {promised // unit}"

    def _chunk_finding(self, uri: str, facts: FileFacts) -> Finding | None:
        """Say so if a chunk that is declared, and read at once, cuts through chunks of the file."""
        stored = facts.chunks
        if stored is None or len(stored) != len(self.shape):
            return None
        sizes = [(chunks[0], len(chunks)) for chunks in self.source.structure["chunks"]]
        if not any(count > 1 and size % own for (size, count), own in zip(sizes, stored, strict=True)):
            return None
        text = f"is stored in chunks of {stored}, declared are {tuple(size for size, _ in sizes)}"
        return Finding(uri, "chunks", text)

    def obstacle(self, findings: Sequence[Finding]) -> str:
        """Say why no structure can be told that the files bear out; empty if one can."""
        kinds = {finding.kind for finding in findings if not finding.harmless}
        return next(self._obstacles(kinds), "")

    def _obstacles(self, kinds: set[Kind]) -> Iterator[str]:
        there = self._unbroken()
        if kinds & OUT_OF_REACH:
            yield "the server has to be able to read all of its files first"
        if any(start for _, start, _ in expanded(self.source.properties.get(RANGES, ()))):
            yield "its rows are picked out of its files"
        if "longer" in kinds:
            yield "a file holds more than declared, so that it is not known which rows belong to the events"
        if any(one.facts is None for one in self.looked if one.failure is None):
            yield "its format does not say how to look into files"
        if self.values is None and kinds & {"missing", "damaged", "shorter"}:
            yield "it is not known how many rows were promised of each of its files"
        if not there:
            yield "nothing of it is there"
            return
        if len({facts.dtype for facts in there}) > 1:
            yield "its files are of several dtypes"
        if "shape" in kinds:
            yield from self._obstacles_to_another_shape(there)
        if not self._rows():
            yield "no whole row of it is there"

    def _obstacles_to_another_shape(self, there: Sequence[FileFacts]) -> Iterator[str]:
        if len({facts.shape[1:] for facts in there}) > 1:
            yield "its files have rows of several shapes"
        if len(there[0].shape) != len(self.shape) or self.values is None:
            yield "its files have another number of dimensions than was declared"
            return
        if any(values % max(self.row_values, 1) for values in self.values):
            yield "its files hold parts of rows"

    def corrected(self, findings: Sequence[Finding]) -> DataSource:
        """Return the registration that the files bear out."""
        there = self._unbroken()
        shape = (self._rows(), *self._row_shape)
        structure = self.source.structure
        chunks = [_cut(old, length) for old, length in zip(structure["chunks"], shape, strict=True)]
        if any(finding.kind == "chunks" for finding in findings):
            stored = next(facts.chunks for facts in there if facts.chunks is not None)
            chunks = [split(length, size) for length, size in zip(shape, stored, strict=True)]
        dtype = there[0].dtype or self.dtype
        files = self._files()
        return replace(
            self.source,
            structure={
                **structure,
                "data_type": structure["data_type"] if dtype == self.dtype else data_type(dtype),
                "shape": list(shape),
                "chunks": chunks,
            },
            properties=_with_declared(self.source, files, len(self.looked)),
        )

    @property
    def _row_shape(self) -> tuple[int, ...]:
        """The shape of a row as the files have it: as declared, unless that is wrong."""
        (facts, *_) = self._unbroken()
        return self.shape[1:] if _fits(facts.shape[1:], self.shape[1:]) else facts.shape[1:]

    def _unbroken(self) -> list[FileFacts]:
        """Return the files from the first on that could be looked into."""
        return [one.facts for one in takewhile(lambda one: one.facts is not None, self.looked) if one.facts]

    def _rows(self) -> int:
        """Return how many whole rows are there, in unbroken order from the start."""
        if self.values is None:
            return self.shape[0]
        return self._values_there()[-1] // max(math.prod(self._row_shape), 1)

    def _files(self) -> int:
        """Return how many files, from the first on, have these rows."""
        if self.values is None:
            return len(self.looked)
        needed = self._rows() * math.prod(self._row_shape)
        return 1 + sum(1 for values in self._values_there() if values < needed)

    def _values_there(self) -> list[int]:
        """Return how many of the promised values are in the files up to each one; none after one that lacks some."""
        assert self.values is not None, "asked only where it is known"
        scale = math.prod(self._row_shape) / max(self.row_values, 1)
        there = []
        for facts, promised in zip(self._unbroken(), self.values, strict=False):
            wanted = round(promised * scale)
            there.append(min(_size(facts), wanted))
            if there[-1] < wanted:
                break
        return list(accumulate(there))


def _values_of_each(source: DataSource, values: int, looked: Sequence[Looked]) -> tuple[int, ...] | None:
    """Return how many values are promised of each file; None if that is not known.

    The files of a sequence all hold the same. Of other files the data source says it, if Tilewright has registered them;
    if not, they are taken for a sequence where most of them do hold the same part of the whole.
    """
    count = len(looked)
    if ranges := source.properties.get(RANGES):
        row_values = math.prod(source.structure["shape"][1:])
        ends: dict[int, int] = {}
        for file, _, stop in expanded(ranges):
            ends[file] = max(stop, ends.get(file, 0))
        return tuple(ends.get(number, 0) * row_values for number in range(count))
    if not count or values % count:
        return None
    each = values // count
    if count == 1 or source.mimetype.startswith(ONE_FRAME_A_FILE):
        return (each,) * count
    alike = sum(1 for one in looked if one.facts is not None and _size(one.facts) == each)
    return (each,) * count if alike > count / 2 else None


def _with_declared(source: DataSource, files: int, of: int) -> dict[str, Json]:
    """Return the properties of a registration that is to be changed so that `files` of its `of` files make up the array."""
    was = {"structure": source.structure, "properties": source.properties}
    properties = {**source.properties, DECLARED: was}
    if files < of:
        properties[FILES] = files
        if "chunks" in properties:  # of a sequence: one a file
            first, *rest = properties["chunks"]
            properties["chunks"] = [first[:files], *rest]
    return properties


def _size(facts: FileFacts | None) -> int:
    return 0 if facts is None else math.prod(facts.shape)


def _fits(stored: tuple[int, ...], row: tuple[int, ...]) -> bool:
    """Say whether values stored in such frames may be rows of this shape: Tiled reshapes what it has read.

    Dimensions of length 1 make no difference. A row may consist of several frames or of several pieces of them, or be laid
    out in fewer dimensions or in more.

    >>> _fits((4, 5), (4, 5)), _fits((4, 5), (3, 4, 5)), _fits((2, 4, 5), (6, 4, 5)), _fits((20,), (4, 5))
    (True, True, True, True)
    >>> _fits((5, 4), (4, 5)), _fits((4, 6), (3, 4, 5)), _fits((4, 4, 5), (6, 4, 5))
    (False, False, False)
    """
    frame = tuple(length for length in stored if length != 1)
    whole = tuple(length for length in row if length != 1)
    if len(frame) < len(whole):
        return whole[len(whole) - len(frame) :] == frame or math.prod(frame) == math.prod(whole)
    if len(frame) > len(whole):  # several rows in a file that adds one dimension more
        return frame[len(frame) - len(whole) :] == whole or math.prod(frame) == math.prod(whole)
    return frame == whole or (bool(whole) and frame[1:] == whole[1:] and _divides(frame[0], whole[0]))


def _divides(part: int, whole: int) -> bool:
    return part != 0 and whole % part == 0 and part != whole


def _cut(chunks: Sequence[int], length: int) -> list[int]:
    """Return the chunks along a dimension that has another length.

    >>> _cut([2, 2, 2], 5), _cut([4], 3), _cut([2, 2], 7), _cut([4], 6)
    ([2, 2, 1], [3], [2, 2, 2, 1], [6])
    """
    if length >= sum(chunks):
        return list(chunks) if length == sum(chunks) else split(length, chunks[0]) if chunks[1:] else [length]
    stops = [min(stop, length) for stop in accumulate(chunks)]
    sizes = [stop - start for start, stop in zip([0, *stops], stops, strict=False)]
    return [size for size in sizes if size] or [0]
