"""The requests behind the clients: a node's links come in; its children's descriptions or its rows go out.

`catalog`, `run` and `stream` call this. One round trip costs some 20 ms whatever it carries, so these ask for
pages as large as Tiled allows and for a table in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlparse

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


def read_columns(context: Context, link: str, columns: Sequence[str]) -> pa.Table:
    """Fetch columns of a table, all rows, in one request (more only where the server finds that too large).

    Parameters
    ----------
    link
        The table's ``full`` link.
    columns
        Names, at least one; the result has them in this order.

    Raises
    ------
    TransientError
        The table changed between being described and being read.
    """
    try:
        table = _request(context, link, columns)
    except ClientError as error:
        if error.response.status_code == codes.NOT_FOUND or "No such field" in str(error):
            raise _changed(link) from error
        if len(columns) == 1 or "Response would exceed" not in str(error):
            raise
        middle = len(columns) // 2
        return side_by_side(
            [read_columns(context, link, columns[:middle]), read_columns(context, link, columns[middle:])]
        )
    if not set(columns) <= set(table.column_names):
        raise _changed(link)
    return table.select(list(columns))


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


def _request(context: Context, link: str, columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415  # heavy; a listing of runs does without

    headers = {"Accept": APACHE_ARROW_FILE_MIME_TYPE}
    params: dict[str, Any] = parse_qs(urlparse(link).query)
    in_body = len(link) + sum(len("&column=") + len(name) for name in columns) > _URL_LIMIT
    for attempt in retry_context(context):
        with attempt:
            if in_body:
                response = context.http_client.post(link, headers=headers, params=params, json=list(columns))
            else:
                params["column"] = list(columns)
                response = context.http_client.get(link, headers=headers, params=params)
            content = handle_error(response).read()
    return pa.ipc.open_file(content).read_all()
