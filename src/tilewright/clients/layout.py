"""What a run and a stream are made of: descriptions of Tiled nodes come in; streams, tables and arrays go out.

`run`, `stream` and `catalog` call this. It is the only place that knows the three layouts there are:

    <run>/<stream>/internal                    ours, and Bluesky's since 2025 (internal_0, internal_1 … when wide)
    <run>/<stream>/<data key>
    <run>/streams/<stream>/internal/events     Bluesky's before
    <run>/streams/<stream>/external/<data key>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.clients.http import children, parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa
    from tiled.client.context import Context

REJECTED = "rejected"
"""Column of values that fitted no other: null, or JSON {data key: {"value": …, "reason": …}}."""

KEYS = ("seq_num", "time")
"""Columns that every event has beside its data."""

OURS = "TilewrightStream"
"""Spec of the streams that our writer makes."""
STREAM_SPECS = frozenset({OURS, "BlueskyEventStream"})
_ARRAY_FAMILIES = frozenset({"array", "sparse", "awkward", "ragged"})
_FILES = "bytes"
"""Family of files that no format knows: they are found, and downloaded, but no values."""
_NAMESPACES = frozenset({"internal", "external"})


@dataclass(frozen=True, slots=True)
class TablePart:
    """One table of a stream: where it is, and its columns."""

    path: str
    """Path below the stream, e.g. "internal" or "internal/events"."""
    link: str
    """Address of all its rows."""
    columns: tuple[str, ...]
    """Names, in the order stored."""
    arrow_schema: str
    """The columns' types, as Tiled encodes them: an Arrow schema in base64."""

    def types(self) -> dict[str, pa.DataType]:
        """Return column → type, as declared when the table was made."""
        from tiled.structures.table import TableStructure  # noqa: PLC0415  # imports pyarrow

        schema = TableStructure(self.arrow_schema, 1, list(self.columns)).arrow_schema_decoded
        return {field.name: field.type for field in schema}


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables and arrays of one stream, and which column is what."""

    tables: tuple[TablePart, ...]
    """In column order: internal_0 before internal_1 before internal_10."""
    arrays: dict[str, dict[str, Any]]
    """Data key → description of its node, for those that are arrays."""
    array_paths: dict[str, str]
    """Data key → path below the stream, for arrays and for files that are none."""
    data: tuple[str, ...]
    """Columns that hold data, in the descriptor's order as the writer laid them down."""
    timestamps: tuple[str, ...]
    """Columns `ts_<key>`: when each value of `<key>` was taken, seconds since 1970."""
    rejected: TablePart | None
    """The table with the column of rejected values, if there are any."""

    @property
    def in_events(self) -> tuple[str, ...]:
        """The arrays whose values came in the events, so that the table has their timestamps."""
        return tuple(key for key in self.arrays if f"ts_{key}" in self.timestamps)

    @property
    def paths(self) -> dict[str, str]:
        """Return column or data key → path below the stream."""
        columns = {column: f"{table.path}/{column}" for table in self.tables for column in table.columns}
        return columns | self.array_paths

    def home(self, column: str) -> TablePart | None:
        """Return the table that has a column (seq_num and time are in the first)."""
        return next((table for table in self.tables if column in table.columns), None)


def stream_paths(context: Context, link: str) -> dict[str, str]:
    """Return the streams of a run, name → path below the run: primary first, then as they were opened.

    One request; one more for the older layout.

    Parameters
    ----------
    link
        The run's ``search`` link.
    """
    found = {item["id"]: item for item in children(context, link, {"fields": "specs"})}
    paths = {name: name for name in found}
    if "streams" in found and not is_stream(found["streams"]):
        names = [item["id"] for item in children(context, f"{link}/streams", {"fields": ""})]
        paths = {name: f"streams/{name}" for name in names}
    return {name: paths[name] for name in primary_first(paths)}


def primary_first(names: Iterable[str]) -> list[str]:
    """Sort stream names: primary first, the others as they were.

    >>> primary_first(["baseline", "primary", "monitor"])
    ['primary', 'baseline', 'monitor']
    """
    return sorted(names, key=lambda name: name != "primary")


def is_stream(item: Mapping[str, Any]) -> bool:
    """Tell whether a node is a stream of a run, by its specs."""
    specs = item["attributes"].get("specs") or []
    return any(spec["name"] in STREAM_SPECS for spec in specs)


def stream_layout(parts: Mapping[str, dict[str, Any]], data_keys: Mapping[str, Any]) -> Layout:
    """Sort the parts of a stream into tables and arrays, and its columns by what they hold.

    Parameters
    ----------
    parts
        Path below the stream → description, as `stream_parts` gives them.
    data_keys
        Of the descriptor. A column is a data key's unless the layout gives it another meaning.
    """
    tables = tuple(
        TablePart(path, item["links"]["full"], tuple(structure["columns"]), structure["arrow_schema"])
        for path, item in sorted(parts.items(), key=lambda part: _natural(part[0]))
        if item["attributes"]["structure_family"] == "table"
        for structure in [item["attributes"]["structure"]]
    )
    array_paths = {
        item["id"]: path
        for path, item in parts.items()
        if item["attributes"]["structure_family"] in {*_ARRAY_FAMILIES, _FILES}
    }
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    timestamps = _timestamps(list(columns), data_keys, array_paths)
    # Our writer calls a data key of this name "rejected_"; Bluesky's leaves it.
    is_data = REJECTED in data_keys and f"{REJECTED}_" not in columns
    special = {*KEYS, *timestamps} | (set() if is_data else {REJECTED})
    return Layout(
        tables=tables,
        arrays={
            key: parts[path]
            for key, path in array_paths.items()
            if parts[path]["attributes"]["structure_family"] != _FILES
        },
        array_paths=array_paths,
        data=tuple(name for name in columns if name not in special),
        timestamps=timestamps,
        rejected=None if is_data else next((table for table in tables if REJECTED in table.columns), None),
    )


def _timestamps(columns: list[str], data_keys: Mapping[str, Any], beside: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that hold timestamps.

    Our writer lays down the data and then, in the same order, their timestamps, and those of the arrays `beside` the table:
    so the place tells the timestamps of `a` from a data key that is called `ts_a`. In other tables the descriptor tells it.

    >>> _timestamps(["seq_num", "time", "a", "ts_a_", "ts_a", "ts_ts_a_"], {"a": {}, "ts_a": {}}, [])
    ('ts_a', 'ts_ts_a_')
    >>> _timestamps(["seq_num", "time", "a", "ts_a", "ts_image"], {"a": {}, "image": {}}, ["image"])
    ('ts_a', 'ts_image')
    """
    names = [name for name in columns if name not in KEYS]
    if names[-1:] == [REJECTED]:
        names.pop()
    arrays = {f"ts_{name}" for name in beside}
    last = next((n for n, name in enumerate(reversed(names)) if name not in arrays), len(names))
    half = (len(names) - last) // 2
    data, stamps = names[:half], names[half:]
    if stamps[:half] == [f"ts_{name}" for name in data] and arrays.issuperset(stamps[half:]):
        return tuple(stamps)
    known = {*columns, *data_keys}
    return tuple(
        name for name in columns if name.startswith("ts_") and name not in data_keys and name[3:] in known
    )


def stream_parts(
    context: Context,
    link: str,
    params: Mapping[str, Any] | None = None,
    *,
    inside: Iterable[dict[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return what a stream is made of: path below the stream → description. One request in today's layout.

    Parameters
    ----------
    link
        The stream's ``search`` link.
    params
        Further parameters of the search, e.g. ``include_data_sources``; without any, a server of ours is asked in its
        own way.
    inside
        Descriptions of the nodes in it, if they are at hand; then they are not asked for.
    """
    if inside is None and not params:
        described = parts(context, link)
        inside = None if described is None else described[1]
    items = children(context, link, params) if inside is None else inside
    return dict(_walk(context, items, params or {}, ""))


def _walk(
    context: Context, items: Iterable[dict[str, Any]], params: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in items:
        name = item["id"]
        if item["attributes"]["structure_family"] != "container":
            yield prefix + name, item
        elif name in _NAMESPACES:
            inside = children(context, item["links"]["search"], params)
            yield from _walk(context, inside, params, f"{prefix}{name}/")


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort key by which internal_2 comes before internal_10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", path)]
