"""How much of an array is there, by what is seen of its files; without any file."""

import numpy as np
import pytest

from tilewright.formats import DataSource, FileFacts
from tilewright.formats.checking import DECLARED, FILES, Finding, Looked, declared
from tilewright.formats.growing import MOST_IN_ORDER, Growing
from tilewright.formats.layout import data_type, split
from tilewright.formats.ranges import RANGES

TIFF, HDF5, CSV = "multipart/related;type=image/tiff", "application/x-hdf5", "text/csv;header=absent"
FRAME = (4, 5)


def source(shape, mimetype=HDF5, chunk=1, rows=None, **properties):
    """Return a registration; `rows` are those promised of each file."""
    if rows is not None:
        properties[RANGES] = [[file, 0, count] for file, count in enumerate(rows) if count]
    structure = {
        "data_type": data_type(np.dtype("<u2")),
        "shape": list(shape),
        "chunks": [split(shape[0], chunk), *([length] for length in shape[1:])],
        "dims": None,
        "resizable": False,
    }
    return DataSource("array", structure, mimetype, {}, properties)


class Files:
    """Files of which it is known what they hold: a number of frames, or the kind of what is wrong with them."""

    def __init__(self, held):
        self.held, self.looks = held, []

    def __call__(self, number):
        self.looks.append(number)
        uri, held = f"file://localhost/{number}", self.held[number]
        if isinstance(held, str):
            return Looked(uri, failure=Finding(uri, held, ""))
        return Looked(uri, held if isinstance(held, FileFacts) else FileFacts((held, *FRAME), None))


def there(promise, held, published=0):
    files = Files(held)
    return Growing.of(promise, len(held)).rows_there(published, files), files.looks


@pytest.mark.parametrize(
    ("promise", "held", "rows"),
    [
        (source((6, *FRAME)), [6], 6),
        (source((6, *FRAME)), [9], 6),
        (source((6, *FRAME)), [4], 4),
        (source((6, *FRAME)), [0], 0),
        (source((2, 3, *FRAME)), [5], 1),  # frames of whole rows only
        (source((6,)), [FileFacts((4, 1), None)], 4),
        (source((6, *FRAME), rows=[2, 4]), [2, 3], 5),
        (source((6, *FRAME), rows=[2, 4]), [5, 3], 5),
        (source((6, *FRAME), rows=[2, 4]), [1, 4], 1),
        (source((6, *FRAME), rows=[2, 0, 4]), [2, "missing", 4], 6),
        (source((6, *FRAME), rows=[2, 4]), [2, "locked"], 2),
        (source((12, 4, 5), rows=[4, 8]), [4, 5], 9),
        (source((4, *FRAME), TIFF), [1, 1, "missing", 1], 2),
        (source((4, *FRAME), TIFF), [1, "damaged", 1, 1], 1),
        (source((1, *FRAME), TIFF), ["missing"], 0),
        (source((1, 2, *FRAME), TIFF), [1], 0),
        (source((2, 3, *FRAME), TIFF), [1] * 5 + ["missing"], 1),  # three files a row
        (source((6, *FRAME), TIFF), [3, 2], 3),  # several frames a file: read whole
    ],
)
def test_rows_that_are_there(promise, held, rows):
    assert there(promise, held)[0] == rows


@pytest.mark.parametrize("held", ["outside", "unreadable", FileFacts((2, *FRAME), None, whole=True)])
def test_what_will_never_be_seen_is_not_waited_for(held):
    assert there(source((6, *FRAME)), [held])[0] == 6


@pytest.mark.parametrize(
    ("promise", "files"),
    [
        (source((6, *FRAME), CSV), 1),
        (source((6, *FRAME), "application/x-nobody-knows"), 1),
        (source((5, *FRAME), TIFF), 3),
        (source((6, *FRAME), rows=[2, 3]), 2),
        (source((3, *FRAME), ranges=[[0, 0, 2], [0, 5, 6]]), 1),  # picked out of a file
        (source((0, *FRAME)), 1),
        (source((6, *FRAME)), 0),
        (DataSource("bytes", None, HDF5), 1),
    ],
)
def test_arrays_that_are_published_as_promised(promise, files):
    assert Growing.of(promise, files) is None


def test_what_is_published_is_not_looked_at_again():
    assert there(source((6, *FRAME), TIFF), [1] * 6, published=4) == (6, [4, 5])
    assert there(source((6, *FRAME), TIFF), ["missing"] * 6, published=4) == (4, [4])
    assert there(source((6, *FRAME), rows=[2, 4]), [2, 1], published=5) == (5, [1])
    assert there(source((6, *FRAME), TIFF), [1] * 6, published=6) == (6, [])


@pytest.mark.parametrize("count", [MOST_IN_ORDER + 1, 1_000, 10_000])
@pytest.mark.parametrize("part", [0, 0.3, 0.9999, 1])
def test_many_files_take_few_looks(count, part):
    whole = int(count * part)
    rows, looks = there(source((count, *FRAME), TIFF), [1] * whole + ["missing"] * (count - whole))
    assert rows == whole
    assert len(looks) == len(set(looks)) <= 2 + count.bit_length()
    if part == 1:
        assert sorted(looks) == [count - 2, count - 1]


@pytest.mark.parametrize(
    ("promise", "files", "rows", "in_use"),
    [
        (source((6, *FRAME)), 1, 4, 1),
        (source((6, *FRAME)), 1, 0, 0),
        (source((6, *FRAME), rows=[2, 4]), 2, 2, 1),
        (source((6, *FRAME), rows=[2, 4]), 2, 3, 2),
        (source((6, *FRAME), TIFF), 6, 4, 4),
        (source((2, 3, *FRAME), TIFF, chunks=[[1] * 6, [4], [5]]), 6, 1, 3),
        (source((6, *FRAME), chunk=4), 1, 5, 1),
    ],
)
def test_what_is_published_keeps_what_is_promised(promise, files, rows, in_use):
    published = Growing.of(promise, files).published(rows)
    assert published.structure["shape"] == [rows, *promise.structure["shape"][1:]]
    assert sum(published.structure["chunks"][0]) == rows
    assert published.properties.get(FILES, files) == in_use
    if "chunks" in promise.properties:
        assert published.properties["chunks"] == [[1] * in_use, [4], [5]]
    assert declared(published) == promise


def test_all_that_is_promised_is_as_promised():
    promise = source((6, *FRAME))
    assert Growing.of(promise, 1).published(6) is promise
    assert DECLARED not in promise.properties
