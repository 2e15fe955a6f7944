"""Rows come in, a file goes out: CSV or Parquet, by its name. Commands that print tables call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tilewright.cli.common import counted
from tilewright.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_WRITERS = {".csv": "to_csv", ".parquet": "to_parquet"}


def check_output(output: Path) -> None:
    """Refuse a file that rows cannot be written to, before anything is asked for.

    Raises
    ------
    InputError
        If its name is of another kind, or its directory is not there.
    """
    if output.suffix not in _WRITERS:
        raise InputError(f"cannot write {output}: expected a name that ends in {' or '.join(_WRITERS)}")
    if not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no directory {output.parent}; make it first")


def write_rows(rows: pd.DataFrame, output: Path) -> None:
    """Write beside the file and move it into its place: a failure leaves what was there."""
    part = output.with_name(f".{output.name}.part")
    try:
        getattr(rows, _WRITERS[output.suffix])(part, index=False)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"{counted(len(rows), 'row')} written to {output}")
