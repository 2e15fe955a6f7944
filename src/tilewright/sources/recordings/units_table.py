"""In comes the table that a user gives of a deployment's units, out comes who is who; the source asks it for each file.

    unit   device_id         row  latitude  longitude  gain    firmware       facts of a unit; every further column is kept
    north  24F3190361DA539A  0    54.7566   -1.5911    medium  1.8.1

    unit   file                    start                                      for files that do not tell these
    east   rec_east_*.wav                                                     a name, or a pattern of names
    west   west/                                                              everything in folders called so
    south  S1/a.wav                2023-04-25T15:09:20+09:30

Positions are `latitude` and `longitude` in degrees and `elevation` in metres, or `x`, `y`, `z` in metres. A row finds a file
by its name, whatever its folder; where several files have one name, the folders in the column `file` decide. Without a column
`unit`, files are units of their own, called as the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tilewright.documents.times import utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.names import parse_name
from tilewright.sources.recordings.table_input import read_table
from tilewright.sources.zones import as_zone, local_ns

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

from tilewright.sources.recordings.table_input import Table, TableRow

_WHAT = "table of units"
_NUMBERS = {
    "latitude": "degrees north",
    "longitude": "degrees east",
    "elevation": "metres",
    "x": "metres",
    "y": "metres",
    "z": "metres",
}
_OF_UNIT = ("device_id", "row", *_NUMBERS, "gain", "firmware")
_OTHER_NAMES = {
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
    "long": "longitude",
    "altitude": "elevation",
}
_LIMITS = {"latitude": 90.0, "longitude": 180.0}
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One row of the table; None is what it does not tell."""

    unit: str
    where: str
    """Its place in the table, for messages."""
    device_id: str | None = None
    row: int | None = None
    """Number of the unit among all, from 0."""
    file: str | None = None
    """Which files it is for: a name, a pattern, or a folder with a / behind; None for all of the unit."""
    latitude: float | None = None
    """Degrees north."""
    longitude: float | None = None
    """Degrees east."""
    elevation: float | None = None
    """Metres above the sea."""
    x: float | None = None
    """Metres, in the deployment's own grid; so `y` and `z`."""
    y: float | None = None
    z: float | None = None
    gain: str | None = None
    firmware: str | None = None
    start_ns: int | None = None
    """Start of its file, nanoseconds since 1970, UTC."""
    zone: tzinfo | None = None
    """Of the recorder's clock, for times that are told without one."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """The cells of other columns."""

    def facts(self) -> dict[str, Any]:
        """Return what it tells of its unit, for the documents: without what belongs to its file alone."""
        own = {name: getattr(self, name) for name in ("unit", *_OF_UNIT)}
        return {**self.further, **{name: value for name, value in own.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class UnitsTable:
    """All rows of a table of units."""

    rows: tuple[UnitRow, ...] = ()
    _of_unit: dict[str, list[UnitRow]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _by_name: dict[str, list[UnitRow]] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Those for one file, by its name without folders: thousands of files may have a row each."""
    _loose: list[UnitRow] = field(init=False, repr=False, compare=False, default_factory=list)
    """Those for the files of a pattern or a folder."""
    _bare: list[UnitRow] = field(init=False, repr=False, compare=False, default_factory=list)
    """Those for all files of a unit."""

    def __post_init__(self) -> None:
        for row in self.rows:
            self._of_unit.setdefault(row.unit, []).append(row)
            if row.file is None:
                self._bare.append(row)
                continue
            if _kind(row.file) != _FOLDER:
                self._by_name.setdefault(row.file.rsplit("/", 1)[-1], []).append(row)
            if _kind(row.file) != _LITERAL:
                self._loose.append(row)

    @classmethod
    def of(cls, table: Table | UnitsTable | None) -> UnitsTable:
        """Read a table; None is one without rows.

        Parameters
        ----------
        table
            A CSV file, a DataFrame, a list of dictionaries, or a dictionary of columns.

        Raises
        ------
        InputError
            Names the row and the column: what cannot be read, and rows that contradict each other.
        """
        if table is None:
            return cls()
        if isinstance(table, UnitsTable):
            return table
        rows = tuple(_unit_row(row) for row in read_table(table, _WHAT))
        _check(rows)
        return cls(rows)

    @property
    def units(self) -> tuple[str, ...]:
        """Its units, in the order of the table."""
        return tuple(self._of_unit)

    def row_of(self, unit: str) -> int | None:
        """Return the number of a unit: that of column `row`, or its place in a table without one; None if it is not in it."""
        rows = self._of_unit.get(unit)
        if rows is None:
            return None
        return next((row.row for row in rows if row.row is not None), self.units.index(unit))

    def facts_of(self, unit: str) -> dict[str, Any]:
        """Return what the table tells of a unit, for the documents, its row among it; empty if it is not in it."""
        facts: dict[str, Any] = {}
        for row in self._of_unit.get(unit, ()):
            facts = row.facts() | facts
        return facts | {"row": self.row_of(unit)} if facts else {}

    def unit_for(
        self, path: str | os.PathLike[str], unit: str | None = None, device_id: str | None = None
    ) -> UnitRow | None:
        """Return the row for a file, None if no row is.

        By the column `file` first, the closest description of all; then by the device id, the unit, and what the file's name
        calls the unit: a Song Meter's is its serial number, and users go by the prefix of its files.

        Parameters
        ----------
        unit, device_id
            As the file itself or its name tells them, if they do.

        Raises
        ------
        InputError
            If two rows describe the file equally well.
        """
        name = str(path).replace("\\", "/").rsplit("/", 1)[-1]
        rows = {id(row): row for row in (*self._by_name.get(name, ()), *self._loose)}.values()
        described = [(fit, row) for row in rows if row.file and (fit := _fit(row.file, path))]
        if described:
            return _closest(described, path)
        if not self._bare:
            return None
        return self._known(device_id) or self._known(unit) or self._known(parse_name(name).unit)

    def _known(self, name: str | None) -> UnitRow | None:
        """Return the row of a unit without a file, by its device id or its name."""
        if name is None:
            return None
        by_device = (row for row in self._bare if (row.device_id or "").casefold() == name.casefold())
        return next(by_device, None) or next((row for row in self._bare if row.unit == name), None)


def _closest(described: list[tuple[tuple[int, int], UnitRow]], path: str | os.PathLike[str]) -> UnitRow:
    best = max(fit for fit, _ in described)
    first, *others = [row for fit, row in described if fit == best]
    if others:
        raise InputError(
            f"{path} is described by two rows, {first.where} and {others[0].where}: say more in the column 'file', such as its folder."
        )
    return first


def _unit_row(row: TableRow) -> UnitRow:
    cells = {_OTHER_NAMES.get(name, name): value for name, value in row.cells.items()}
    if len(cells) < len(row.cells):
        twice = next(name for name, other in _OTHER_NAMES.items() if {name, other} <= set(row.cells))
        raise row.error(twice, f"is given beside {_OTHER_NAMES[twice]!r}, which means the same")
    row = type(row)(row.where, cells)
    file = row.text("file")
    zone = _zone(row)
    known = {"unit", "file", "start", "zone", *_OF_UNIT}
    return UnitRow(
        unit=row.text("unit") or _unit_of(row, file),
        where=row.where,
        device_id=row.text("device_id"),
        row=row.integer("row", "the unit's number"),
        file=None if file is None else file.replace("\\", "/"),
        gain=row.text("gain"),
        firmware=row.text("firmware"),
        start_ns=_start(row, file, zone),
        zone=zone,
        further={name: value for name, value in cells.items() if name not in known},
        **{name: _number(row, name) for name in _NUMBERS},
    )


def _unit_of(row: TableRow, file: str | None) -> str:
    """Return the unit of a row without one: the device, or the file's name without its extension."""
    if device := row.text("device_id"):
        return device
    if file is None or _kind(file) != _LITERAL:
        raise row.error(
            "unit",
            "is empty: expected the unit's name, or in its place a device_id, or a file that is the unit's only one",
        )
    return PurePath(file.replace("\\", "/")).stem


def _number(row: TableRow, name: str) -> float | None:
    value = row.number(name, _NUMBERS[name])
    if value is not None and abs(value) > _LIMITS.get(name, float("inf")):
        raise row.error(name, f"is {value}: expected {_NUMBERS[name]}, at most {_LIMITS[name]:g}")
    return value


def _zone(row: TableRow) -> tzinfo | None:
    try:
        return as_zone(row.cells.get("zone"))
    except InputError as error:
        raise InputError(f"{row.where}: column 'zone': {error}") from error


def _start(row: TableRow, file: str | None, zone: tzinfo | None) -> int | None:
    """Return the start of a row's file in nanoseconds since 1970, UTC; its own zone, or that of the column `zone`."""
    start = row.cells.get("start")
    if start is None:
        return None
    if file is None or _kind(file) != _LITERAL:
        raise row.error(
            "start",
            "is given without the name of one file in column 'file': files do not start at the same time",
        )
    try:
        return _moment(start, zone, row.where)
    except InputError as error:
        raise InputError(f"{row.where}: column 'start': {error}") from error


def _moment(start: Any, zone: tzinfo | None, where: str) -> int:
    local = start
    if isinstance(start, str):
        try:
            local = datetime.fromisoformat(start)
        except ValueError:
            return utc_ns(start)
    if zone is not None and isinstance(local, datetime) and local.tzinfo is None:
        return local_ns(local, zone, where)
    return utc_ns(start)


_ELSEWHERE, _FOLDER, _PATTERN, _LITERAL = 1, 2, 3, 4
"""Ways to describe files, the closest last. The first: a file's name, in other folders than the table says."""


def _kind(description: str) -> int:
    if description.endswith("/"):
        return _FOLDER
    return _PATTERN if _WILD & set(description) else _LITERAL


def _fit(description: str, path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return how closely a cell of column `file` describes a file, None if it does not.

    Kind of description first, then how many parts of the path it gives. Names with brackets are names before they are patterns.
    """
    parts = str(path).replace("\\", "/").split("/")
    wanted = [part for part in description.split("/") if part not in ("", ".")]
    if not wanted:
        return None
    if _kind(description) == _FOLDER:
        folders = parts[:-1]
        length = len(wanted)
        places = range(len(folders) - length + 1)
        return (
            (_FOLDER, length) if any(folders[place : place + length] == wanted for place in places) else None
        )
    common = _common(wanted, parts)
    if common == len(wanted):
        return _LITERAL, common
    if len(wanted) <= len(parts) and all(map(fnmatchcase, reversed(parts), reversed(wanted))):
        return _PATTERN, len(wanted)
    return (_ELSEWHERE, common) if common else None


def _common(wanted: list[str], parts: list[str]) -> int:
    """Return how many parts two paths have in common, from their ends."""
    count = 0
    for one, other in zip(reversed(wanted), reversed(parts), strict=False):
        if one != other:
            break
        count += 1
    return count


def _check(rows: Sequence[UnitRow]) -> None:
    """Refuse rows that cannot all be true."""
    seen: dict[tuple[str, Any], UnitRow] = {}
    for row in rows:
        for column, value in (("row", row.row), ("device_id", row.device_id)):
            other = seen.setdefault((column, value), row)
            if value is not None and other.unit != row.unit:
                raise InputError(
                    f"{row.where}: column {column!r} gives {value} to the unit {row.unit}, and {other.where} gives it to {other.unit}."
                )
        other = seen.setdefault((f"file {row.file}", row.unit if row.file is None else None), row)
        if other is not row:
            described = f"the unit {row.unit}" if row.file is None else f"the file {row.file}"
            raise InputError(
                f"{row.where}: there is another row for {described} ({other.where}): remove one."
            )
        _check_facts(seen.setdefault(("unit", row.unit), row), row)
    _check_numbers(rows)


def _check_facts(first: UnitRow, row: UnitRow) -> None:
    """Refuse a row that tells otherwise of its unit than the first one did; further columns may be about the file."""
    for name in _OF_UNIT:
        told, tells = getattr(first, name), getattr(row, name)
        if told is not None and tells is not None and told != tells:
            raise InputError(
                f"{row.where}: column {name!r} is {tells} for the unit {row.unit}, and {told} in {first.where}: a unit has one of it; "
                "leave it out, or name two units."
            )


def _check_numbers(rows: Sequence[UnitRow]) -> None:
    """Refuse a column `row` that numbers some units and not others."""
    numbered = {row.unit for row in rows if row.row is not None}
    bare = next((row for row in rows if row.unit not in numbered), None)
    if numbered and bare is not None:
        raise InputError(
            f"{bare.where}: column 'row' is empty for the unit {bare.unit}: number all units, or none."
        )
