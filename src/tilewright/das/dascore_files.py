"""Files that dascore reads: one comes in, what dascore says of it goes out, or some of its samples; `files` and the format call it.

A file has one patch of time and distance, both evenly sampled. Samples are (time, distance) here, whichever order the file has.

dascore unpickles: any file that looks like a pickle of its own, and attributes in files of its own format (through PyTables). The
former are refused here before dascore sees them; of the latter, only those of people that one trusts should be read.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.das.attributes import named, plain
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.documents.times import SECOND
from tilewright.errors import InputError, TilewrightError
from tilewright.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

_LOCK = threading.Lock()
"""PyTables, through which dascore reads some files, is not made for several threads."""
_PICKLED = b"dascore.core"
_HEAD = 4096
"""Bytes in which a pickle names the class that it is of."""
_NOT_ABOUT = frozenset({"coords", "dims", "path", "data_units", "data_type"})
"""What is told elsewhere."""


def is_installed() -> bool:
    """Say whether dascore is."""
    return find_spec("dascore") is not None


def facts(path: Path) -> Facts | None:
    """Return what dascore says of a file, of which one sample of each channel is read; None if it does not know the file either.

    Raises
    ------
    InputError
        If its patch is none of time and distance, or there are several; or if dascore cannot read it.
    SetupError
        If dascore is not installed.
    """
    with _opened(path) as dascore:
        kind = _format(dascore, path)
        if kind is None:
            return None
        summary = _only(kind.scan(str(path)), path)
        samples, start, step = _times(summary, path)
        patch = _patch(dascore, kind, path, start, start)
        spacing, metre = _distances(patch, path)
        row = _values(patch)[:1]
        if row.dtype.kind not in "iuf":
            raise InputError(f"{path} holds {row.dtype}: expected numbers by time and distance")
        told = summary.model_dump(exclude={"coords"})
        return Facts(
            path,
            "dascore",
            "",
            (samples, row.shape[1]),
            (TIME, DISTANCE),
            row.dtype,
            None,
            start,
            Fraction(step, SECOND),
            samples,
            float(patch.get_coord(DISTANCE).min()) * metre,
            spacing,
            _gauge(told, path),
            str(told.get("data_units") or "") or None,
            str(told.get("data_type") or "") or None,
            "",
            named({name: value for name, value in told.items() if name not in _NOT_ABOUT and name[0] != "_"}),
        )


def read(facts: Facts, time: slice, distance: slice) -> np.ndarray[Any, Any]:
    """Return samples by time and distance; as much of the file is read as the time spans, where dascore can select by time.

    Raises
    ------
    InputError
        If the file is not any longer what it was, or dascore cannot read it.
    SetupError
        If dascore is not installed.
    """
    import numpy as np  # noqa: PLC0415 - with the first file

    picked = range(facts.samples)[time]
    if not picked:
        return np.empty((0, len(range(facts.channels)[distance])), facts.dtype)
    first, last = min(picked[0], picked[-1]), max(picked[0], picked[-1])
    path, step = Path(facts.path), int(facts.step * SECOND)
    # Half a step around, in case that dascore rounds.
    begin, end = facts.start + first * step - step // 2, facts.start + last * step + step // 2
    with _opened(path) as dascore:
        kind = _format(dascore, path)
        if kind is None:
            raise InputError(f"{path} has changed: dascore does not know it any longer")
        patch = _patch(dascore, kind, path, begin, end)
        values = _values(patch)
        found = round((_nanoseconds(patch.get_coord(TIME).min()) - facts.start) / step)
    part = values[first - found : last + 1 - found] if found <= first else values[:0]
    if part.shape != (last + 1 - first, facts.channels) or part.dtype != facts.dtype:
        raise InputError(
            f"{path} has changed: dascore reads {part.dtype} of shape {part.shape} of samples {first} to {last}, expected {facts.dtype} "
            f"of {(last + 1 - first, facts.channels)}"
        )
    result: np.ndarray[Any, Any] = np.ascontiguousarray(part[:: picked.step][:, distance])
    return result


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Return dascore, for one thread; whatever it, or a library below it, says of a file becomes an `InputError`."""
    with extra("dascore", f"cannot look into {path} without dascore"):
        import dascore  # noqa: PLC0415 - slow to import
    with _LOCK:
        try:
            yield dascore
        except TilewrightError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(f"dascore cannot read {path}: {reason}") from error


def _format(dascore: Any, path: Path) -> Any:
    """Return what dascore reads a file with; None if it does not know it.

    Raises
    ------
    InputError
        If it is a pickle: to look into one is to do what it says.
    """
    from dascore.exceptions import UnknownFiberFormatError  # noqa: PLC0415 - an extra
    from dascore.io import FiberIO  # noqa: PLC0415

    with path.open("rb") as file:
        if _PICKLED in file.read(_HEAD):
            raise InputError(
                f"{path} is a pickle, which is not read, since it may do anything: write it with patch.io.write(…, 'dasdae')"
            )
    try:
        name, version = dascore.get_format(str(path))
    except UnknownFiberFormatError:
        return None
    return FiberIO.manager.get_fiberio(format=name, version=version)


def _patch(dascore: Any, kind: Any, path: Path, begin: int, end: int) -> Any:
    """Return the only patch of a file, from a time to another one, both included; of the whole file, where dascore cannot select."""
    import numpy as np  # noqa: PLC0415 - with the first file

    span = (np.datetime64(begin, "ns"), np.datetime64(end, "ns"))
    return _only(dascore.read(str(path), file_format=kind.name, file_version=kind.version, time=span), path)


def _only(patches: Any, path: Path) -> Any:
    if len(patches) != 1:
        raise InputError(
            f"{path} has {len(patches)} patches, as dascore calls arrays: expected one; write each to a file of its own"
        )
    return patches[0]


def _values(patch: Any) -> np.ndarray[Any, Any]:
    """Return the samples of a patch by time and distance."""
    values: np.ndarray[Any, Any] = patch.transpose(TIME, DISTANCE).data
    return values


def _times(summary: Any, path: Path) -> tuple[int, int, int]:
    """Return how many samples there are; start and step in nanoseconds.

    Raises
    ------
    InputError
        If its dimensions are others, or its times none of a clock, or not evenly spaced.
    """
    dims = tuple(str(name) for name in summary.dim_tuple)
    if sorted(dims) != [DISTANCE, TIME]:
        raise InputError(f"{path} is by {', '.join(dims) or 'nothing'}: expected {TIME} and {DISTANCE}")
    told = summary.coords[TIME]
    if "datetime64" not in str(told.dtype):
        raise InputError(f"{path} does not tell when it starts: its times are {told.dtype}")
    step = 0 if told.step is None else _nanoseconds(told.step)
    if step <= 0 or told.min != told.min:  # NaT is not itself
        raise InputError(
            f"{path} has no evenly spaced times (dascore tells a step of {told.step}): interpolate or split it in dascore, and write it anew"
        )
    start, end = _nanoseconds(told.min), _nanoseconds(told.max)
    return round((end - start) / step) + 1, start, step


def _distances(patch: Any, path: Path) -> tuple[float | None, float]:
    """Return the metres from one channel to the next, None of a single one; and how many metres the file's unit of distance is.

    Raises
    ------
    InputError
        If channels are not evenly spaced, or what they are at is no length.
    """
    told = patch.get_coord(DISTANCE)
    metre = _metres(told.units, f"{path}: its distances")
    if len(told) == 1:
        return None, metre
    if told.step is None or not told.step > 0:
        raise InputError(
            f"{path} has no evenly spaced distances (dascore tells a step of {told.step}): interpolate it in dascore, and write it anew"
        )
    return float(told.step) * metre, metre


def _gauge(told: dict[str, Any], path: Path) -> float | None:
    length = plain(told.get("gauge_length"))
    if not length:
        return None
    return float(length) * _metres(told.get("gauge_length_units"), f"{path}: its gauge length")


def _metres(units: Any, what: str) -> float:
    """Return how many metres a unit is; 1 where none is told, as in dascore's own files."""
    from dascore.units import get_quantity  # noqa: PLC0415 - an extra

    quantity = get_quantity(units)
    if quantity is None:
        return 1.0
    try:
        return float(quantity.to("m").magnitude)
    except (TypeError, ValueError) as error:  # pint's, of other dimensions
        raise InputError(f"{what} are in {quantity.units}: expected a unit of length") from error


def _nanoseconds(value: Any) -> int:
    """Return a time, or a span, as NumPy has it.

    >>> import numpy as np
    >>> _nanoseconds(np.datetime64("1970-01-01T00:00:01")), _nanoseconds(np.timedelta64(4, "ms"))
    (1000000000, 4000000)
    """
    return int(value.astype(f"{value.dtype.kind}8[ns]").astype("int64"))
