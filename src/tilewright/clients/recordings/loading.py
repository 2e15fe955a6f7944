"""The contents of a deployment: a run comes in; its units with their files and tie points go out.

`deployment` calls this: `describe` when it is opened, one request for what streams there are; `load` when files and times are
needed for the first time, one request for the rows of each stream, some at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients import frames
from tilewright.clients.http import children, parts, read_columns
from tilewright.clients.layout import is_stream
from tilewright.clients.recordings import blocks
from tilewright.clients.recordings.ties import given_ties, stored_ties
from tilewright.clients.recordings.units import AUDIO, COLUMNS, Unit, Units, in_order
from tilewright.clients.stream import Stream
from tilewright.documents import is_joined
from tilewright.documents.names import path_segment
from tilewright.errors import InputError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from tilewright.clients.run import Run

CLOCK = "clock_"
"""What the name of a unit's stream of tie points begins with."""
REJECTED_FILES = "rejected_files"
_AT_ONCE = 6
"""Requests under way at once."""


@dataclass(frozen=True, slots=True)
class Description:
    """What streams a deployment has."""

    metadata: Mapping[str, Any]
    """Of the run: start, and stop."""
    streams: Mapping[str, Stream]
    units: Sequence[str]
    """Names of the streams that are units."""

    @property
    def start(self) -> dict[str, Any]:
        """The start document."""
        return dict(self.metadata.get("start") or {})

    @property
    def is_over(self) -> bool:
        """Whether there is a stop document: no more is going to come."""
        return bool(self.metadata.get("stop"))

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the start document says of the units."""
        units = self.start.get("units")
        return (
            [one for one in units if isinstance(one, dict) and one.get("unit")]
            if isinstance(units, list)
            else []
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """The units of a deployment, and the files that are no part of it."""

    units: Units
    rejected: pd.DataFrame
    """Columns: file, size, reason."""


def is_unit(data_keys: Mapping[str, Any]) -> bool:
    """Tell whether a stream with these data keys is a unit of a deployment."""
    audio = data_keys.get(AUDIO)
    is_in_files = isinstance(audio, dict) and "external" in audio
    return (is_in_files and all(name in data_keys for name in COLUMNS)) or has_blocks(data_keys)


def has_blocks(data_keys: Mapping[str, Any]) -> bool:
    """Tell whether a stream with these data keys has samples in blocks, not in files."""
    return is_joined(data_keys.get(AUDIO)) and all(name in data_keys for name in blocks.COLUMNS)


def describe(run: Run) -> Description:
    """Return what streams a deployment has now. One request.

    Raises
    ------
    InputError
        The run is no deployment.
    """
    link = run.item["links"]["search"]
    item, inside = parts(run.context, link) or (run.refresh().item, list(children(run.context, link)))
    older = [node for node in inside if node["id"] == "streams" and not is_stream(node)]
    if older:
        inside = list(children(run.context, older[0]["links"]["search"]))
    streams = {
        node["id"]: Stream(run.context, item=node, structure_clients=run.structure_clients)
        for node in inside
        if is_stream(node)
    }
    units = [name for name, stream in streams.items() if is_unit(stream.data_keys)]
    found = Description(item["attributes"]["metadata"], streams, units)
    if not (units or found.told):
        raise InputError(
            f"Run {run.uid[:8]} is no deployment of recorders: none of its streams ({', '.join(streams) or 'there are none'}) has "
            f"files as {AUDIO!r} and the columns {', '.join(COLUMNS)}, or blocks. `tilewright record wav FOLDER` makes such runs, and "
            "`tilewright.sources.Blocks`."
        )
    return found


def load(described: Description, clocks: pd.DataFrame | None = None) -> Contents:
    """Fetch what there is to know of a deployment but for its samples.

    Parameters
    ----------
    clocks
        Tie points instead of those of the run, for the units in it; see `given_ties`.

    Raises
    ------
    InputError
        `clocks` is not what it should be.
    """
    streams = described.streams
    clocked = [CLOCK + name for name in described.units if CLOCK + name in streams]
    wanted = [*described.units, *clocked, *(name for name in [REJECTED_FILES] if name in streams)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tilewright-recordings") as pool:
        rows = dict(zip(wanted, pool.map(lambda name: _rows(streams[name], described), wanted), strict=True))
    found = _units(described, rows)
    given = {} if clocks is None else given_ties(clocks, [unit.name for unit in found])
    placed = in_order([_with_ties(unit, rows, given) for unit in found])
    return Contents(placed, _rejected(rows.get(REJECTED_FILES)))


def _rows(stream: Stream, described: Description) -> pa.Table:
    """Return the rows of a stream, of blocks as if they were files."""
    if has_blocks(stream.data_keys):
        return blocks.joined_rows(stream_rows(stream, blocks.COLUMNS), described.start)
    return stream_rows(stream, [name for name, key in stream.data_keys.items() if "external" not in key])


def stream_rows(stream: Stream, columns: Sequence[str]) -> pa.Table:
    """Return columns of a stream, the last attempt of each row: in one request where its table is where ours are."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    link = f"{stream.item['links']['search']}/internal".replace("/api/v1/search/", "/api/v1/table/full/", 1)
    try:
        table = read_columns(stream.context, link, columns, unless_increasing="seq_num")
    except TransientError:  # no such table, or not with these columns
        return pa.Table.from_pandas(stream.table(columns), preserve_index=False)
    if "seq_num" in table.column_names:
        last = frames.last_attempts(table["seq_num"].to_pandas())
        table = table if isinstance(last, slice) else table.take(pa.array(last))
    return table.select(columns)


def _units(described: Description, rows: Mapping[str, pa.Table]) -> list[Unit]:
    """Return the units, those that have a stream and those that were told of only; rows and tie points are to come."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    names_told = {path_segment(str(unit["unit"])): str(unit["unit"]) for unit in described.told}
    facts = {path_segment(str(unit["unit"])): unit for unit in described.told}
    found = []
    for name in dict.fromkeys([*described.units, *facts]):
        known = {
            key: value for key, value in facts.get(name, {}).items() if value is not None and key != "unit"
        }
        if name not in rows:
            empty = pa.table({column: [] for column in COLUMNS})
            found.append(Unit(names_told[name], name, known, np.dtype(np.int16), 1, empty, (), 0))
            continue
        key = described.streams[name].data_keys[AUDIO]
        unit = names_told.get(name) or str(key.get("object_name"))
        unit = unit if path_segment(unit) == name else name
        known |= _configured(described.streams[name].metadata)
        dtype, channels = np.dtype(key.get("dtype_numpy", "<i2")), _channels(key, rows[name])
        found.append(Unit(unit, name, known, dtype, channels, rows[name], (), 0))
    return found


def _configured(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the configuration of a stream says, the latest of each."""
    known: dict[str, Any] = {}
    for one in (descriptor, *(descriptor.get("_config_updates") or [])):
        for settings in (one.get("configuration") or {}).values():
            known |= {key: value for key, value in (settings.get("data") or {}).items() if value is not None}
    return known


def _channels(key: Mapping[str, Any], rows: pa.Table) -> int:
    sizes = [size for size in key.get("shape") or [] if isinstance(size, int)]
    if sizes:
        return sizes[-1]
    return int(rows["channels"][0].as_py()) if "channels" in rows.column_names and len(rows) else 1


def _with_ties(unit: Unit, rows: Mapping[str, pa.Table], given: Mapping[str, tuple[Any, ...]]) -> Unit:
    stored = rows.get(CLOCK + unit.stream)
    ties = given.get(unit.name, () if stored is None else stored_ties(stored))
    return replace(unit, ties=ties)


def _rejected(rows: pa.Table | None) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - slow to import

    if rows is None:
        return pd.DataFrame(columns=["file", "size", "reason"]).astype(
            {"file": "str", "size": "int64", "reason": "str"}
        )
    return frames.to_frame(rows, {field.name: field.type for field in rows.schema})
