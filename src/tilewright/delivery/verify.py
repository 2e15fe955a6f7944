"""A journal and a catalog come in, what differs between them goes out; and the catalog is put right, if asked.

Called by `tilewright journal verify` and `Run.verify`. A comparison is a delivery to a `Remote` that changes nothing:
what would have been sent is held against what is there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tilewright.delivery.arrays import type_of
from tilewright.delivery.failures import NotThereError
from tilewright.delivery.remote import Node, Path, Remote
from tilewright.delivery.run import Outcome, RunDelivery
from tilewright.delivery.storage import is_about_storage
from tilewright.display import html_facts
from tilewright.documents import PathMap, run_key
from tilewright.errors import FinalError, InputError, SetupError
from tilewright.formats.checking import CORRECTED, DECLARED
from tilewright.journal import JournalReader, claims
from tilewright.journal.disk import LOCK_SECONDS
from tilewright.tables import TABLE
from tilewright.tables.ragged import decode_ragged
from tilewright.tables.wire import checksum

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tilewright.delivery.target import Target

STORED = ("array", "ragged")
"""Families of the arrays that a delivery writes itself."""
MOST_PROBLEMS = 20
"""How many differences of one run are told."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a catalog has of one run, beside what it should have."""

    run: str
    """Its uid."""
    catalog: str
    journal: pathlib.Path | None
    """What it was compared with; None for the report in the run's own metadata."""
    rows: dict[str, int]
    """Rows that each stream should have."""
    problems: tuple[str, ...]
    """What the catalog lacks, has otherwise or has too much, and what of the journal cannot be read."""
    files: int | None = None
    """How many files behind the run were looked at; None if that was not asked for."""
    remarks: tuple[str, ...] = ()
    """What is to be known of the files, and no fault of the catalog: it is right as it is."""

    @property
    def equal(self) -> bool:
        """Whether the catalog has all that it should have, as it should."""
        return not self.problems

    def __str__(self) -> str:
        """Return a line for each problem, or one that there is none."""
        lines = self.problems
        if self.equal:
            rows = ", ".join(f"{key} {count:,}" for key, count in self.rows.items()) or "none"
            lines = (f"{self._verdict} (rows: {rows})",)
        return "\n".join(f"run {self.run}: {line}" for line in (*lines, *self.remarks))

    def _repr_html_(self) -> str:
        facts = {"catalog": self.catalog}
        if self.journal is not None:
            facts["journal"] = str(self.journal)
        facts |= {f"rows of {key}": f"{count:,}" for key, count in self.rows.items()}
        facts |= {f"problem {number}": problem for number, problem in enumerate(self.problems, 1)}
        facts |= {f"remark {number}": remark for number, remark in enumerate(self.remarks, 1)}
        return html_facts(f"Run {self.run}: {self._verdict if self.equal else 'differs'}", facts)

    @property
    def _verdict(self) -> str:
        verdict = "as reported" if self.journal is None else "as in the journal"
        return verdict if self.files is None else f"{verdict}, and so are its files ({self.files:,})"


def check_report(uid: str, where: Target) -> Comparison:
    """Compare a run's tables with the report that its delivery left in its metadata: how many rows, and their order.

    Parameters
    ----------
    uid
        Name of the run's node.
    where
        The catalog that it is in.

    Raises
    ------
    TransientError
        If the server cannot be reached.
    NotThereError
        If there is no such run.
    """
    remote = where.connect()
    try:
        node = remote.get((uid,))
        if node is None:
            raise NotThereError(f"there is no run {uid}")
        report = node.metadata.get("tilewright") or {}
        problems = [] if report else ["it has no report: its delivery has not come to an end"]
        if report and not report.get("verified"):
            problems.append("its journal could not be read or understood in full: see its notes")
        rows = report.get("rows", {})
        for key, count in rows.items():
            arrays = report.get("arrays", {}).get(key, {})
            # Reports of versions before have the names only, of arrays with the table's rows.
            if isinstance(arrays, list):
                arrays = dict.fromkeys(arrays, count)
            problems += _check_arrays(remote, (uid, key), arrays)
            problems += _check_stream(remote, (uid, key), count, report.get("seq_num_crc32", {}).get(key))
        return Comparison(uid, where.name, None, rows, tuple(problems))
    finally:
        remote.close()


def _check_stream(remote: Remote, stream: Path, rows: int, order: int | None) -> Iterator[str]:
    """Yield what is wrong with the tables of a stream."""
    parts = _parts(remote, stream)
    if not parts and rows:
        yield f"{_shown(stream)} has no rows; {rows} were delivered"
    for path, columns in parts:
        column = remote.read_column(path, columns[0])
        if len(column) != rows:
            yield f"{_shown(path)} has {len(column)} rows; {rows} were delivered"
        elif columns[0] == "seq_num" and order is not None and checksum(column) != order:
            yield f"{_shown(path)} has its rows in another order than they were delivered in"


def _check_arrays(remote: Remote, stream: Path, arrays: Mapping[str, int]) -> Iterator[str]:
    """Yield which arrays of the events have not as many rows as they should have."""
    for name, rows in arrays.items():
        node = remote.get((*stream, name))
        there = 0 if node is None or node.structure is None else node.structure["shape"][0]
        if there != rows:
            yield f"{_shown((*stream, name))} has {there} rows; {rows} were delivered"


def _parts(remote: Remote, stream: Path) -> list[tuple[Path, list[str]]]:
    """Return the tables of a stream, and the columns of each."""
    whole = remote.get((*stream, TABLE))
    if whole is not None:
        return [((*stream, TABLE), _columns(whole))]
    paths = ((*stream, f"{TABLE}_{number}") for number in count())
    nodes = takewhile(lambda part: part[1] is not None, ((path, remote.get(path)) for path in paths))
    return [(path, _columns(node)) for path, node in nodes if node is not None]


def _columns(table: Node) -> list[str]:
    assert table.structure is not None, "a table has a structure"
    return list(table.structure["columns"])


def compare(path: pathlib.Path, where: Target) -> Comparison:
    """Compare a journal with a catalog, value by value.

    Reads each of the run's tables whole.

    Raises
    ------
    TransientError
        If the server cannot be reached.
    InputError
        If the file is no journal.
    """
    remote = _Examined.of(where.connect())
    try:
        return _compare(path, remote, where.name)
    finally:
        remote.close()


def repair(path: pathlib.Path, where: Target) -> Comparison:
    """Make the catalog what a journal says, and return how they compare then.

    Raises
    ------
    SetupError
        If somebody else delivers the journal at this moment.
    TransientError
        If the server cannot be reached; to be repeated.
    FinalError
        If the server refuses.
    """
    claim = claims.claim(path, LOCK_SECONDS)
    if claim is None:
        raise SetupError(
            f"{path} cannot be repaired: it is delivered by {claims.claimant(path) or 'somebody else'}"
        )
    remote = where.connect()
    examined = _Examined.of(remote)
    try:
        _compare(path, examined, where.name)
        for table in examined.wrong:
            remote.delete(table)
        with JournalReader(path) as reader:
            _to_the_end(RunDelivery(reader, remote, path_map=_path_map(reader, remote)))
        return _compare(path, _Examined.of(remote), where.name)
    finally:
        claim.release()
        remote.close()


class _DiffersError(FinalError):
    """The comparison cannot go on past this difference."""


@dataclass(frozen=True, slots=True)
class _Examined(Remote):
    """A catalog that is looked at only; what would change it is a difference."""

    problems: list[str] = field(default_factory=list)
    wrong: list[Path] = field(default_factory=list)
    """Tables and arrays that are not what they should be."""
    arrays: dict[Path, dict[str, Any]] = field(default_factory=dict)
    """Structures of the arrays in files, as far as the journal has been read."""
    _tables: dict[Path, pa.Table] = field(default_factory=dict)

    @classmethod
    def of(cls, remote: Remote) -> _Examined:
        """Look at the catalog that a connection leads to."""
        return cls(**{item.name: getattr(remote, item.name) for item in fields(Remote)})

    def send_bundle(self, steps: list[Callable[[], dict[str, Any]]], meanwhile: Callable[[], None]) -> None:
        """Take no steps together: each is looked at by itself."""

    def create(self, path: Path, family: str, **described: Any) -> Node:
        """Find the node; what has rows is said to be new, so that all of these are shown to the methods below."""
        node, source = self.get(path), described.get("data_source") or {}
        if family in STORED and source.get("management") != "external":
            return self._find_array(path, node, source["structure"])
        if node is None:
            raise _DiffersError(f"{_shown(path)} is not in the catalog")
        if source.get("management") != "external" and family != "container":
            return Node(node.metadata, node.structure, node.data_source, created=True)
        if len(path) > 1 and family == "container":
            self._compare_metadata(path, node.metadata, described["metadata"])
        return node

    def _find_array(self, path: Path, node: Node | None, structure: dict[str, Any]) -> Node:
        """Find an array of the events. One that is wider than it had to be, or in the table, holds the rows as well.

        So it may be after a delivery that the server had no place for arrays in, say; it does not change anything, but the
        delivery learns of it as the one before did, and goes on from there.
        """
        if node is None:
            if any(path[-1] in columns for _, columns in _parts(self, path[:-1])):
                raise FinalError(f"{_shown(path)} is in the table")
            self.note_wrong(path, f"{_shown(path)} is not in the catalog")
            return Node({}, None, None, created=True)
        there, ours = type_of(node.structure), type_of(structure)
        if there not in (None, ours) and ours is not None and ours.merge(there) == there:
            return node
        if there != ours:
            self.note_wrong(path, f"{_shown(path)} is an array of another type")
        return Node(node.metadata, node.structure, node.data_source, created=True)

    def append_rows(self, path: Path, table: pa.Table, first_row: int) -> None:
        """Hold rows against those that are there."""
        if path not in self._tables:
            self._tables[path] = self.read_table(path, table.column_names)
        there = self._tables[path].slice(first_row, table.num_rows)
        if there.num_rows < table.num_rows:
            self.note_wrong(path, f"{_shown(path)} lacks rows from row {first_row + there.num_rows + 1} on")
        for name in table.column_names:
            row = _first_difference(table.column(name).slice(0, there.num_rows), there.column(name))
            if row is not None:
                ours, theirs = table.column(name)[row].as_py(), there.column(name)[row].as_py()
                text = f"{_shown(path)}, column {name!r}, row {first_row + row + 1}: {theirs!r}, in the journal {ours!r}"
                self.note_wrong(path, text)

    def write_rows(self, path: Path, rows: NDArray[Any], first_row: int) -> None:
        """Hold rows of an array against those that are there."""
        if path in self.wrong:
            return
        there = self.read_rows(path, first_row, first_row + len(rows))
        self._compare_rows(path, [row.tobytes() for row in rows], [row.tobytes() for row in there], first_row)

    def extend_ragged(self, path: Path, content: bytes, rows: int, first_row: int) -> None:
        """Hold rows of a ragged array against those that are there."""
        if path in self.wrong:
            return
        there = self.read_ragged(path, first_row, first_row + rows)
        self._compare_rows(path, decode_ragged(content), there, first_row)

    def has_rows(self, path: Path, rows: int) -> bool:
        """Note that an array has more rows than that; if it has fewer, that has been seen before."""
        node = self.get(path)
        if node is not None and node.structure is not None and node.structure["shape"][0] > rows:
            self.note_wrong(path, f"{_shown(path)} has more rows than the journal, which has {rows}")
        return True

    def _compare_rows(self, path: Path, ours: Sequence[Any], theirs: Sequence[Any], first_row: int) -> None:
        if len(theirs) < len(ours):
            self.note_wrong(path, f"{_shown(path)} lacks rows from row {first_row + len(theirs) + 1} on")
        for row, (one, other) in enumerate(zip(ours, theirs, strict=False), first_row + 1):
            if one != other:
                self.note_wrong(path, f"{_shown(path)} has other values in row {row} than the journal")
                return

    def delete(self, path: Path) -> None:
        """Stop: an array in files, or all of a stream, would have to be made anew."""
        self.wrong.append(path)
        if len(path) > len(("run", "stream")):
            raise _DiffersError(f"{_shown(path)} has its files elsewhere than the journal says")
        raise _DiffersError(f"{_shown(path)} has rows that the journal does not have, or in another order")

    def set_metadata(self, path: Path, items: dict[str, Any]) -> None:
        """Hold metadata against what is there."""
        node = self.get(path)
        self._compare_metadata(path, {} if node is None else node.metadata, items)

    def put_data_source(self, path: Path, data_source: dict[str, Any]) -> None:
        """Take note of the structure of an array, which may grow yet; see `compare_arrays`."""
        self.arrays[path] = data_source["structure"]

    def compare_arrays(self) -> None:
        """Hold the structures of all arrays, as they are in the end, against what is there.

        One that was corrected after a look at its files is right if it was declared as in the journal.
        """
        for path, structure in self.arrays.items():
            node = self.get(path)
            properties = ((node and node.data_source) or {}).get("properties") or {}
            there = None if node is None else properties.get(DECLARED, {}).get("structure", node.structure)
            if there != structure:
                self._note(f"{_shown(path)} has another structure")

    def close_stream(self, path: Path) -> None:
        """Do nothing: nobody listens."""

    def can_read(self, _path: Path, _dimensions: int) -> None:
        """Say nothing: what the server could not read when the run was delivered is no difference."""

    def _compare_metadata(self, path: Path, there: dict[str, Any], ours: dict[str, Any]) -> None:
        for key, value in ours.items():
            found = there.get(key)
            if (
                key == "notes"
            ):  # what the server could not read, or was noted after the delivery, is no difference
                found = [
                    note for note in found or [] if not (is_about_storage(note) or note.startswith(CORRECTED))
                ]
            if found != value:
                self._note(f"the metadata of {_shown(path)} has another {key!r}")

    def note_wrong(self, path: Path, problem: str) -> None:
        """Take note of a table, or an array, that has to be made anew."""
        if path not in self.wrong:
            self.wrong.append(path)
        self._note(problem)

    def _note(self, problem: str) -> None:
        if problem not in self.problems and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def _compare(path: pathlib.Path, remote: _Examined, catalog: str) -> Comparison:
    with JournalReader(path) as reader:
        delivery = RunDelivery(reader, remote, path_map=_path_map(reader, remote))
        try:
            _to_the_end(delivery)
        except FinalError as error:
            remote.problems.append(str(error))
        remote.compare_arrays()
        problems = [
            *remote.problems,
            *delivery.problems,
            *(f"the journal is damaged: {damage}" for damage in reader.damage),
        ]
        return Comparison(delivery.uid, catalog, path, delivery.rows, tuple(problems))


def _path_map(reader: JournalReader, remote: Remote) -> PathMap | None:
    """Return the rules for paths that a run was delivered with, which need not be the journal's; None if it was not."""
    node = remote.get((run_key(reader.header.run),))
    report = None if node is None else node.metadata.get("tilewright")
    if not isinstance(report, dict):
        return None
    with suppress(InputError):  # metadata may be anything
        return PathMap.of(report.get("path_map", {}))
    return None


def _to_the_end(delivery: RunDelivery) -> None:
    while delivery.step(ended=True) is Outcome.MORE:
        pass


def _first_difference(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> int | None:
    """Return the first row in which two columns differ; None if they do not."""
    if theirs.type != ours.type:
        with suppress(pa.ArrowInvalid):  # then they are compared as Python sees them
            theirs = theirs.cast(ours.type)
    if ours.equals(theirs):
        return None
    pairs = zip(ours.to_pylist(), theirs.to_pylist(), strict=True)  # to Arrow, NaN differs from NaN
    return next((row for row, (one, other) in enumerate(pairs) if repr(one) != repr(other)), None)


def _shown(path: Path) -> str:
    return "/".join(path)
