"""Rows of a stream, whose columns may lie in several tables: its layout and names come in, Arrow columns go out.

`stream` calls this, and makes pandas' columns of them by `frames`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.clients.http import read_columns, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from tiled.client.context import Context

    from tilewright.clients.layout import Layout
    from tilewright.tables.conditions import Where


def every_row(context: Context, layout: Layout, names: Sequence[str], *, repeats: bool) -> pa.Table | None:
    """Fetch columns, every row in the order taken, one request a table concerned; None if there is none.

    Parameters
    ----------
    repeats
        Whether to fetch seq_num too, if it tells of rows that were taken again. A server of ours leaves it out
        if it does not; a stock one sends it anyhow.
    """
    parts: list[pa.Table] = []
    for table in layout.tables:
        here = [name for name in names if layout.home(name) is table]
        by = "seq_num" if repeats and layout.home("seq_num") is table else None
        if here or by:
            parts.append(read_columns(context, table.link, here or ["seq_num"], unless_increasing=by))
    return side_by_side(parts) if parts else None


def matching_rows(
    context: Context, layout: Layout, names: Sequence[str], where: Where, *, repeats: bool
) -> pa.Table:
    """Fetch columns of the rows that meet a condition, in the order taken.

    The server finds them if all columns concerned are of one table. Else all rows of these are fetched, one request a
    table, and looked through here.

    Parameters
    ----------
    repeats
        Whether only rows that are the last of their seq_num are meant.
    """
    from tilewright.tables.selection import Selection, selected  # noqa: PLC0415  # heavy

    by = "seq_num" if repeats and layout.home("seq_num") is not None else None
    selection = Selection(tuple(names or where.columns), where, by)
    needed = selection.needed()
    concerned = [table for table in layout.tables if not set(table.columns).isdisjoint(needed)]
    if len(concerned) == 1:
        link = concerned[0].link
        return read_columns(context, link, selection.columns, unless_increasing=by, where=where)
    parts = [
        read_columns(context, table.link, [name for name in needed if layout.home(name) is table])
        for table in concerned
    ]
    return selected(side_by_side(parts), selection)
