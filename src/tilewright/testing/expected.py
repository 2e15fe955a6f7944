"""In come documents, out comes what must be readable after they were written; tests compare the two.

Knows nothing of how anything is stored: it is the independent opinion that writers and readers are held against.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from tilewright.documents import is_external, shape
from tilewright.tables import SEQ_NUM, TIME, TIMESTAMP_PREFIX, column_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tilewright.documents import Document

LARGEST_ARRAY = 16
"""Elements an array may have to stay in the table."""


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """One event."""

    seq_num: int
    time: float
    """Seconds since 1970."""
    data: Mapping[str, Any]
    """The values of all keys of the descriptor, as the document has them."""
    timestamps: Mapping[str, float]
    """Seconds since 1970, for each key."""


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """What one stream's table must hold."""

    keys: tuple[str, ...]
    """Data keys whose values are in the table, in the descriptor's order."""
    elsewhere: tuple[str, ...]
    """Data keys whose values are in files or in arrays of their own; if they are in the table too, they must be right."""
    rows: list[ExpectedRow] = field(default_factory=list)
    """In the order of the documents, all attempts."""

    @property
    def columns(self) -> list[str]:
        """Columns of the table, in order."""
        names = list(column_names(self.keys).values())
        return [SEQ_NUM, TIME, *names, *(TIMESTAMP_PREFIX + name for name in names)]


@dataclass(frozen=True, slots=True)
class ExpectedMetadata:
    """What must be known of one run beside its tables."""

    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None
    """None for a run that was cut off."""
    descriptors: Mapping[str, Sequence[Mapping[str, Any]]]
    """Of each stream, in order: the first one declares it, later ones update its configuration."""


class RunReading(Protocol):
    """One run as it is read back, whatever reads it."""

    @property
    def start(self) -> Mapping[str, Any]:
        """The start document."""
        ...

    @property
    def stop(self) -> Mapping[str, Any] | None:
        """The stop document, or None."""
        ...

    @property
    def streams(self) -> Collection[str]:
        """Names of the streams."""
        ...

    def table(self, stream: str, *, timestamps: bool, attempts: bool) -> pd.DataFrame:
        """Return the stream's rows as `compare_rows` takes them."""
        ...

    def rejected(self, stream: str) -> pd.DataFrame | None:
        """Return the stream's rejected values as `compare_rows` takes them; None or no rows if there are none."""
        ...


def expected_tables(documents: Iterable[Document]) -> dict[str, dict[str, ExpectedTable]]:
    """Return the tables of each run (by uid), by name of the stream; event_pages become rows."""
    tables: dict[str, dict[str, ExpectedTable]] = {}
    of_descriptor: dict[str, ExpectedTable] = {}
    for name, doc in documents:
        if name == "start":
            tables[doc["uid"]] = {}
        elif name == "descriptor":
            streams = tables[doc["run_start"]]
            of_descriptor[doc["uid"]] = streams.setdefault(doc["name"], _empty_table(doc))
        elif name == "event":
            of_descriptor[doc["descriptor"]].rows.append(_row(doc))
        elif name == "event_page":
            of_descriptor[doc["descriptor"]].rows.extend(_rows_of_page(doc))
    return tables


def expected_metadata(documents: Iterable[Document]) -> dict[str, ExpectedMetadata]:
    """Return start, stop and descriptors of each run, by its uid."""
    starts: dict[str, Any] = {}
    stops: dict[str, Any] = {}
    descriptors: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for name, doc in documents:
        if name == "start":
            starts[doc["uid"]] = doc
        elif name == "stop":
            stops[doc["run_start"]] = doc
        elif name == "descriptor":
            descriptors[doc["run_start"]][doc["name"]].append(doc)
    return {
        uid: ExpectedMetadata(start, stops.get(uid), dict(descriptors.get(uid, {})))
        for uid, start in starts.items()
    }


def compare_runs(documents: Iterable[Document], read: Callable[[str], RunReading]) -> list[str]:
    """Return all differences between documents and what is read of their runs, one sentence each.

    Parameters
    ----------
    documents
        Of one run or of several.
    read
        Takes the uid of a run and returns it as it is read back.
    """
    documents = list(documents)
    tables = expected_tables(documents)
    return [
        f"run {uid}, {difference}"
        for uid, metadata in expected_metadata(documents).items()
        for difference in _compare_run(metadata, tables[uid], read(uid))
    ]


def _compare_run(
    metadata: ExpectedMetadata, tables: Mapping[str, ExpectedTable], run: RunReading
) -> Iterator[str]:
    yield from compare_metadata(metadata.start, run.start, "start")
    yield from compare_metadata(metadata.stop, run.stop, "stop")
    if sorted(run.streams) != sorted(tables):
        yield f"streams are {sorted(run.streams)}, expected {sorted(tables)}"
    for stream in sorted(tables.keys() & set(run.streams)):
        table = run.table(stream, timestamps=True, attempts=True)
        for difference in compare_rows(tables[stream], table, run.rejected(stream)):
            yield f"stream {stream!r}: {difference}"


def compare_rows(
    expected: ExpectedTable, table: pd.DataFrame, rejected: pd.DataFrame | None = None
) -> list[str]:
    """Return the differences between what is expected and what was read, one sentence each; none is an empty list.

    Parameters
    ----------
    expected
        From `expected_tables`.
    table
        What was read, all attempts in order: columns `seq_num`, `time`, the keys, and `ts_` of the keys. NaN is
        NaN; None is any null; 1, 1.0 and True are the same; arrays are compared element by element.
    rejected
        Values that the type of their column could not hold: `seq_num`, `data_key`, `value`, `reason`. They count
        where the table has a null, if they are the very value (1 is not "1", nor 1.0).
    """
    differences = _compare_columns(expected, list(table.columns))
    if missing := [name for name in (SEQ_NUM, TIME) if name not in table.columns]:
        return [*differences, f"cannot compare rows without {' and '.join(missing)}"]
    pairs, row_differences = _pair_rows(expected, table)
    aside = _Rejected.of(rejected)
    values = _compare_values(expected, table, pairs, aside)
    return [*differences, *row_differences, *values, *aside.leftovers()]


def compare_metadata(document: Any, read: Any, path: str = "") -> list[str]:
    """Return the differences between a document and what was read of it, one sentence each, with their paths.

    Tuples are lists, numpy's scalars and arrays are Python's, NaN is NaN; but 1 is not True.
    """
    document, read = _plain(document), _plain(read)
    if isinstance(document, dict) and isinstance(read, dict):
        return [
            *(f"{_join(path, key)}: missing" for key in document.keys() - read.keys()),
            *(
                f"{_join(path, key)}: not in the document: {read[key]!r}"
                for key in read.keys() - document.keys()
            ),
            *(
                difference
                for key in document.keys() & read.keys()
                for difference in compare_metadata(document[key], read[key], _join(path, key))
            ),
        ]
    if isinstance(document, list) and isinstance(read, list) and len(document) == len(read):
        return [
            difference
            for index, (one, other) in enumerate(zip(document, read, strict=True))
            for difference in compare_metadata(one, other, f"{path}[{index}]")
        ]
    if _same_metadata(document, read):
        return []
    return [f"{path or 'document'}: expected {document!r}, found {read!r}"]


def _empty_table(descriptor: Mapping[str, Any]) -> ExpectedTable:
    in_table = {key: _is_in_table(data_key) for key, data_key in descriptor["data_keys"].items()}
    return ExpectedTable(
        keys=tuple(key for key, inside in in_table.items() if inside),
        elsewhere=tuple(key for key, inside in in_table.items() if not inside),
    )


def _is_in_table(data_key: Mapping[str, Any]) -> bool:
    """Tell scalars and short arrays of known length from the rest."""
    lengths = [length or 0 for length in shape(data_key)]
    return not is_external(data_key) and all(lengths) and math.prod(lengths) <= LARGEST_ARRAY


def _row(event: Mapping[str, Any]) -> ExpectedRow:
    return ExpectedRow(event["seq_num"], event["time"], event["data"], event["timestamps"])


def _rows_of_page(page: Mapping[str, Any]) -> Iterator[ExpectedRow]:
    for row, (seq_num, time) in enumerate(zip(page["seq_num"], page["time"], strict=True)):
        data = {key: values[row] for key, values in page["data"].items()}
        yield ExpectedRow(
            seq_num, time, data, {key: values[row] for key, values in page["timestamps"].items()}
        )


def _compare_columns(expected: ExpectedTable, columns: list[str]) -> list[str]:
    """Compare which columns there are, and their order."""
    elsewhere = {name for key, name in _all_columns(expected).items() if key in expected.elsewhere}
    elsewhere |= {TIMESTAMP_PREFIX + name for name in elsewhere}
    found = [name for name in columns if name not in elsewhere]
    differences = [f"column {name!r} is missing" for name in expected.columns if name not in found]
    differences += [f"column {name!r} should not be there" for name in found if name not in expected.columns]
    if not differences and found != expected.columns:
        differences.append(f"columns are in the order {found}, expected {expected.columns}")
    return differences


def _all_columns(expected: ExpectedTable) -> dict[str, str]:
    """Return the column of each key, of those that need not be there too."""
    return column_names([*expected.keys, *expected.elsewhere])


def _pair_rows(expected: ExpectedTable, table: pd.DataFrame) -> tuple[list[tuple[int, int]], list[str]]:
    """Pair the rows (expected, found) of the same `seq_num` and `time`, and return what has no partner."""
    wanted = [(row.seq_num, row.time) for row in expected.rows]
    found = list(zip(table["seq_num"].tolist(), table["time"].tolist(), strict=True))
    places: defaultdict[tuple[int, float], list[int]] = defaultdict(list)
    for place, identity in reversed(list(enumerate(found))):
        places[identity].append(place)
    pairs = [(row, places[identity].pop()) for row, identity in enumerate(wanted) if places[identity]]
    differences = [
        *(
            f"{_name_row(identity)} is missing{_times(count)}"
            for identity, count in (Counter(wanted) - Counter(found)).items()
        ),
        *(
            f"{_name_row(identity)} should not be there{_times(count)}"
            for identity, count in (Counter(found) - Counter(wanted)).items()
        ),
    ]
    order = [place for _, place in pairs]
    for row, (one, other) in enumerate(zip(order, sorted(order), strict=True)):
        if one != other:
            at, there = wanted[pairs[row][0]], found[other]
            differences.append(
                f"wrong order: expected {_name_row(at)}, found {_name_row(there)} in its place"
            )
            break
    return pairs, differences


def _compare_values(
    expected: ExpectedTable, table: pd.DataFrame, pairs: list[tuple[int, int]], rejected: _Rejected
) -> list[str]:
    """Compare the values and timestamps of the paired rows (expected, found), column by column."""
    differences = []
    for key, name in _all_columns(expected).items():
        for prefix, part in (("", "data"), (TIMESTAMP_PREFIX, "timestamps")):
            if prefix + name not in table.columns:
                continue
            values = table[prefix + name].tolist()
            for wanted, place in pairs:
                row = expected.rows[wanted]
                value, found = getattr(row, part)[key], values[place]
                if _is_null(found) and rejected.take(row.seq_num, prefix + key, value):
                    continue
                if _same(value, found):
                    continue
                differences.append(
                    f"seq_num {row.seq_num}, {prefix + key!r}: expected {value!r}, found {found!r}"
                )
    return differences


@dataclass(frozen=True, slots=True)
class _Rejected:
    """Values that were put aside, until each has been asked for once."""

    values: dict[tuple[int, str], list[Any]]

    @classmethod
    def of(cls, table: pd.DataFrame | None) -> _Rejected:
        values: defaultdict[tuple[int, str], list[Any]] = defaultdict(list)
        if table is not None:
            rows = zip(
                table["seq_num"].tolist(), table["data_key"].tolist(), table["value"].tolist(), strict=True
            )
            for seq_num, key, value in rows:
                values[seq_num, key].append(value)
        return cls(dict(values))

    def take(self, seq_num: int, key: str, value: Any) -> bool:
        """Remove the value and return True, if it is there verbatim."""
        candidates = self.values.get((seq_num, key), [])
        for place, candidate in enumerate(candidates):
            if type(_plain(candidate)) is type(_plain(value)) and _same(value, candidate):
                del candidates[place]
                return True
        return False

    def leftovers(self) -> list[str]:
        return [
            f"seq_num {seq_num}, {key!r}: {value!r} is among the rejected values, and should not be"
            for (seq_num, key), values in self.values.items()
            for value in values
        ]


def _same(expected: Any, found: Any) -> bool:
    """Tell whether a value that was read is the one that was expected."""
    expected, found = _plain(expected), _plain(found)
    if expected is None:
        return _is_null(found)
    if found is None or found is pd.NA:
        return False
    if isinstance(expected, list) or isinstance(found, list):
        return (
            isinstance(expected, list)
            and isinstance(found, list)
            and len(expected) == len(found)
            and all(_same(one, other) for one, other in zip(expected, found, strict=True))
        )
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    return bool(expected == found)


def _plain(value: Any) -> Any:
    """Return Python's own list or scalar for numpy's, and a list for a tuple."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _same_metadata(document: Any, read: Any) -> bool:
    """Tell whether two leaves are the same: more strictly than in a column, which has one type and one null."""
    if document is None or read is None:
        return document is read
    return isinstance(document, bool) == isinstance(read, bool) and _same(document, read)


def _name_row(identity: tuple[int, float]) -> str:
    return f"the row with seq_num {identity[0]} at time {identity[1]!r}"


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
