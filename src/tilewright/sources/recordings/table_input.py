"""In comes a table as a user has it, out come its rows as dictionaries, each with its place for messages.

`units_table` and `clock_tables` call it. A CSV file, a DataFrame, a list of dictionaries and a dictionary of columns are the
same to it: names of columns in lower case, text stripped, empty cells left out.
"""

from __future__ import annotations

import csv
import math
import numbers
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tilewright.documents.notes import quoted
from tilewright.errors import InputError

Table = str | os.PathLike[str] | Iterable[Mapping[str, Any]] | Mapping[str, Iterable[Any]]
"""A CSV file, a DataFrame, dictionaries that are rows, or a dictionary of columns."""
_DELIMITERS = ",;\t"
_DECIMAL_COMMA = re.compile(r"^\s*([+-]?\d+),(\d+)\s*$")
"""As spreadsheets write numbers where a comma is no delimiter."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table."""

    where: str
    """Its place, for messages: "units.csv, row 2" (the first under the names is 1)."""
    cells: Mapping[str, Any]
    """By the names of columns; those that are empty are not there."""

    def text(self, column: str) -> str | None:
        """Return a cell as text; a whole number without the .0 that a gap in its column gave it."""
        value = self.cells.get(column)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value).is_integer():
            return str(value)
        return str(int(float(value)))

    def decimal(self, column: str, meaning: str) -> Decimal | None:
        """Return a cell as a number.

        Raises
        ------
        InputError
            If it is none.
        """
        value = self.cells.get(column)
        if value is None:
            return None
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite():
            return number
        raise self.error(column, f"is {quoted(value)}: expected {meaning}, a number")

    def number(self, column: str, meaning: str) -> float | None:
        """Return a cell as a float; raises as `decimal` does."""
        value = self.decimal(column, meaning)
        return None if value is None else float(value)

    def integer(self, column: str, meaning: str) -> int | None:
        """Return a cell as a whole number, 0 or more.

        Raises
        ------
        InputError
            If it is none.
        """
        value = self.decimal(column, meaning)
        if value is None:
            return None
        if value != int(value) or value < 0:
            raise self.error(column, f"is {value}: expected {meaning}, a whole number from 0")
        return int(value)

    def error(self, column: str, problem: str) -> InputError:
        """Return an error that names the row and the column."""
        return InputError(f"{self.where}: column {column!r} {problem}.")


def read_table(table: Table, what: str) -> list[TableRow]:
    """Return the rows of a table that are not empty.

    Parameters
    ----------
    what
        How messages call it, if it is no file: "table of units".

    Raises
    ------
    InputError
        If it cannot be read as a table.
    """
    if isinstance(table, str | os.PathLike):
        return _read_csv(Path(table))
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        table = table.to_dict("records")
    elif isinstance(table, Mapping):
        table = _from_columns(table, what)
    if not isinstance(table, Iterable):
        raise InputError(
            f"The {what} is {quoted(table)}: expected a CSV file, a DataFrame or a list of dictionaries."
        )
    rows = []
    for number, row in enumerate(table, start=1):
        if not isinstance(row, Mapping):
            raise InputError(f"The {what}, row {number}: expected a dictionary, found {quoted(row)}.")
        rows.append(TableRow(f"The {what}, row {number}", _cells(row)))
    return [row for row in rows if row.cells]


def _read_csv(path: Path) -> list[TableRow]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            names = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=names.count)
            lines = list(csv.reader(file, delimiter=delimiter, skipinitialspace=True))
    except OSError as error:
        raise InputError(f"cannot read the table {path}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is no table in CSV ({error}): expected UTF-8, with the names of columns first."
        ) from error
    if not lines:
        raise InputError(f"{path} is empty: expected a table in CSV, with the names of columns first.")
    columns = [name.strip().lower() for name in lines[0]]
    if repeated := {name for name in columns if name and columns.count(name) > 1}:
        raise InputError(f"{path}: more than one column is called {quoted(min(repeated))}.")
    rows = []
    for number, line in enumerate(lines[1:], start=1):
        where = f"{path}, row {number}"
        if len(line) > len(columns) and any(cell.strip() for cell in line[len(columns) :]):
            raise InputError(f"{where}: it has {len(line)} cells, and there are {len(columns)} columns.")
        cells = line if delimiter == "," else [_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in line]
        rows.append(TableRow(where, _cells(dict(zip(columns, cells, strict=False)))))
    return [row for row in rows if row.cells]


def _from_columns(table: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    """Return rows of a dictionary of columns."""
    columns = {name: list(cells) if _is_column(cells) else None for name, cells in table.items()}
    for name, cells in columns.items():
        if cells is None:
            raise InputError(
                f"The {what}, column {name!r}: expected a list of cells, found {quoted(table[name])}."
            )
    lengths = {len(cells) for cells in columns.values() if cells is not None}
    if len(lengths) > 1:
        raise InputError(
            f"The {what}: its columns have different lengths ({', '.join(map(str, sorted(lengths)))})."
        )
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*(cells or [] for cells in columns.values()), strict=True)
    ]


def _is_column(cells: Any) -> bool:
    return isinstance(cells, Iterable) and not isinstance(cells, str | bytes | Mapping)


def _cells(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the cells that are filled, by names in lower case. A column without a name is an index that was saved along."""
    cells = {}
    for name, value in row.items():
        clean = value.strip() if isinstance(value, str) else value
        if str(name).strip() and not _is_empty(clean):
            cells[str(name).strip().lower()] = clean
    return cells


def _is_empty(value: Any) -> bool:
    """Tell whether a cell holds nothing: None, "", NaN, NaT, or pandas' NA."""
    if value is None or value == "" or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)
