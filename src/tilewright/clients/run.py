"""One run: its documents, its streams, its rows and the files behind it.

Tiled makes a `Run` for a node with the spec TilewrightRun, and `open_catalog` for Bluesky's runs too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiled.client.container import Container
from tiled.client.utils import client_for_item

from tilewright.clients.http import parts
from tilewright.clients.layout import is_stream, stream_paths
from tilewright.clients.stream import Stream
from tilewright.errors import NotFoundError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    import pandas as pd
    import xarray as xr

    from tilewright.clients.cables import Cable, Tiles
    from tilewright.clients.embeddings import Dataset
    from tilewright.clients.recordings import Deployment
    from tilewright.delivery.verify import Comparison
    from tilewright.tables.conditions import Where


class Run(Container):
    """A run: a mapping from the names of its streams to `Stream`.

    Its documents are those of the moment it was opened; `refresh` asks again. Streams and rows are always asked
    for anew, so that a run can be watched while it is going on.
    """

    # Without this, IPython would show Container's listing instead of our repr.
    _ipython_display_ = None

    @property
    def start(self) -> dict[str, Any]:
        """The start document."""
        return dict(self.metadata.get("start") or {})

    @property
    def stop(self) -> dict[str, Any] | None:
        """The stop document; None for a run that is going on or was cut off."""
        stop = self.metadata.get("stop")
        return dict(stop) if stop else None

    @property
    def uid(self) -> str:
        """Unique name of the run."""
        return str(self.start.get("uid", self.item["id"]))

    @property
    def scan_id(self) -> int | None:
        """Number that the RunEngine gave the run; not unique; None if it gave none."""
        return self.start.get("scan_id")

    @property
    def streams(self) -> list[str]:
        """Names of the streams: primary first, then as they were opened. One request."""
        return list(stream_paths(self.context, self.item["links"]["search"]))

    @property
    def notes(self) -> list[str]:
        """What the writer had to change or could not keep as it was, one sentence each."""
        return list(self.metadata.get("notes") or [])

    def verify(
        self, journal: str | os.PathLike[str] | None = None, *, files: bool = False, repair: bool = False
    ) -> Comparison:
        """Check again that the catalog has what was recorded, and that the files are what was declared.

        Parameters
        ----------
        journal
            Folder of journals, or one journal. The run is compared with its journal, value by value. Without it, the
            number and the order of its rows are compared with the report that its delivery left.
        files
            Whether to have the server look into every file behind the run too, and hold its dtype, shape and chunks against
            what was declared. A server that is not Tilewright's cannot be asked: then this machine looks, and the result
            says so.
        repair
            Whether to make the catalog what the journal says, where they differ; and with `files`, to correct the
            structure of arrays whose files are other than declared: to the rows that are there in unbroken order, the
            dtype and the chunks of the files. `notes` then say what it was. A later delivery of the same journal makes it
            again what was declared.

        Raises
        ------
        NotFoundError
            If the folder has no journal of this run, or is not there.
        InputError
            If `repair` is asked for without a journal and without `files`, or the journal is of another run. Or if the folder has journals
            of this run for several other catalogs: then one has to be given.
        """
        from tilewright.clients.verification import verify  # noqa: PLC0415 - slow to import, rarely used

        return verify(self, None if journal is None else Path(journal), files=files, repair=repair)

    @property
    def base(self) -> Container:
        """The same node as a plain Tiled container, which shows it as it is stored."""
        return Container(
            self.context,
            item=self.item,
            structure_clients=self.structure_clients,
            include_data_sources=self._include_data_sources,
        )

    def table(
        self,
        stream: str = "primary",
        columns: str | Iterable[str] | None = None,
        *,
        timestamps: bool = False,
        attempts: bool = False,
        where: str | Where | None = None,
    ) -> pd.DataFrame:
        """Return the rows of a stream: numbers, strings, booleans and short lists. See `Stream.table`.

        Times are float seconds since 1970, as stored.

        Raises
        ------
        NotFoundError
            No such stream or column; the message names those there are.
        InputError
            If `where` cannot be read, or does not fit the columns.
        """
        node, inside = self._open(stream)
        if not isinstance(node, Stream):
            raise self._no_such_stream(stream, self.streams)
        layout = node.layout(inside)
        return node.table_of(layout, columns, timestamps=timestamps, attempts=attempts, where=where)

    def read(
        self, stream: str = "primary", variables: str | Iterable[str] | None = None, dim0: str | None = None
    ) -> xr.Dataset:
        """Return a stream as a Dataset: columns in memory, images and other files lazy. See `Stream.read`.

        Raises
        ------
        NotFoundError
            No such stream or variable; the message names those there are.
        """
        return self[stream].read(variables, dim0)  # type: ignore[no-any-return]

    def rejected(self, stream: str = "primary") -> pd.DataFrame:
        """Return the values that fitted no column: seq_num, data_key, value, reason. See `Stream.rejected`."""
        return self[stream].rejected()  # type: ignore[no-any-return]

    def assets(self) -> pd.DataFrame:
        """Return every file behind the run, one row a file. One request, and one a stream.

        See `tilewright.clients.assets` for the columns.
        """
        from tilewright.clients.assets import asset_table  # noqa: PLC0415  # imports pandas

        search = self.item["links"]["search"]
        paths = stream_paths(self.context, search)
        return asset_table(self.context, {name: f"{search}/{path}" for name, path in paths.items()})

    def deployment(self, clocks: pd.DataFrame | None = None) -> Deployment:
        """Return the recordings of a run of recorders, to be selected by time: `recordings.Deployment`.

        Parameters
        ----------
        clocks
            Tie points instead of those that the run has, for the units in it: one row each, with the columns unit, utc, sample
            or nominal (what the unit's clock said), and uncertainty (ns) if known; or unit, time (what the clock said)
            and drift (seconds by which it was ahead).

        Raises
        ------
        InputError
            If no stream of the run is a recorder's. If `clocks` is not what it should be, when it is needed.
        """
        from tilewright.clients.recordings import Deployment  # noqa: PLC0415 - for runs of recorders alone

        return Deployment(self, clocks)

    def embeddings(self, model: str | None = None) -> Dataset:
        """Return the vectors of a run of embeddings with what is known of each: `embeddings.Dataset`.

        Parameters
        ----------
        model
            What made the vectors, where the run does not tell: those of different models are not compared with each other.

        Raises
        ------
        InputError
            If the run has no embeddings, or was made by another model.
        """
        from tilewright.clients.embeddings import Dataset  # noqa: PLC0415 - for runs of embeddings alone

        return Dataset(self, model)

    def cable(self) -> Cable:
        """Return the samples of a run of a fibre-optic cable, to be selected by time and distance: `cables.Cable`.

        Raises
        ------
        InputError
            If the run is no acquisition of a cable.
        """
        from tilewright.clients.cables import Cable  # noqa: PLC0415 - for runs of cables alone

        return Cable(self)

    def tiles(self) -> Tiles:
        """Return the pictures of a run that was made of a cable's, with what each was made of: `cables.Tiles`.

        Raises
        ------
        InputError
            If the run has no tiles.
        """
        from tilewright.clients.cables import Tiles  # noqa: PLC0415 - for runs of tiles alone

        return Tiles(self)

    def __getitem__(
        self, keys: str | tuple[str, ...], _ignore_inlined_contents: bool = False
    ) -> Any:  # Tiled's signature
        """Return a stream, or with "stream/key" the client of a column or an array in it."""
        path = "/".join(keys) if isinstance(keys, tuple) else str(keys)
        name, _, rest = path.strip("/").partition("/")
        node, _ = self._open(name)
        return node[rest] if rest else node

    def _open(self, name: str) -> tuple[Container, list[dict[str, Any]] | None]:
        """Return a stream, and the descriptions of what is in it if the server gave them at once."""
        node, inside = self._lookup(name)
        if node is None:
            paths = stream_paths(self.context, self.item["links"]["search"])
            if name not in paths:
                raise self._no_such_stream(name, list(paths))
            node = Container.__getitem__(self, paths[name])
        if isinstance(node, Stream) or (name == "streams" and not is_stream(node.item)):
            return node, inside
        return Stream(self.context, item=node.item, structure_clients=self.structure_clients), inside

    def _lookup(self, name: str) -> tuple[Any, list[dict[str, Any]] | None]:
        """Return a direct child, or None, and what is in it; today's layout needs no more than this one request."""
        if not name:
            return None, None
        if not (self._queries or self._include_data_sources):  # which only Tiled's own routes know
            described = parts(self.context, f"{self.item['links']['search']}/{name}")
            if described is not None:
                item, inside = described
                return client_for_item(self.context, self.structure_clients, item), inside
        try:
            return Container.__getitem__(self, name), None
        except KeyError:
            return None, None

    def _no_such_stream(self, name: str, there: list[str]) -> NotFoundError:
        run = f"Run {self.uid[:8]}"
        if not there:
            return NotFoundError(f"{run} has no stream {name!r}: it has no streams at all.")
        close = get_close_matches(name, there, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return NotFoundError(f"{run} has no stream {name!r}.{hint} Its streams are: {', '.join(there)}.")

    # The mapping shows the streams, whichever layout the run has.

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the streams."""
        return iter(self.streams)

    def __len__(self) -> int:
        """Return the number of streams."""
        return len(self.streams)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is such a stream."""
        return key in self.streams

    def _keys_slice(self, start: int, stop: int | None, direction: int, *_: Any, **__: Any) -> Iterator[str]:
        names = self.streams if direction > 0 else self.streams[::-1]
        yield from names[start:stop]

    def _items_slice(
        self, start: int, stop: int | None, direction: int, *_: Any, **__: Any
    ) -> Iterator[tuple[str, Any]]:
        for name in self._keys_slice(start, stop, direction):
            yield name, self[name]

    def _facts(self) -> dict[str, str]:
        """Return what one wants to see of a run at a glance."""
        start, stop = self.start, self.stop
        return {
            "uid": self.uid,
            "scan_id": str(self.scan_id),
            "plan": str(start.get("plan_name")),
            "start": _moment(start.get("time")),
            "exit status": str(stop.get("exit_status")) if stop else "no stop document",
            "streams": ", ".join(self.streams) or "none",
        }

    def __repr__(self) -> str:
        """Show uid, scan_id, plan, time, end and streams; one request."""
        facts = self._facts()
        return (
            f"<Run {self.uid[:8]}, scan_id {facts['scan_id']}, {facts['plan']}, {facts['start']}, "
            f"{facts['exit status']}, streams: {facts['streams']}>"
        )

    def _repr_html_(self) -> str:
        """Show the same as a small table in a notebook."""
        rows = "".join(f"<tr><th>{k}</th><td>{escape(v)}</td></tr>" for k, v in self._facts().items())
        return f"<table>{rows}</table>"


def _moment(seconds: Any) -> str:
    if seconds is None:
        return "no start time"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (TypeError, ValueError, OverflowError, OSError):
        return f"no start time ({seconds!r:.40})"
