"""The requests behind the clients: a node's links come in; its children's descriptions or its rows go out.

`catalog`, `run` and `stream` call this. One round trip costs some 20 ms whatever it carries, so these ask for
pages as large as Tiled allows and for a table in one piece; and first for what our own server has routes for.
"""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse
from weakref import WeakSet

import httpx
from httpx import codes
from tiled.client.utils import MSGPACK_MIME_TYPE, ClientError, handle_error, retry_context
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

from tilewright.errors import InputError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from tiled.client.context import Context

    from tilewright.tables.conditions import Where
    from tilewright.tables.selection import Selection

PAGE_SIZE = 300
"""Children a page: the most that Tiled gives."""

_STOCK: WeakSet[Context] = WeakSet()
"""Connections to servers that turned out not to have our routes."""

_ONE_TABLE = Lock()
"""Held while a stock server is asked for a table.

Tiled's DuckDB storage hands one connection to every request (`tilewright.server.storage` says why that kills): two
tables asked for at once from threads of ours ended a server.
"""

_NO_ROUTE = '{"detail":"Not Found"}'
"""What a server answers, with 404, where it has no such route; a node that is not there is named."""

SAME_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts from which rows come faster as they are than compressed: numbers shrink little, at 300 MB/s."""

_URL_LIMIT = 2_000
"""Characters of a URL past which the columns travel in the body of a POST; the limit Tiled's client keeps."""


def children(
    context: Context, link: str, params: Mapping[str, Any] | None = None, *, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the descriptions ("items") of the nodes in a container, one request a page.

    Parameters
    ----------
    context
        Connection of the client that asks.
    link
        The container's ``search`` link.
    params
        Further parameters of Tiled's ``/search``: ``fields``, ``filter[...]``, ``sort``, ``select_metadata``…
    limit
        Stop after so many; None for all.
    """
    page: str | None = link
    query = {"page[limit]": min(limit or PAGE_SIZE, PAGE_SIZE), **(params or {})}
    left = limit
    while page is not None:
        for attempt in retry_context(context):
            with attempt:
                response = context.http_client.get(
                    page,
                    headers={"Accept": MSGPACK_MIME_TYPE},
                    params={**query, **parse_qs(urlparse(page).query)},
                )
                content = handle_error(response).json()
        items = content["data"] if left is None else content["data"][:left]
        yield from items
        left = None if left is None else left - len(items)
        page = content["links"]["next"] if left is None or left > 0 else None


def parts(context: Context, link: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return the description of a container and those of the nodes in it, in one request.

    None where a server has no route for it (`tilewright.server.parts`), or no such container.

    Parameters
    ----------
    link
        The container's ``search`` link.
    """
    answer = ask_ours(context, "GET", ours(link, "search", "parts"))
    if answer is None:
        return None
    container, *inside = answer.json()
    return container, inside


def file_checks(context: Context, link: str) -> list[dict[str, Any]] | None:
    """Have the server look at the files behind a run, and return what it found of each array; one request.

    None where a server has no route for it (`tilewright.server.files`), or cannot tell who may see what.

    Parameters
    ----------
    link
        The run's ``search`` link.
    """
    answer = ask_ours(context, "GET", ours(link, "search", "files"))
    return None if answer is None else [json.loads(line) for line in answer.content.splitlines() if line]


def listing(
    context: Context,
    link: str,
    places: Sequence[str],
    params: Mapping[str, Any],
    *,
    limit: int | None = None,
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the key of each node in a container, and some of its metadata; None for what is not there.

    One request of a server with our route for it (`tilewright.server.listing`), else one a page.

    Parameters
    ----------
    link
        The container's ``search`` link.
    places
        Where in the metadata the values stand: "start.uid".
    params
        Which nodes, in which order: ``filter[...]`` and ``sort`` of Tiled's ``/search``.
    limit
        Stop after so many; None for all.
    """
    answer = None
    if limit is None or limit > PAGE_SIZE:  # one page is no slower by Tiled's route
        query = {"value": list(places), **params} | ({} if limit is None else {"limit": limit})
        answer = ask_ours(context, "GET", ours(link, "search", "listing"), params=query)
    if answer is not None:
        for line in answer.content.splitlines():
            key, *values = json.loads(line)
            yield key, values
        return
    wanted = ", ".join(f"v{number}: {place}" for number, place in enumerate(places))
    params = {"fields": "metadata", "select_metadata": f"{{{wanted}}}", "omit_links": True, **params}
    for item in children(context, link, params, limit=limit):
        selected = item["attributes"]["metadata"]["selected"]
        yield item["id"], [selected[f"v{number}"] for number in range(len(places))]


def read_columns(
    context: Context,
    link: str,
    columns: Sequence[str],
    *,
    unless_increasing: str | None = None,
    where: Where | None = None,
) -> pa.Table:
    """Fetch columns of a table in one request (more only where the server finds that too large).

    Parameters
    ----------
    link
        The table's ``full`` link.
    columns
        Names, at least one; the result has them in this order.
    unless_increasing
        One more column. A server of ours leaves it out if its values increase from row to row.
    where
        Only rows that meet it; None for all. With it, `unless_increasing` is never in the result: of rows with the same
        value there, only the last is looked at. A server of ours finds them; of another one, all rows are fetched.

    Raises
    ------
    TransientError
        The table changed between being described and being read.
    InputError
        If `where` does not fit the table.
    """
    if where is not None:
        return _matching(context, link, columns, where, unless_increasing)
    more = [] if unless_increasing is None or unless_increasing in columns else [unless_increasing]
    try:
        table = _request(context, link, columns, more)
    except ClientError as error:
        if error.response.status_code == codes.NOT_FOUND or "No such field" in str(error):
            raise _changed(link) from error
        names = [*columns, *more]
        if "Response would exceed" not in str(error):
            raise
        from tilewright.tables.selection import Selection  # noqa: PLC0415  # heavy

        in_pieces = _selected(context, link, Selection(tuple(names)))
        if in_pieces is not None:
            return in_pieces
        if len(names) == 1:
            raise
        middle = len(names) // 2
        return side_by_side(
            [read_columns(context, link, names[:middle]), read_columns(context, link, names[middle:])]
        )
    if not set(columns) <= set(table.column_names):
        raise _changed(link)
    return table.select([*columns, *(name for name in more if name in table.column_names)])


def _matching(
    context: Context, link: str, columns: Sequence[str], where: Where, last_of: str | None
) -> pa.Table:
    """Fetch the rows that meet a condition; of a server that cannot be asked for them, all, and look through them here."""
    from tilewright.tables.selection import Selection, selected  # noqa: PLC0415  # heavy

    selection = Selection(tuple(columns), where, last_of)
    found = _selected(context, link, selection)
    return selected(read_columns(context, link, selection.needed()), selection) if found is None else found


def _selected(context: Context, link: str, selection: Selection) -> pa.Table | None:
    """Fetch the rows of a selection, as many a request as the server gives at once.

    None where a server does not know selections: a stock one, or one of ours from before there were any.
    """
    import pyarrow as pa  # noqa: PLC0415  # heavy

    from tilewright.tables.selection import MORE  # noqa: PLC0415  # heavy

    parts: list[pa.Table] = []
    count = 0
    while True:
        body = replace(selection, first_row=count).to_json()
        try:
            answer = ask_ours(context, "POST", ours(link, "table/full", "rows"), json=body)
        except ClientError as error:
            if error.response.status_code == codes.UNPROCESSABLE_ENTITY:
                return None
            if "No such field" in str(error):
                raise _changed(link) from error
            if error.response.status_code == codes.BAD_REQUEST and selection.where is not None:
                raise InputError(
                    f"the server cannot find the rows where {selection.where}: {error}"
                ) from error
            raise
        if answer is None:
            return None
        parts.append(pa.ipc.open_stream(answer.content).read_all())
        count += parts[-1].num_rows
        if MORE not in answer.headers:
            return pa.concat_tables(parts)


def side_by_side(tables: Sequence[pa.Table]) -> pa.Table:
    """Join tables of the same rows; of a table that grew between the requests, the newest rows are left out."""
    rows = min(table.num_rows for table in tables)
    joined = tables[0].slice(0, rows)
    for table in tables[1:]:
        for name in table.column_names:
            joined = joined.append_column(name, table[name].slice(0, rows))
    return joined


def _changed(link: str) -> TransientError:
    return TransientError(
        f"The table at {link} changed while it was being read: it, or a column, is no longer there. Read it again."
    )


def _request(
    context: Context, link: str, columns: Sequence[str], unless_increasing: Sequence[str]
) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415  # heavy; a listing of runs does without

    url, by = ours(link, "table/full", "rows"), {"unless_increasing": list(unless_increasing)}
    streamed = ask_ours(context, "POST", url, json=list(columns), params=by)
    if streamed is not None:
        return pa.ipc.open_stream(streamed.content).read_all()
    columns = [*columns, *unless_increasing]
    headers = {"Accept": APACHE_ARROW_FILE_MIME_TYPE}
    if httpx.URL(link).host in SAME_MACHINE:
        headers["Accept-Encoding"] = "identity"
    params: dict[str, Any] = parse_qs(urlparse(link).query)
    in_body = len(link) + sum(len("&column=") + len(name) for name in columns) > _URL_LIMIT
    for attempt in retry_context(context):
        with attempt, _ONE_TABLE:
            if in_body:
                response = context.http_client.post(link, headers=headers, params=params, json=columns)
            else:
                params["column"] = columns
                response = context.http_client.get(link, headers=headers, params=params)
            content = handle_error(response).read()
    return pa.ipc.open_file(content).read_all()


def ours(link: str, theirs: str, route: str) -> str:
    """Return the address of a route of our server that stands beside one of Tiled's.

    >>> ours("http://host/api/v1/table/full/uid/primary/internal", "table/full", "rows")
    'http://host/api/v1/tilewright/rows/uid/primary/internal'
    >>> ours("http://host/api/v1/search", "search", "listing")  # without the last slash, it would be sent elsewhere
    'http://host/api/v1/tilewright/listing/'
    """
    server, _, path = link.partition(f"/api/v1/{theirs}")
    return f"{server}/api/v1/tilewright/{route}/{path.removeprefix('/')}"


def has_ours(context: Context) -> bool:
    """Tell whether a server may have routes of ours: it has not turned out to have none."""
    return context not in _STOCK


def ask_ours(
    context: Context,
    method: str,
    url: str,
    receive: Callable[[httpx.Response], object] = httpx.Response.read,
    **request: Any,
) -> httpx.Response | None:
    """Return the answer of a route of ours, or None where Tiled's own has to be asked.

    A stock server has none; one of ours answers 404 for what only Tiled's can serve.

    Parameters
    ----------
    receive
        Takes the content of the answer as it comes; once for each attempt.
    """
    if not has_ours(context):
        return None
    for attempt in retry_context(context):
        with attempt, context.http_client.stream(method, url, **request) as response:
            if response.is_error:
                response.read()
            if response.status_code == codes.NOT_FOUND:
                if response.text == _NO_ROUTE:
                    _STOCK.add(context)
                return None
            answer: httpx.Response = handle_error(response)
            receive(answer)
    return answer
