"""A hostile case, what must be readable of it, and the sound documents that cases spoil."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Document = tuple[Any, Any]

MISSING = object()
"""Instead of a value: the document lacks the field."""
ODD_TYPES = (None, 5, 1.5, True, "text", b"bytes", [], [1], {}, {"a": 1}, {1, 2}, object(), math.nan)
"""One of each kind, to be put where another kind belongs."""


@dataclass(frozen=True, slots=True)
class Run:
    """What must be readable of one run."""

    uid: str | None = None
    """Pattern of the uid in its start document; None: the case's own."""
    x: Sequence[Any] | None = None
    """Values of the column `x` of the stream `primary`, every attempt; None: not looked at."""
    columns: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    """Values of further columns, by node of the stream and name of the column."""
    in_order: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict)
    """Values of all data columns in their order, by node of the stream, whatever they are called."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows of further streams, by node."""
    streams: int = 1
    """How many there are."""
    each_stream: Sequence[Sequence[Any]] | None = None
    """Values of `x` in every stream, whatever they are called, sorted."""
    rejected: Mapping[str, Sequence[tuple[Any, str, Any]]] = field(default_factory=dict)
    """What fitted no column, by node of the stream: seq_num, data key, value. Of streams left out: nothing."""
    rejected_count: int | None = None
    """How many values of `primary` fitted no column, where `rejected` does not list them."""
    accounted: Sequence[str] = ()
    """Data keys of `primary` of which every row must have a value, in the column or among what was rejected."""
    nodes: Sequence[str] = ()
    """Arrays and files of the stream `primary`, by node."""
    notes: Sequence[str] = ()
    """Patterns, each of which is in some note; without any there must be no note at all."""
    verified: bool = True
    state: str = "complete"
    start: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the start document."""


@dataclass(frozen=True, slots=True)
class Case:
    """Documents as no emitter should send them, and what must come of them."""

    name: str
    documents: Callable[[Sound], Iterable[Document]]
    """Makes them anew: a generator may alter a document once it has gone out."""
    runs: tuple[Run, ...]
    errors: int = 0
    """Documents for which a new recorder says that they have no run."""
    server: bool = True
    """Whether a server is worth its while: False where it would see nothing that it does not see of other cases."""

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents(Sound(self.name)))


@dataclass(frozen=True, slots=True)
class Found:
    """What was read of one run, by whatever means."""

    uid: str
    start: Mapping[str, Any]
    notes: Sequence[str]
    verified: bool
    state: str
    columns: Mapping[str, Mapping[str, Sequence[Any]]]
    """By node of the stream: `seq_num`, `time` and the data columns, every row in order."""
    rejected: Mapping[str, Sequence[tuple[Any, str, Any]]]
    nodes: Mapping[str, Sequence[str]]


CASES: list[Case] = []


def case(*runs: Run, errors: int = 0, server: bool = True) -> Callable[[Any], Any]:
    """Add a function that yields documents to the corpus, under its own name."""

    def add(function: Any) -> Any:
        CASES.append(Case(function.__name__, function, runs, errors, server))
        return function

    return add


class Sound:
    """Sound documents of one run, whose uid is the case's name. The value of `x` is the event's number.

    Each method takes changes: fields to have otherwise, or `MISSING`.
    """

    def __init__(self, name: str) -> None:
        self.uid = name

    def start(self, **changes: Any) -> Document:
        return "start", changed({"uid": self.uid, "time": 1_700_000_000.0, "case": self.uid}, changes)

    def descriptor(self, **changes: Any) -> Document:
        doc = {
            "uid": f"{self.uid} d",
            "run_start": self.uid,
            "name": "primary",
            "time": 1_700_000_000.5,
            "data_keys": {"x": number()},
        }
        return "descriptor", changed(doc, changes)

    def event(self, seq_num: Any, /, **changes: Any) -> Document:
        doc = {
            "uid": f"{self.uid} e{seq_num}",
            "descriptor": f"{self.uid} d",
            "seq_num": seq_num,
            "time": 1_700_000_001.0,
            "data": {"x": float(seq_num)} if isinstance(seq_num, int) else {},
            "timestamps": {"x": 1_700_000_000.75},
            "filled": {},
        }
        return "event", changed(doc, changes)

    def events(self, *seq_nums: Any, **changes: Any) -> Iterator[Document]:
        for seq_num in seq_nums:
            yield self.event(seq_num, **changes)

    def page(self, *seq_nums: int, **changes: Any) -> Document:
        doc = {
            "uid": [f"{self.uid} e{seq_num}" for seq_num in seq_nums],
            "descriptor": f"{self.uid} d",
            "seq_num": list(seq_nums),
            "time": [1_700_000_001.0] * len(seq_nums),
            "data": {"x": [float(seq_num) for seq_num in seq_nums]},
            "timestamps": {"x": [1_700_000_000.75] * len(seq_nums)},
            "filled": {},
        }
        return "event_page", changed(doc, changes)

    def stop(self, **changes: Any) -> Document:
        doc = {
            "uid": f"{self.uid} s",
            "run_start": self.uid,
            "time": 1_700_000_002.0,
            "exit_status": "success",
        }
        return "stop", changed(doc, changes)

    def of_another_run(self) -> Sound:
        """Return the documents of a second run of the case."""
        return Sound(f"{self.uid} 2")


def changed(doc: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with other fields, and without those that are missing."""
    return {key: value for key, value in {**doc, **changes}.items() if value is not MISSING}


def number(**changes: Any) -> dict[str, Any]:
    """Return the description of a data key of single numbers."""
    return changed({"source": "hostile", "dtype": "number", "shape": []}, changes)


def check(case: Case, found: Sequence[Found]) -> None:
    """Hold what was read against what must be readable."""
    assert len(found) == len(case.runs)
    for expected in case.runs:
        uid = expected.uid or re.escape(case.name)
        (run,) = [run for run in found if re.fullmatch(uid, run.uid, re.DOTALL)]
        _check_run(expected, run)


def _check_run(expected: Run, run: Found) -> None:
    assert (run.state, run.verified) == (expected.state, expected.verified), run.notes
    _check_notes(expected.notes, run.notes)
    assert {key: run.start.get(key) for key in expected.start} == expected.start
    assert len(run.columns) == expected.streams
    columns = {key: dict(values) for key, values in expected.columns.items()}
    if expected.x is not None:
        columns.setdefault("primary", {})["x"] = expected.x
    for stream, values in columns.items():
        for name, column in values.items():
            assert plain(run.columns[stream][name]) == plain(column), (stream, name)
    for stream, values in expected.in_order.items():
        data = [column for name, column in run.columns[stream].items() if name not in ("seq_num", "time")]
        assert plain(data) == plain(values)
    for stream, rows in expected.rows.items():
        assert len(run.columns[stream]["seq_num"]) == rows
    if expected.each_stream is not None:
        assert sorted(plain(columns["x"]) for columns in run.columns.values()) == plain(expected.each_stream)
    rejected = _sorted(run.rejected)
    if expected.accounted:
        _check_accounted(expected.accounted, run.columns["primary"], rejected.get("primary", ()))
    elif expected.rejected_count is not None:
        assert len(rejected.get("primary", ())) == expected.rejected_count, rejected
    else:
        assert rejected == _sorted(expected.rejected)
    assert sorted(run.nodes.get("primary", ())) == sorted(expected.nodes)


def _sorted(rejected: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    return {key: sorted(map(plain, values), key=repr) for key, values in rejected.items() if values}


def _check_notes(patterns: Sequence[str], notes: Sequence[str]) -> None:
    for pattern in patterns:
        assert any(re.search(pattern, note) for note in notes), (pattern, notes)
    assert bool(patterns) == bool(notes), notes
    assert all(isinstance(note, str) and len(note) < 1000 for note in notes)


def _check_accounted(
    keys: Sequence[str], columns: Mapping[str, Sequence[Any]], rejected: Sequence[Any]
) -> None:
    set_aside = {(seq_num, key) for seq_num, key, _ in rejected}
    for key in keys:
        rows = zip(columns["seq_num"], plain(columns[key]), strict=True)
        lost = [number for number, value in rows if value is None and (number, key) not in set_aside]
        assert lost == [], key


def plain(value: Any) -> Any:
    """Return lists for sequences, Python's own scalars, and None for what a DataFrame shows as missing."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def raises_nothing(
    case: Case, record: Callable[[Any, Any], None], errors: tuple[type[Exception], ...]
) -> int:
    """Give all documents of a case to a function, and count those it refuses; anything else it raises is a failure."""
    refused = 0
    for name, doc in case:
        try:
            record(name, doc)
        except errors:
            refused += 1
        except Exception as error:  # noqa: BLE001 - said with the case's name
            pytest.fail(f"{case.name}, {name}: {error!r}")
    return refused
