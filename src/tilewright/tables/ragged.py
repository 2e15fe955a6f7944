"""Ragged rows as they travel: a `Ragged` comes in, the content of Tiled's request goes out; and what Tiled calls them.

Called by the delivery. Tiled keeps ragged arrays as Awkward Array's buffers (`tiled.structures.ragged`), of which it makes one
file of the format zip, without compression: a list of offsets for each dimension that varies, and the numbers. To make
that here, without its library, spares the delivery the import of it.
"""

from __future__ import annotations

import io
import json
import zipfile
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.tables.array_types import ArrayType
    from tilewright.tables.blocks import Ragged

RAGGED_FILE = "application/zip"
_LENGTH_BYTES = 8


def encode_ragged(rows: Ragged, kind: ArrayType) -> bytes:
    """Return the content of a request that adds these rows."""
    buffers: dict[str, NDArray[Any]] = {}
    form = _form(kind.row_shape, 1, rows, buffers)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for key, buffer in buffers.items():
            archive.writestr(key, buffer.tobytes())
        archive.writestr("length", len(rows.lengths[0]).to_bytes(_LENGTH_BYTES, "big"))
        archive.writestr("form", json.dumps(json.dumps(form)))  # a text of JSON, as JSON
    return content.getvalue()


def decode_ragged(content: bytes) -> list[Any]:
    """Return the rows in such a content: nested lists, of which the innermost are the numbers' bytes.

    So rows are equal if their numbers are to the last bit, and so are NaNs.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        form = json.loads(json.loads(archive.read("form")))
        length = int.from_bytes(archive.read("length"), "big")
        return _rows(form, archive, length)


def _rows(form: dict[str, Any], archive: zipfile.ZipFile, count: int) -> list[Any]:
    if form["class"] == "NumpyArray":
        inner: list[int] = list(form["inner_shape"])
        numbers = np.frombuffer(archive.read(f"{form['form_key']}-data"), np.dtype(form["primitive"]))
        return [row.tobytes() for row in numbers.reshape(-1, *inner)[:count]]
    if form["class"] == "RegularArray":
        size = form["size"]
        parts = _rows(form["content"], archive, count * size)
        return [parts[start : start + size] for start in range(0, count * size, size)]
    offsets = np.frombuffer(archive.read(f"{form['form_key']}-offsets"), np.int64)[: count + 1]
    parts = _rows(form["content"], archive, int(offsets[-1]))
    return [parts[start:stop] for start, stop in pairwise(offsets.tolist())]


def _form(
    row_shape: tuple[int | None, ...], axis: int, rows: Ragged, buffers: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    """Return Awkward Array's description of the dimensions from `axis` on, and add their buffers.

    As `RaggedStructure.awkward_form` has it: a dimension that varies has offsets; a fixed one outside of such has none;
    and those inside of all that vary belong to the numbers.
    """
    if None not in row_shape[axis - 1 :]:
        buffers[f"node{axis - 1}-data"] = rows.flat
        return {
            "class": "NumpyArray",
            "primitive": rows.flat.dtype.name,
            "inner_shape": list(row_shape[axis - 1 :]),
            "form_key": f"node{axis - 1}",
        }
    length = row_shape[axis - 1]
    content = _form(row_shape, axis + 1, rows, buffers)
    if length is not None:
        return {"class": "RegularArray", "size": length, "content": content, "form_key": f"node{axis - 1}"}
    buffers[f"node{axis - 1}-offsets"] = np.concatenate(([0], np.cumsum(rows.lengths[axis - 1])))
    return {
        "class": "ListOffsetArray",
        "offsets": "i64",
        "content": content,
        "form_key": f"node{axis - 1}",
    }
