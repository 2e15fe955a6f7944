"""A catalog of runs: a uid, a scan_id, a part of a uid or -1 comes in and a `Run` goes out; or a row a run.

`open_catalog` makes it; notebooks and the command line use it.
"""

from __future__ import annotations

from difflib import get_close_matches
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

from tiled.client.container import Container
from tiled.queries import Eq, Like, SpecsQuery

from tilewright.clients.filters import metadata_queries, time_queries
from tilewright.clients.http import listing
from tilewright.clients.layout import primary_first, stream_paths
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol, Self

    import pandas as pd

    class Closeable(Protocol):
        """What a catalog may own: a connection, an embedded server."""

        def close(self) -> None:
            """Let go of it."""


_SUMMARY = {
    "uid": "start.uid",
    "scan_id": "start.scan_id",
    "plan_name": "start.plan_name",
    "time": "start.time",
    "stop_time": "stop.time",
    "exit_status": "stop.exit_status",
    "num_events": "stop.num_events",
    "rows": "tilewright.rows",
}
"""What is asked of each run for its row in `Catalog.table`, and where it stands in the metadata."""

_SHOWN = 5
"""Runs that a message names."""

_LARGEST = 2**63
"""Numbers of the metadata from here on are none that a table can hold."""

_Number = TypeVar("_Number", int, float)

_RECENT = 100
"""Runs among which a message looks for what may have been meant."""


class Catalog(Container):
    """Runs, as a mapping from their uids, in the order in which they were added.

    ``catalog[uid]``, ``catalog["8f3a1b"]`` (the beginning of a uid), ``catalog[12]`` (the latest run with that
    scan_id), ``catalog[-1]`` (the latest run). Keys, values, items, search, sort and paths are those of a Tiled
    container, and a search gives a Catalog again. It is a context manager: what `open_catalog` opened for it, a
    connection or a server, it closes.
    """

    # Without this, IPython would show Container's listing instead of our repr.
    _ipython_display_ = None
    _owned: Sequence[Closeable] = ()

    def close(self) -> None:
        """Close the connection, and the server if `open_catalog` started one. Can be repeated."""
        owned, self._owned = self._owned, ()
        for resource in owned:
            resource.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getitem__(
        self,
        key: Any,
        _ignore_inlined_contents: bool = False,  # Tiled's signature
    ) -> Any:
        """Return the run with a uid, a part of one, a scan_id, or a place from the end.

        Raises
        ------
        NotFoundError
            No such run; the message says what there is.
        InputError
            The beginning of more than one uid, or nothing a run can be asked for by.
        """
        if hasattr(key, "__index__") and not isinstance(key, bool):  # numpy's integers too
            return self._by_number(index(key))
        path = "/".join(key) if isinstance(key, tuple) and all(isinstance(k, str) for k in key) else key
        run = self._by_path(path) if isinstance(path, str) and path else None
        if run is not None:
            return run
        if not isinstance(path, str) or not path.strip("/"):
            msg = (
                f"Cannot look up a run by {key!r}: give a uid, its beginning, a scan_id, or -1 for the latest run; "
                "catalog.values()[...] takes slices."
            )
            raise InputError(msg)
        uid, _, rest = path.strip("/").partition("/")
        run = self._by_beginning(uid)
        return run[rest] if rest else run

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a run with exactly this uid."""
        return isinstance(key, str) and bool(key) and self._by_path(key) is not None

    def table(
        self,
        *,
        since: Any = None,
        until: Any = None,
        exit_status: str | None = None,
        scan_id: int | None = None,
        uid: str | None = None,
        limit: int | None = None,
        **metadata: Any,
    ) -> pd.DataFrame:
        """Return one row a run, in the order in which they were added.

        The server selects. One request, where it is Tilewright's; of a stock Tiled server, one for 300 runs. And
        one for each run that has no stop document to tell its streams.

        Parameters
        ----------
        since, until
            Runs that started at `since` or later and before `until`: text such as "2026-01-31T12:00" (UTC unless
            it says otherwise), a date (its first moment in UTC), or a datetime with a time zone.
        exit_status
            "success", "abort" or "fail".
        scan_id, uid
            Those of the start document, whole.
        limit
            The latest so many of those selected.
        **metadata
            Keys of the start document that equal a value: ``plan_name="scan"``, nested ``sample={"name": "Fe"}``
            or ``sample__name="Fe"``.

        Returns
        -------
        DataFrame
            Index 0…n-1, so that ``table.iloc[-1]`` is ``catalog[-1]`` and uid is a column like the others.
            Columns: uid, scan_id (Int64), plan_name, time (of the start, timestamps in UTC), duration
            (timedelta; NaT without a stop document), exit_status (None without), streams (list of names, primary
            first), events (Int64, of all streams together; NA where nobody counted them).

        Raises
        ------
        InputError
            A value that cannot be compared, a time that cannot be read, or a limit below 1.
        """
        if limit is not None and limit < 1:
            msg = f"limit={limit!r}: expected how many runs to give, at least 1."
            raise InputError(msg)
        more = {key: value for key, value in (("scan_id", scan_id), ("uid", uid)) if value is not None}
        queries = [*metadata_queries(metadata | more), *time_queries(since, until)]
        if exit_status is not None:
            queries.append(Eq("stop.exit_status", exit_status))
        selected = self
        for query in queries:
            selected = selected.search(query)
        return _table(selected._summaries(limit))  # noqa: SLF001  # a Catalog too

    def __repr__(self) -> str:
        """Show how many runs there are and where; one request."""
        return f"<Catalog of {_runs(len(self._only_runs()))} at {self.uri}>"

    def _repr_html_(self) -> str:
        """Show the latest runs in a notebook."""
        html: str = self.table(limit=10)._repr_html_()  # type: ignore[operator]
        return f"<p>The latest of {_runs(len(self._only_runs()))}:</p>{html}"

    def _only_runs(self) -> Catalog:
        """Leave out what else may lie in the container."""
        return self.search(SpecsQuery(include=["BlueskyRun"], exclude=[]))  # type: ignore[no-any-return]

    def _by_number(self, number: int) -> Any:
        if number == 0:
            msg = "Cannot look up run 0: give a scan_id, which starts at 1, or -1 for the latest run."
            raise InputError(msg)
        runs, place, asked = self._only_runs(), number, f"run {number} from the end"
        if number > 0:
            runs, place, asked = runs.search(Eq("start.scan_id", number)), -1, f"run with scan_id {number}"
        try:
            return runs.values()[place]
        except IndexError:
            raise self._not_found(asked, "") from None

    def _by_path(self, path: str) -> Any:
        """Return the node at a path, or the run of this uid; None if there is neither.

        Only a path that an address can hold is looked up as it is: "a?b" would give the run "a".
        """
        from tilewright.documents import path_segment, run_key  # noqa: PLC0415  # imports event_model

        keys = [path] if all(key == path_segment(key) for key in path.strip("/").split("/")) else []
        for key in dict.fromkeys([*keys, run_key(path)]):
            try:
                return super().__getitem__(key)
            except KeyError:
                continue
        return None

    def _by_beginning(self, beginning: str) -> Any:
        # LIKE takes % and _ for wildcards and ignores case, so what the server finds is looked through again.
        found = {}  # node by uid
        if beginning.isprintable() and beginning:
            runs = self._only_runs().search(Like("start.uid", f"{beginning}%"))
            summaries = runs._summaries(None)  # noqa: SLF001  # a Catalog too
            found = {one["uid"]: one["key"] for one in summaries if one["uid"].startswith(beginning)}
        if not found:
            raise self._not_found(f"run {beginning!r}", beginning)
        if len(found) > 1:
            shown = ", ".join(list(found)[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
            msg = f"{beginning!r} is the beginning of {len(found)} uids: {shown}. Give more of it."
            raise InputError(msg)
        return super().__getitem__(next(iter(found.values())))

    def _not_found(self, asked: str, uid: str) -> NotFoundError:
        """Say what was asked for, and what there is."""
        count = len(self._only_runs())
        if not count:
            return NotFoundError(f"No {asked}: there are no runs in the catalog at {self.uri}.")
        recent = list(self._summaries(_RECENT))
        beginnings = {summary["uid"][: max(len(uid), 8)]: summary for summary in recent}
        close = [f"{found!r}" for found in get_close_matches(uid, list(beginnings), n=3)] if uid else []
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        latest = ", ".join(_short(summary) for summary in recent[: -_SHOWN - 1 : -1])
        where = f"{_runs(count)} in the catalog at {self.uri}"
        return NotFoundError(f"No {asked} among the {where}.{hint} The latest: {latest}.")

    def _summaries(self, limit: int | None) -> Iterator[dict[str, Any]]:
        """Yield what `_SUMMARY` asks for, the key and the streams of each run, oldest first."""
        link = self.item["links"]["search"].rstrip("/")
        # The latest come first from the server where only some are wanted.
        order = self._sorting_params if limit is None else (self._reversed_sorting_params or {"sort": "-"})
        params = {**self._only_runs()._queries_as_params, **order}  # noqa: SLF001  # a Catalog too
        items = listing(self.context, link, list(_SUMMARY.values()), params, limit=limit)
        for key, values in items if limit is None else reversed(list(items)):
            summary = dict(zip(_SUMMARY, values, strict=True))
            # A run that was cut off has no stop document; what its writer counted tells its streams and events.
            counted = summary["num_events"] or summary["rows"]
            counts = counted if isinstance(counted, dict) else None
            yield {
                "key": key,
                "uid": str(summary["uid"] or key),
                "scan_id": _number(summary["scan_id"], int),
                "plan_name": summary["plan_name"],
                "time": _number(summary["time"], float),
                "stop_time": _number(summary["stop_time"], float),
                "exit_status": summary["exit_status"],
                "num_events": counts,
                "streams": _streams(self, counts, f"{link}/{key}"),
            }


def _streams(catalog: Catalog, num_events: dict[str, int] | None, link: str) -> list[str]:
    if num_events is None:
        return list(stream_paths(catalog.context, link))
    return primary_first(num_events)


def _table(summaries: Iterator[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415  # heavy

    columns = ["uid", "scan_id", "plan_name", "time", "duration", "exit_status", "streams", "events"]
    rows = [
        summary
        | {
            "duration": _difference(summary["stop_time"], summary["time"]),
            "events": None if summary["num_events"] is None else _total(summary["num_events"]),
        }
        for summary in summaries
    ]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    frame["time"] = pd.to_datetime(frame["time"].astype("float64"), unit="s", utc=True, errors="coerce")
    frame["duration"] = pd.to_timedelta(frame["duration"].astype("float64"), unit="s", errors="coerce")
    return frame.astype({"uid": "str", "scan_id": "Int64", "events": "Int64"})


def _number(value: Any, kind: type[_Number]) -> _Number | None:
    """Return a number of the metadata; None for what should be one and is not: it may be anything."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST
    return kind(value) if is_number and (kind is float or value == int(value)) else None


def _total(counts: dict[str, Any]) -> int:
    return sum(_number(count, int) or 0 for count in counts.values())


def _difference(stop: float | None, start: float | None) -> float | None:
    return None if stop is None or start is None else stop - start


def _short(summary: dict[str, Any]) -> str:
    return f"{summary['uid'][:8]} (scan_id {summary['scan_id']}, {summary['plan_name']})"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
