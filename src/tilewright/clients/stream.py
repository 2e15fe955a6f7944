"""One stream of a run: its rows as a DataFrame, all of it as an xarray Dataset, its configuration.

Tiled makes a `Stream` for a node with the spec TilewrightStream, and `open_catalog` for Bluesky's streams too.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from tiled.client.composite import CompositeClient
from tiled.client.container import Container
from tiled.client.utils import client_for_item
from tiled.structures.data_source import DataSource

from tilewright.clients import frames
from tilewright.clients.layout import KEYS, OURS, REJECTED, Layout, stream_layout, stream_parts
from tilewright.clients.rows import every_row, matching_rows
from tilewright.documents import is_joined
from tilewright.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    import xarray as xr

    from tilewright.tables import Schema
    from tilewright.tables.conditions import Where


class Stream(CompositeClient):
    """A stream: the events of a run that share a descriptor.

    As a Tiled client it is a mapping from column names and data keys to clients of arrays: ``stream["x"].read()``.
    """

    # Without this, IPython would show Container's listing instead of our repr.
    _ipython_display_ = None

    @property
    def name(self) -> str:
        """Name of the stream, e.g. "primary"."""
        return str(self.item["id"])

    @property
    def descriptor(self) -> dict[str, Any]:
        """The stream's first event descriptor; Bluesky's writer leaves out its name and its run."""
        return {key: value for key, value in self.metadata.items() if key != "_config_updates"}

    @property
    def data_keys(self) -> dict[str, Any]:
        """Data key → what the descriptor says of it: source, dtype, shape, units and more."""
        return _mapping(self.metadata.get("data_keys"))

    @property
    def config(self) -> pd.DataFrame:
        """Configuration of the devices, one row a value, updates during the run after the first.

        Columns: device, key, value, timestamp (when the device took it, seconds since 1970), and since (time of
        the descriptor that said so, seconds since 1970: events after it were taken with this value).
        """
        import pandas as pd  # noqa: PLC0415  # heavy

        descriptors = [self.metadata, *(self.metadata.get("_config_updates") or [])]
        rows = [
            (
                device,
                key,
                value,
                _mapping(_mapping(settings).get("timestamps")).get(key),
                descriptor.get("time"),
            )
            for descriptor in descriptors
            for device, settings in _mapping(descriptor.get("configuration")).items()
            for key, value in _mapping(_mapping(settings).get("data")).items()
        ]
        # As objects, or pandas would make floats of ints that stand beside floats.
        frame = pd.DataFrame(rows, columns=["device", "key", "value", "timestamp", "since"], dtype=object)
        times = {name: pd.to_numeric(frame[name], errors="coerce") for name in ("timestamp", "since")}
        return frame.assign(**times).astype(
            {"device": "str", "key": "str", "timestamp": "float64", "since": "float64"}
        )

    def table(
        self,
        columns: str | Iterable[str] | None = None,
        *,
        timestamps: bool = False,
        attempts: bool = False,
        where: str | Where | None = None,
    ) -> pd.DataFrame:
        """Return the stream's rows: numbers, strings, booleans and short lists, never images.

        One request for the rows, after one for what columns there are (one request a table where a stream has
        more than 1,024 columns).

        Parameters
        ----------
        columns
            Names, exactly these in this order: data keys, ``seq_num``, ``time``, ``ts_<key>``. None for seq_num,
            time and every data key that has a column, in the descriptor's order. A data key that no table takes
            for a name has another (``time`` is ``time_``); the run's notes say so.
        timestamps
            Add the columns ``ts_<key>``, when each value was taken.
        attempts
            A plan that was rewound took some seq_num more than once. False for the last attempt of each; True
            for every row in the order taken.
        where
            Only rows that meet this, such as ``"site_id == 285 and subsite_name == 'Dry-A'"``: any columns, also ones that
            are not asked for, compared by ``== != < <= > >=`` with numbers, texts, True, False or each other; ``in`` and
            ``not in`` a list; ``is None``; a column of booleans by itself; and, or, not. A column whose name is no
            identifier stands in backquotes. A missing value meets no comparison, and so all negations
            (`tilewright.tables.conditions`). Our server finds the rows, so that only they travel; of another one, or of a
            stream of more than 1,024 columns, all rows are fetched. Without `attempts`, the last ones are looked at.

        Returns
        -------
        DataFrame
            Index 0…n-1. ``time`` and ``ts_`` columns are seconds since 1970 as stored, float64, as Bluesky's own
            clients give them; ``pandas.to_datetime(df["time"], unit="s", utc=True)`` makes timestamps. Whole
            numbers and booleans with gaps are ``Int64`` and ``boolean``; a short list is a 1-D numpy array.

        Raises
        ------
        NotFoundError
            No such column; the message names those there are.
        InputError
            If `where` cannot be read, names a column that there is not, or compares a text with a number.
        """
        return self.table_of(self.layout(), columns, timestamps=timestamps, attempts=attempts, where=where)

    def table_of(
        self,
        layout: Layout,
        columns: str | Iterable[str] | None,
        *,
        timestamps: bool,
        attempts: bool,
        where: str | Where | None,
    ) -> pd.DataFrame:
        """Return what `table` does, of a stream that is laid out in this way; `Run.table` calls it."""
        wanted = self._wanted(layout, columns, timestamps=timestamps)
        condition = None if where is None else self._condition(layout, where)
        rows = self._rows(layout, wanted, repeats=not attempts, where=condition)
        if not attempts and "seq_num" in rows:
            rows = rows.iloc[frames.last_attempts(rows["seq_num"])].reset_index(drop=True)
        return rows[wanted]

    def rejected(self) -> pd.DataFrame:
        """Return the values that fitted no column, one row a value: seq_num, data_key, value, reason.

        In the order taken, every attempt. The table has null in their place.
        """
        import pandas as pd  # noqa: PLC0415  # heavy

        layout = self.layout()
        found: list[tuple[int, str, Any, str]] = []
        if layout.rejected is not None:
            rows = self._rows(layout, ["seq_num", REJECTED]).dropna(subset=[REJECTED])
            for seq_num, text in zip(rows["seq_num"], rows[REJECTED], strict=True):
                found += [(seq_num, key, v["value"], v["reason"]) for key, v in json.loads(text).items()]
        # As objects from the start: pandas would make floats of ints that stand beside floats.
        result = pd.DataFrame(found, columns=["seq_num", "data_key", "value", "reason"], dtype=object)
        integers = "Int64" if result["seq_num"].isna().any() else "int64"
        return result.astype({"seq_num": integers, "data_key": "str", "reason": "str"})

    def read(self, variables: str | Iterable[str] | None = None, dim0: str | None = None) -> xr.Dataset:
        """Return the stream as a Dataset along the dimension ``time``; images and other files stay lazy.

        Columns are read in one request. Arrays are dask arrays: nothing of them is fetched before it is used, and
        then without a word, for dask decides what. To see how far it is, compute within
        `dask.diagnostics.ProgressBar`, or take ``stream[key]``, which tells what is large by itself.
        Of a rewound plan the last attempt of each seq_num is given.

        Parameters
        ----------
        variables
            Data keys or ``ts_<key>``. None for every data key.
        dim0
            Name of the first dimension instead of ``time``.

        Returns
        -------
        Dataset
            Coordinates ``time`` (seconds since 1970) and ``seq_num``, both along the first dimension. Lists of
            one length are 2-D. Whole numbers with gaps become floats, or objects where floats are too coarse;
            a missing boolean is None, a missing string None or NaN, as xarray has it.
            An array whose length is not that of the stream has first dimension ``<key>_dim0``.

        Raises
        ------
        NotFoundError
            No such variable; the message names those there are.
        """
        from tilewright.clients.datasets import make_dataset  # noqa: PLC0415  # imports xarray and dask

        layout = self.layout()
        names = [variables] if isinstance(variables, str) else variables
        wanted = list(dict.fromkeys([*layout.data, *layout.arrays] if names is None else names))
        if unknown := [name for name in wanted if layout.home(name) is None and name not in layout.arrays]:
            raise self._no_such("variable", unknown[0], [*layout.data, *layout.arrays, *layout.timestamps])
        columns = [name for name in wanted if name not in layout.arrays and name not in KEYS]
        rows = self._rows(layout, [*KEYS, *columns]) if layout.tables else None
        arrays = {key: self._lazy(layout.arrays[key]) for key in wanted if key in layout.arrays}
        joined = [key for key in arrays if is_joined(self.data_keys.get(key))]
        # Only our writer has a row in them for each row of the table.
        is_ours = any(spec["name"] == OURS for spec in self.item["attributes"]["specs"])
        in_step = [key for key in layout.in_events if is_ours and key in arrays and key not in joined]
        return make_dataset(rows, arrays, dim0 or "time", in_step=in_step, joined=joined)

    def __getitem__(
        self, key: str | tuple[str, ...], _ignore_inlined_contents: bool = False
    ) -> Any:  # Tiled's signature
        """Return the client of a column or an array, which fetches nothing before it is asked to: `arrays.Array`."""
        name = "/".join(key) if isinstance(key, tuple) else key
        layout = self.layout()
        paths = layout.paths
        if name not in paths:
            raise self._no_such("column or array", name, list(paths))
        if name in layout.arrays and not (self._queries or self._include_data_sources):
            return self.array_of(layout.arrays[name])
        return self._ours(Container.__getitem__(self, paths[name], _ignore_inlined_contents))

    @property
    def run_key(self) -> str:
        """Key of the run in the catalog: its uid, but for characters that no path has."""
        *_, run = (key for key in self.item["attributes"]["ancestors"] if key != "streams")
        return str(run)

    @property
    def _flat_keys_mapping(self) -> dict[str, str]:
        """Column or data key → path below the stream; Tiled's own knows only one of the layouts."""
        return self.layout().paths

    def __repr__(self) -> str:
        """Show the name and the data keys; no request."""
        return f"<Stream {self.name!r}: {', '.join(self.data_keys) or 'no data keys'}>"

    def layout(self, inside: Sequence[dict[str, Any]] | None = None) -> Layout:
        """Return what the stream is made of now (a run may be going on). One request.

        Parameters
        ----------
        inside
            Descriptions of the nodes in it, if they are at hand: then none.
        """
        found = stream_parts(self.context, self.item["links"]["search"], inside=inside)
        return stream_layout(found, self.data_keys)

    def described_array(self, key: str) -> tuple[dict[str, Any], DataSource[Any]]:
        """Return how the server describes an array now, and where it lies. One request.

        For those who read its files themselves: a client of it, which `array_of` makes, takes half a second to import dask.

        Raises
        ------
        NotFoundError
            If the stream has no such array.
        """
        found = stream_parts(self.context, self.item["links"]["search"], {"include_data_sources": True})
        arrays = stream_layout(found, self.data_keys).arrays
        if key not in arrays:
            raise self._no_such("array", key, list(arrays))
        item = arrays[key]
        (source,) = item["attributes"].pop("data_sources")
        return item, DataSource.from_json(source)

    def array_of(self, item: dict[str, Any]) -> Any:
        """Return the client of an array as the server described it. No request."""
        return self._ours(client_for_item(self.context, self.structure_clients, item))

    def _ours(self, client: Any) -> Any:
        from tilewright.clients.arrays import ours  # noqa: PLC0415  # imports dask

        return ours(client, self.name, self.run_key)

    def _wanted(self, layout: Layout, columns: str | Iterable[str] | None, *, timestamps: bool) -> list[str]:
        """Turn the arguments of `table` into column names, each once."""
        data, stamps = layout.data, layout.timestamps
        if not layout.tables:
            declared = self._empty_schema(layout).columns
            data = tuple(column.name for column in declared if column.source == "data")
            stamps = tuple(column.name for column in declared if column.source == "timestamps")
        there = [*KEYS, *data, *stamps]
        if columns is None:
            names = [*KEYS, *data]
        else:
            names = [columns] if isinstance(columns, str) else list(columns)
        for name in names:
            if name in layout.arrays:
                msg = (
                    f"{name!r} of stream {self.name!r} is an array in its own right, not a column of the table: "
                    f"take stream[{name!r}] or stream.read([{name!r}])."
                )
                raise NotFoundError(msg)
            if name not in there:
                raise self._no_such("column", name, there)
        added = [f"ts_{name}" for name in names if f"ts_{name}" in stamps] if timestamps else []
        return list(dict.fromkeys([*names, *added]))

    def _condition(self, layout: Layout, where: str | Where) -> Where:
        """Return a condition that fits the stream's columns, before anything is asked for."""
        from tilewright.tables.matching import fitted  # noqa: PLC0415  # heavy
        from tilewright.tables.where import parse  # noqa: PLC0415  # heavy

        types = {name: type_ for table in layout.tables for name, type_ in table.types().items()}
        if not layout.tables:
            types = {field.name: field.type for field in self._empty_schema(layout).arrow}
        condition = parse(where, types) if isinstance(where, str) else where
        fitted(condition, types)
        return condition

    def _rows(
        self,
        layout: Layout,
        columns: Sequence[str],
        *,
        repeats: bool = False,
        where: Where | None = None,
    ) -> pd.DataFrame:
        """Fetch columns, every row in the order taken, one request a table concerned.

        Parameters
        ----------
        repeats
            Whether to fetch seq_num too, if it tells of rows that were taken again; see `rows`.
        where
            Only rows that meet it; with `repeats`, of those that are the last of their seq_num.
        """
        names = list(dict.fromkeys(columns))
        if not layout.tables:
            empty = self._empty_schema(layout).arrow.empty_table().select(names)
            return frames.to_frame(empty, {field.name: field.type for field in empty.schema})
        if where is None:
            rows = every_row(self.context, layout, names, repeats=repeats)
        else:
            rows = matching_rows(self.context, layout, names, where, repeats=repeats)
        if rows is None:
            import pandas as pd  # noqa: PLC0415  # heavy

            return pd.DataFrame()
        homes = {home.path: home for name in rows.column_names if (home := layout.home(name)) is not None}
        types = {name: type_ for home in homes.values() for name, type_ in home.types().items()}
        return frames.to_frame(rows, types)

    def _empty_schema(self, layout: Layout) -> Schema:
        """Return the schema of the table that a stream without rows would have: what the descriptor says."""
        from tilewright.tables import Hints, schema_for, usable  # noqa: PLC0415  # heavy

        data_keys, _ = usable({key: spec for key, spec in self.data_keys.items() if key not in layout.arrays})
        return schema_for(data_keys, Hints())

    def _lazy(self, item: dict[str, Any]) -> Any:
        """Return the array of a node: dask for arrays, in memory for ragged ones (event data, never files)."""
        from tilewright.clients.arrays import DaskArray  # noqa: PLC0415  # imports dask

        if item["attributes"]["structure_family"] == "array":
            return DaskArray(self.context, item=item, structure_clients=self.structure_clients)
        return client_for_item(self.context, self.structure_clients, item)

    def _no_such(self, what: str, name: str, there: Sequence[str]) -> NotFoundError:
        close = get_close_matches(str(name), there, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        names = ", ".join(there) or "none"
        return NotFoundError(f"Stream {self.name!r} has no {what} {name!r}.{hint} There are: {names}.")


def _mapping(value: Any) -> dict[str, Any]:
    """Return a part of a descriptor that should be a mapping; empty if it is none: metadata may be anything."""
    return dict(value) if isinstance(value, dict) else {}
