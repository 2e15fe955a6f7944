"""What files hold against what was declared, without any file: facts in, a verdict out."""

import numpy as np
import pytest

from tilewright.formats import DataSource, FileFacts
from tilewright.formats.checking import DECLARED, FILES, Finding, Looked, declared, judge
from tilewright.formats.layout import data_type, split
from tilewright.formats.ranges import RANGES

TIFF, HDF5 = "multipart/related;type=image/tiff", "application/x-hdf5"
U2, F4 = np.dtype("<u2"), np.dtype("<f4")


def source(shape, chunk=None, mimetype=HDF5, dtype=U2, rows=None, **properties):
    """Return a registration; `rows` are those promised of each file."""
    sizes = chunk or shape
    if rows is not None:
        properties[RANGES] = [[file, 0, count] for file, count in enumerate(rows) if count]
    structure = {
        "data_type": data_type(dtype),
        "shape": list(shape),
        "chunks": [split(length, size) if length else [0] for length, size in zip(shape, sizes, strict=True)],
        "dims": ["time", *(f"d{number}" for number in range(1, len(shape)))],
        "resizable": False,
    }
    return DataSource("array", structure, mimetype, {"dataset": "d"}, properties)


def held(*files, dtype=U2, chunks=None):
    """Return what was seen of files: of each its shape, or the kind of its failure, or None if nothing is known."""
    looked = []
    for number, file in enumerate(files):
        uri = f"file://localhost/{number}"
        if isinstance(file, str):
            looked.append(Looked(uri, failure=Finding(uri, file, "")))
        elif isinstance(file, FileFacts):
            looked.append(Looked(uri, file))
        else:
            looked.append(Looked(uri, None if file is None else FileFacts(file, dtype, chunks)))
    return looked


def kinds(verdict):
    return [(int(finding.uri.rpartition("/")[2]), finding.kind) for finding in verdict.findings]


SOUND = [
    (source((6, 4, 5)), held((6, 4, 5))),
    (source((6, 4, 5)), held((2, 4, 5), (4, 4, 5))),  # who registered them did not say how many rows each has
    (source((6, 4, 5), rows=[2, 4]), held((2, 4, 5), (4, 4, 5))),
    (source((6, 4, 5), mimetype=TIFF), held(*[(1, 4, 5)] * 6)),
    (source((3, 2, 4, 5), mimetype=TIFF), held(*[(1, 4, 5)] * 6)),  # two files a row
    (source((3, 4, 4, 5), mimetype=TIFF), held(*[(1, 2, 4, 5)] * 6)),  # of two pages each
    (source((12, 4, 5), mimetype=TIFF), held(*[(1, 2, 4, 5)] * 6)),  # concatenated
    (source((6,)), held((6, 1))),
    (source((6, 4, 5)), held((6, 20))),  # laid out flat
    (source((6, 2, 4, 5)), held((12, 4, 5))),
    (source((6,), mimetype=TIFF), held(*[(1,)] * 6)),
    (source((6, 4, 5)), held(FileFacts((6, 4, 5), None))),
    (source((0, 4, 5)), held((0, 4, 5))),
    (source((0, 4, 5), mimetype=TIFF), held()),
]


@pytest.mark.parametrize(("promised", "looked"), SOUND)
def test_sound(promised, looked):
    verdict = judge(promised, looked)
    assert kinds(verdict) == []
    assert verdict.right == promised


CORRECTED = [
    # declared, files, what is found, shape and number of files that are right
    (source((6, 4, 5)), held((4, 4, 5)), [(0, "shorter")], (4, 4, 5), None),
    (source((6, 2, 4, 5)), held((9, 4, 5)), [(0, "shorter")], (4, 2, 4, 5), None),
    (source((6, 4, 5), rows=[2, 4]), held((2, 4, 5), (1, 4, 5)), [(1, "shorter")], (3, 4, 5), None),
    (source((6, 4, 5), rows=[2, 4]), held((1, 4, 5), (4, 4, 5)), [(0, "shorter")], (1, 4, 5), 1),
    (source((6, 4, 5), rows=[2, 4]), held((2, 4, 5), "missing"), [(1, "missing")], (2, 4, 5), 1),
    (
        source((6, 4, 5), rows=[2, 0, 4]),
        held((2, 4, 5), (0, 4, 5), "damaged"),
        [(2, "damaged")],
        (2, 4, 5),
        1,
    ),
    (
        source((4, 4, 5), mimetype=TIFF),
        held((1, 4, 5), (1, 4, 5), "missing", (1, 4, 5)),
        [(2, "missing")],
        (2, 4, 5),
        2,
    ),
    (
        source((2, 2, 4, 5), mimetype=TIFF, chunks=[[1] * 4, [4], [5]]),
        held((1, 4, 5), (1, 4, 5), (1, 4, 5), "missing"),
        [(3, "missing")],
        (1, 2, 4, 5),
        2,
    ),
    (source((6, 4, 5)), held((6, 4, 7)), [(0, "shape")], (6, 4, 7), None),
    (source((6, 4, 5)), held((5, 4, 7)), [(0, "shape")], (5, 4, 7), None),
    (
        source((2, 4, 5), mimetype=TIFF),
        held((1, 4, 7), (1, 4, 7)),
        [(0, "shape"), (1, "shape")],
        (2, 4, 7),
        None,
    ),
    (source((6, 4, 5)), held((4, 4, 5), dtype=F4), [(0, "dtype")], (4, 4, 5), None),
]


@pytest.mark.parametrize(("promised", "looked", "found", "shape", "files"), CORRECTED)
def test_corrected(promised, looked, found, shape, files):
    verdict = judge(promised, looked)
    assert kinds(verdict) == found
    right = verdict.right
    assert tuple(right.structure["shape"]) == shape
    assert [sum(sizes) for sizes in right.structure["chunks"]] == list(shape)
    assert right.structure["dims"] == promised.structure["dims"]
    assert right.properties.get(FILES) == files
    if "chunks" in promised.properties:
        assert right.properties["chunks"][0] == [1] * files
    # What it was is kept: the same files end in the same verdict, and whole ones in what was declared.
    assert declared(right) == promised
    assert judge(right, looked).right == right


def test_it_is_undone_when_the_files_are_back():
    promised = source((3, 4, 5), mimetype=TIFF)
    right = judge(promised, held((1, 4, 5), "missing", (1, 4, 5))).right
    assert DECLARED in right.properties
    verdict = judge(right, held(*[(1, 4, 5)] * 3))
    assert verdict.findings == ()
    assert verdict.right == promised


NOT_CORRECTED = [
    (source((6, 4, 5)), held("missing"), "nothing of it is there"),
    (source((6, 4, 5)), held("outside"), "the server has to be able to read"),
    (source((6, 4, 5), rows=[2, 4]), held((2, 4, 5), "unreadable"), "the server has to be able to read"),
    (source((6, 4, 5)), held((2, 4, 5), (3, 4, 5)), "not known how many rows were promised of each"),
    (source((5, 4, 5)), held((2, 4, 5), "missing"), "not known how many rows were promised of each"),
    (source((6, 4, 5)), held((7, 20)), "a file holds more than declared"),
    (source((6, 2, 5)), held(FileFacts((7, 2, 5), U2, whole=True)), "a file holds more than declared"),
    (source((6, 4, 5), rows=[6, 0]), held(None, "missing"), "does not say how to look"),
    (
        source((2, 4, 5), mimetype=TIFF),
        held(FileFacts((1, 4, 5), F4), FileFacts((1, 4, 5), np.dtype("<f8"))),
        "of several dtypes",
    ),
    (source((2, 4, 5), mimetype=TIFF), held((1, 4, 7), (1, 4, 5)), "rows of several shapes"),
    (source((6, 4, 5)), held((6, 4)), "another number of dimensions"),
    (source((6, 4, 5)), held((0, 4, 5)), "no whole row"),
    (source((2, 2, 4, 5), mimetype=TIFF), held((1, 4, 5), *["missing"] * 3), "no whole row"),
]


@pytest.mark.parametrize(("promised", "looked", "reason"), NOT_CORRECTED)
def test_not_corrected(promised, looked, reason):
    verdict = judge(promised, looked)
    assert verdict.right is None
    assert reason in verdict.obstacle
    assert verdict.findings


@pytest.mark.parametrize(("rows", "place"), [((2, 9), 1), ((3, 4), 0)])
def test_more_rows_than_declared_are_harmless_where_each_file_is_cut(rows, place):
    promised = source((6, 4, 5), rows=[2, 4])
    verdict = judge(promised, held(*((each, 4, 5) for each in rows)))
    assert kinds(verdict) == [(place, "longer")]
    assert verdict.findings[0].harmless
    assert verdict.right == promised


def test_rows_that_are_picked_out_of_a_file():
    promised = source((3, 4, 5))
    promised.properties[RANGES] = [[0, 0, 2], [0, 5, 6]]
    assert judge(promised, held((6, 4, 5))).findings == ()
    verdict = judge(promised, held((5, 4, 5)))
    assert kinds(verdict) == [(0, "shorter")]
    assert "picked" in verdict.obstacle


@pytest.mark.parametrize(("rows", "harmless"), [((2, 9), True), ((3, 4), False)])
def test_more_rows_than_declared_are_harmless_at_the_end_only(rows, harmless):
    """On a server that puts the files after one another as they are."""
    verdict = judge(source((6, 4, 5), rows=[2, 4]), held(*((each, 4, 5) for each in rows)), each_is_cut=False)
    assert [finding.harmless for finding in verdict.findings] == [harmless]
    assert bool(verdict.obstacle) is not harmless


@pytest.mark.parametrize(
    ("declared_chunks", "stored", "right"),
    [
        ((2, 4, 5), (3, 4, 5), [[3, 3, 1], [4], [5]]),
        ((1, 4, 5), (2, 2, 5), [[2, 2, 2, 1], [2, 2], [5]]),
        ((4, 4, 5), (2, 4, 5), None),  # two of the file's in each
        ((7, 4, 5), (2, 2, 5), None),  # nothing is declared: the whole
    ],
)
def test_chunks(declared_chunks, stored, right):
    promised = source((7, 4, 5), declared_chunks)
    verdict = judge(promised, held((7, 4, 5), chunks=stored))
    assert kinds(verdict) == ([] if right is None else [(0, "chunks")])
    assert verdict.right.structure["chunks"] == (right or promised.structure["chunks"])


def test_byte_order_is_part_of_the_dtype():
    verdict = judge(source((6, 4, 5), dtype=np.dtype(">u2")), held((6, 4, 5)))
    assert kinds(verdict) == [(0, "dtype")]
    assert verdict.right.structure["data_type"]["endianness"] == "little"


def test_bytes_are_only_there_or_not():
    promised = DataSource("bytes", {}, "application/octet-stream")
    assert judge(promised, held(None)).right == promised
    verdict = judge(promised, held(None, "missing"))
    assert kinds(verdict) == [(1, "missing")]
    assert verdict.right is None


def test_findings_are_bounded_the_grave_ones_first():
    promised = source((6, 4, 5), rows=[2, 2, 2])
    verdict = judge(promised, held("missing", "missing", (9, 4, 5))).bounded(1)
    assert kinds(verdict) == [(0, "missing")]
    assert verdict.count == 2


def test_rows_are_promised_of_each_file(resource, descriptor, datum):
    from tilewright.formats import open_array

    resources = [resource(HDF5, f"file://localhost/{uid}.h5", uid, dataset="d") for uid in ("r1", "r2")]
    array = open_array(resources[0], descriptor([4, 5]))
    array.add_datum(datum(0, 2))
    assert array.data_source().properties == {}
    array.add_resource(resources[1])
    array.add_datum(datum(2, 6, "r2"))
    array.add_datum(datum(6, 7, "r1"))
    assert array.data_source().properties == {RANGES: [[0, 0, 2], [1, 0, 4], [0, 6, 7]]}
