"""What a value is to a user, and what it is in a place: arrays, tables and plain values come in as bytes go out, and back.

`make_store` wraps persisters with them. A round trip is exact, or it is refused, with what did not fit: at writing a value that
would come back as another one, at reading bytes that are no such value. Sound is in `sounds`.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tilewright.documents.names import is_text
from tilewright.documents.notes import quoted
from tilewright.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


class ValueMap(Protocol):
    """Both directions."""

    def encode(self, value: Any) -> bytes:
        """Return a value as bytes; InputError if it does not fit."""

    def decode(self, data: bytes) -> Any:
        """Return the value of bytes; InputError if these are none."""


@dataclass(frozen=True, slots=True)
class JSONValue:
    """Plain values as JSON, in UTF-8: None, bool, int, finite floats, text, lists, and dicts with keys of text.

    Examples
    --------
    >>> JSONValue().encode({"rate": 44100, "where": "roof"})
    b'{"rate":44100,"where":"roof"}'
    >>> JSONValue().encode({"shape": (1, 2)})
    Traceback (most recent call last):
    tilewright.errors.InputError: JSON does not have the tuple (1, 2) at 'shape': it would not come back as it is.
    """

    def encode(self, value: Any) -> bytes:
        """Return a value as JSON."""
        _refuse_other_than_json(value, ())
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        """Return the value of a text in JSON."""
        try:
            return json.loads(data)
        except ValueError as error:
            raise InputError(f"These {len(data)} bytes are no JSON: {error}.") from error


def _refuse_other_than_json(value: Any, place: tuple[Any, ...]) -> None:
    if type(value) is dict:
        for key, inner in value.items():
            if type(key) is not str or not is_text(key):
                _not_json(key, "key ", place)
            _refuse_other_than_json(inner, (*place, key))
    elif type(value) is list:
        for number, inner in enumerate(value):
            _refuse_other_than_json(inner, (*place, number))
    elif not (
        value is None
        or type(value) in (bool, int)
        or (type(value) is float and math.isfinite(value))
        or (type(value) is str and is_text(value))
    ):
        _not_json(value, f"{type(value).__name__} ", place)


def _not_json(value: Any, kind: str, place: tuple[Any, ...]) -> None:
    where = f" at {'.'.join(map(str, place))!r}" if place else ""
    raise InputError(f"JSON does not have the {kind}{quoted(value)}{where}: it would not come back as it is.")


@dataclass(frozen=True, slots=True)
class NPYArray:
    """Arrays as NPY files: any shape and dtype but objects, which would be pickles."""

    def encode(self, value: Any) -> bytes:
        """Return an array as an NPY file."""
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            told = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else quoted(value)
            raise InputError(f"NPY holds numpy arrays without Python objects, not {told}.")
        out = io.BytesIO()
        np.lib.format.write_array(out, value, allow_pickle=False)
        return out.getvalue()

    def decode(self, data: bytes) -> np.ndarray[Any, Any]:
        """Return the array of an NPY file, which can be written to."""
        opened = io.BytesIO(data)
        try:
            array = np.lib.format.read_array(opened, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"These {len(data)} bytes are no NPY file that can be read: {error}.") from error
        if opened.read(1):
            raise InputError(
                f"These {len(data)} bytes go on after an array of {array.nbytes} bytes: no NPY file."
            )
        return np.asarray(array)


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """Tables as Arrow IPC files.

    Parameters
    ----------
    kind
        What a value is: "pandas" for a DataFrame, with its index, or "table" for a pyarrow Table.
    """

    kind: Literal["pandas", "table"] = "pandas"

    def __post_init__(self) -> None:
        if self.kind not in ("pandas", "table"):
            raise InputError(f"kind={self.kind!r}: expected 'pandas' or 'table'.")

    def encode(self, value: Any) -> bytes:
        """Return a table as an Arrow IPC file."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        table = self._table(value)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def decode(self, data: bytes) -> Any:
        """Return the table of an Arrow IPC file."""
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        try:
            table = pa.ipc.open_file(data).read_all()
            table.validate()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"These {len(data)} bytes are no Arrow IPC file: {error}.") from error
        return table if self.kind == "table" else table.to_pandas()

    def _table(self, value: Any) -> pa.Table:
        import pandas as pd  # noqa: PLC0415 - slow to import
        import pyarrow as pa  # noqa: PLC0415 - slow to import

        expected = pa.Table if self.kind == "table" else pd.DataFrame
        if not isinstance(value, expected):
            raise InputError(
                f"ArrowTable({self.kind!r}) holds a {expected.__name__}, not {quoted(value)} ({type(value).__name__})."
            )
        if self.kind == "table":
            return value
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of what would change: it is refused below
                table = pa.Table.from_pandas(value)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(
                f"Arrow does not have such a DataFrame: {' '.join(map(str, error.args))}"
            ) from error
        _refuse_other_frames(value, table.to_pandas())
        return table


def _refuse_other_frames(frame: Any, back: Any) -> None:
    """Raise for a DataFrame that would come back as another one."""
    from pandas.testing import assert_frame_equal  # noqa: PLC0415 - slow to import

    try:
        assert_frame_equal(frame, back, check_exact=True, check_freq=False)
    except AssertionError as error:
        told = " ".join(str(error).split())
        raise InputError(f"This DataFrame would come back from Arrow as another one: {told}") from error
