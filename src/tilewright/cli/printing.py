"""How a run looks on a terminal: a `Run` or its rows come in, text or a tree to print goes out.

`demo`, `show` and `table` call this.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from tilewright.cli.common import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from rich.tree import Tree

    from tilewright.clients.layout import Layout


def rows_text(rows: pd.DataFrame, data_keys: Collection[str]) -> str:
    """Return rows as text, times as UTC; on a terminal, columns that do not fit follow below.

    Parameters
    ----------
    rows
        From `Run.table`.
    data_keys
        Of the stream: a column `ts_x` is a time unless a data key has this name.
    """
    if rows.empty:
        return "no rows"
    shown = rows.copy()
    for name in map(str, rows):
        if name == "time" or (name.startswith("ts_") and name not in data_keys):
            shown[name] = rows[name].map(utc_text)
    width = get_terminal_size().columns if sys.stdout.isatty() else None
    return shown.to_string(index=False, line_width=width)


def utc_text(seconds: float) -> str:
    """Return seconds since 1970 as UTC, to the millisecond; what is no time, as it is.

    >>> utc_text(1.5), utc_text(1e300), utc_text(float("nan"))
    ('1970-01-01 00:00:01.500', '1e+300', 'nan')
    """
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as lines, with each column as wide as its widest cell.

    >>> print(aligned([["uid", "plan"], ["8f3a", "scan"]]))
    uid   plan
    8f3a  scan
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def run_tree(run: Any, *, documents: bool = False) -> Tree:
    """Return a run as a tree: its streams, with the columns of their tables, and arrays.

    Parameters
    ----------
    run
        A `tilewright.clients.Run`.
    documents
        Whether to show the start and stop documents, and the notes, too.
    """
    from rich.markup import escape  # noqa: PLC0415 - slow to import
    from rich.tree import Tree  # noqa: PLC0415

    tree = Tree(escape(repr(run)))
    if documents:
        _add_documents(tree, run)
    for name in run.streams:
        stream = run[name]
        layout = stream.layout()
        branch = tree.add(escape(f"stream {name}"))
        if layout.tables:
            rows = len(run.table(name, columns="seq_num", attempts=True))
            _add_table(branch, layout, rows)
        for key, node in layout.arrays.items():
            branch.add(escape(_array_text(key, node["attributes"], stream.data_keys.get(key, {}))))
    return tree


def file_lines(files: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each node, and below it one for each of its files.

    Parameters
    ----------
    files
        A row a file: `node`, `kind`, and `file`, which is missing where a node has none.
    """
    width = max(files["node"].str.len(), default=0)
    for (node, kind), group in files.groupby(["node", "kind"], sort=False):
        yield f"{node:<{width}}  {kind}"
        yield from (f"    {file}" for file in group["file"].dropna())


def _add_documents(tree: Tree, run: Any) -> None:
    from rich.markup import escape  # noqa: PLC0415 - slow to import
    from rich.pretty import Pretty  # noqa: PLC0415

    for name, document in (("start", run.start), ("stop", run.stop)):
        if document:
            tree.add(name).add(Pretty(document))
        else:
            tree.add(f"{name}: none")
    for note in run.notes:
        tree.add(escape(f"note: {note}"))


def _add_table(branch: Tree, layout: Layout, rows: int) -> None:
    from rich.markup import escape  # noqa: PLC0415 - slow to import

    for part in layout.tables:
        table = branch.add(escape(f"{part.path}: table, {counted(rows, 'row')}"))
        types = part.types()
        for name in (name for name in types if name not in layout.timestamps):
            table.add(escape(f"{name}: {types[name]}"))
        if stamps := [name for name in types if name in layout.timestamps]:
            more = " …" if len(stamps) > 1 else ""
            table.add(escape(f"{stamps[0]}{more}: when each value was taken, {types[stamps[0]]}"))


def _array_text(key: str, attributes: Mapping[str, Any], data_key: Mapping[str, Any]) -> str:
    structure = attributes["structure"]
    kind = data_key.get("dtype_numpy") or data_key.get("dtype") or ""
    shape = tuple(
        structure["shape"] if "shape" in structure else [structure["length"]]
    )  # awkward arrays have none
    place = ", in files" if "external" in data_key else ""
    return f"{key}: {attributes['structure_family']} {kind} {shape}{place}"
