"""The requests behind the clients: a node's links come in; its children's descriptions or its rows go out.

`catalog`, `run` and `stream` call this. One round trip costs some 20 ms whatever it carries, so these ask for
pages as large as Tiled allows and for a table in one piece; and first for what our own server has routes for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse
from weakref import WeakSet

import httpx
from httpx import codes
from tiled.client.utils import MSGPACK_MIME_TYPE, ClientError, handle_error, retry_context
from tiled.utils import APACHE_ARROW_FILE_MIME_TYPE

from tilewright.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from tiled.client.context import Context

PAGE_SIZE = 300
"""Children a page: the most that Tiled gives."""

_STOCK: WeakSet[Context] = WeakSet()
"""Connections to servers that turned out not to have our routes."""

_NO_ROUTE = '{"detail":"Not Found"}'
"""What a server answers, with 404, where it has no such route; a node that is not there is named."""

_SAME_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
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
    answer = _ask_ours(context, "GET", _ours(link, "search", "parts"))
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
    answer = _ask_ours(context, "GET", _ours(link, "search", "files"))
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
        answer = _ask_ours(context, "GET", _ours(link, "search", "listing"), params=query)
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
    context: Context, link: str, columns: Sequence[str], *, unless_increasing: str | None = None
) -> pa.Table:
    """Fetch columns of a table, all rows, in one request (more only where the server finds that too large).

    Parameters
    ----------
    link
        The table's ``full`` link.
    columns
        Names, at least one; the result has them in this order.
    unless_increasing
        One more column. A server of ours leaves it out if its values increase from row to row.

    Raises
    ------
    TransientError
        The table changed between being described and being read.
    """
    more = [] if unless_increasing is None or unless_increasing in columns else [unless_increasing]
    try:
        table = _request(context, link, columns, more)
    except ClientError as error:
        if error.response.status_code == codes.NOT_FOUND or "No such field" in str(error):
            raise _changed(link) from error
        names = [*columns, *more]
        if len(names) == 1 or "Response would exceed" not in str(error):
            raise
        middle = len(names) // 2
        return side_by_side(
            [read_columns(context, link, names[:middle]), read_columns(context, link, names[middle:])]
        )
    if not set(columns) <= set(table.column_names):
        raise _changed(link)
    return table.select([*columns, *(name for name in more if name in table.column_names)])


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

    url, by = _ours(link, "table/full", "rows"), {"unless_increasing": list(unless_increasing)}
    streamed = _ask_ours(context, "POST", url, json=list(columns), params=by)
    if streamed is not None:
        return pa.ipc.open_stream(streamed.content).read_all()
    columns = [*columns, *unless_increasing]
    headers = {"Accept": APACHE_ARROW_FILE_MIME_TYPE}
    if httpx.URL(link).host in _SAME_MACHINE:
        headers["Accept-Encoding"] = "identity"
    params: dict[str, Any] = parse_qs(urlparse(link).query)
    in_body = len(link) + sum(len("&column=") + len(name) for name in columns) > _URL_LIMIT
    for attempt in retry_context(context):
        with attempt:
            if in_body:
                response = context.http_client.post(link, headers=headers, params=params, json=columns)
            else:
                params["column"] = columns
                response = context.http_client.get(link, headers=headers, params=params)
            content = handle_error(response).read()
    return pa.ipc.open_file(content).read_all()


def _ours(link: str, theirs: str, route: str) -> str:
    """Return the address of a route of our server that stands beside one of Tiled's.

    >>> _ours("http://host/api/v1/table/full/uid/primary/internal", "table/full", "rows")
    'http://host/api/v1/tilewright/rows/uid/primary/internal'
    >>> _ours("http://host/api/v1/search", "search", "listing")  # without the last slash, it would be sent elsewhere
    'http://host/api/v1/tilewright/listing/'
    """
    server, _, path = link.partition(f"/api/v1/{theirs}")
    return f"{server}/api/v1/tilewright/{route}/{path.removeprefix('/')}"


def _ask_ours(context: Context, method: str, url: str, **request: Any) -> httpx.Response | None:
    """Return the answer of a route of ours, or None where Tiled's own has to be asked.

    A stock server has none; one of ours answers 404 for what only Tiled's can serve.
    """
    if context in _STOCK:
        return None
    for attempt in retry_context(context):
        with attempt:
            response = context.http_client.request(method, url, **request)
            if response.status_code == codes.NOT_FOUND:
                if response.text == _NO_ROUTE:
                    _STOCK.add(context)
                return None
            answer: httpx.Response = handle_error(response)
            answer.read()
    return answer
