import gzip
import json
import math

import pytest

from tilewright.errors import InputError
from tilewright.sources import document_file, read_documents

DOCUMENTS = [("start", {"uid": "a", "n": 0}), ("event", {"n": 1, "bad": math.inf}), ("stop", {"n": 2})]


def as_list(documents):
    return json.dumps(documents, indent=1)


def as_list_of_objects(documents):
    return json.dumps([{"name": name, "doc": doc} for name, doc in documents])


def as_pairs(documents):
    return "".join(json.dumps(pair) + "\n" for pair in documents)


def as_objects(documents):
    return "\r\n\r\n".join(json.dumps({"name": name, "doc": doc}) for name, doc in documents) + "\r\n"


SHAPES = [as_list, as_list_of_objects, as_pairs, as_objects]


@pytest.fixture
def written(tmp_path):
    def write(content, *, compress=False):
        path = tmp_path / "documents.any"  # the name says nothing
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if compress else data)
        return path

    return write


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\n  "], ids=["", "byte order mark", "white space"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_documents(written, shape, mark, compress):
    path = written(mark + shape(DOCUMENTS), compress=compress)
    assert list(read_documents(path)) == DOCUMENTS


def test_nan_and_unicode_survive(written):
    [(_, doc)] = read_documents(written('["event", {"x": NaN, "y": -Infinity, "ü": "µm"}]'))
    assert math.isnan(doc["x"])
    assert doc["y"] == -math.inf
    assert doc["ü"] == "µm"


def test_a_list_may_be_empty(written):
    assert list(read_documents(written("[]"))) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "line 1: not JSON"),
        ("hello", "line 1, column 1: not JSON"),
        ("[[1, 2", "line 1, column 7: not JSON .*a JSON list of documents"),
        ("[1, 2]", r"line 1: expected one document.*found \[1, 2\]"),
        ('{"name": "start"}', "line 1: expected one document"),
        ('["start", []]', "line 1: expected one document"),
        ('["begin", {}]', "line 1: 'begin' is no kind of document; known are .*start"),
        ('[["start", {}], 7]', "record 2: expected one document.*found 7"),
        ('[["start", {}],\n 7 7]', "line 2, column 4: not JSON"),
        ("[" * 100_000, "line 1: not JSON"),
        ('["start", {}]\n\nnull\n', "line 3: expected one document.*found None"),
        ('["start", {"long": "' + 200 * "x" + '"}, 3]', r"found \['start', .{60,70}\.\.\.$"),
    ],
)
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_anything_else_is_told(written, content, message, compress):
    path = written(content, compress=compress)
    with pytest.raises(InputError, match=message) as caught:
        list(read_documents(path))
    assert str(path) in str(caught.value)


def read_until_error(path, message):
    """Return the documents that come before the expected error."""
    documents = []

    def read():
        for document in read_documents(path):
            documents.append(document)  # noqa: PERF402 - extend() would lose what came before the error

    with pytest.raises(InputError, match=message):
        read()
    return documents


def test_before_a_cut_last_line_everything_is_yielded(written):
    path = written(as_pairs(DOCUMENTS)[:-5])
    assert read_until_error(path, r"line 3, column \d+: not JSON .*may be cut off") == DOCUMENTS[:2]


def test_a_last_line_without_a_line_end_is_fine(written):
    assert list(read_documents(written(as_pairs(DOCUMENTS).rstrip()))) == DOCUMENTS


def test_before_the_end_of_cut_gzip_whole_lines_are_yielded(tmp_path):
    documents = [("event", {"n": n, "sine": math.sin(n)}) for n in range(10_000)]
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(as_pairs(documents).encode())[:-20_000])
    read = read_until_error(path, "cut off after [0-9]+ documents")
    assert 5_000 < len(read) < 10_000
    assert read == documents[: len(read)]


def test_damaged_gzip_is_told(tmp_path):
    data = bytearray(gzip.compress(as_list(DOCUMENTS).encode()))
    data[-8] ^= 1  # the checksum
    path = tmp_path / "damaged.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        list(read_documents(path))


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_what_cannot_be_opened_is_told_at_once(tmp_path, name):
    with pytest.raises(InputError, match="cannot read documents from"):
        document_file(tmp_path / name)


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_position_goes_from_nothing_to_the_size(written, compress):
    documents = [("event", {"n": n, "sine": math.sin(n)}) for n in range(20_000)]
    file = document_file(written(as_pairs(documents), compress=compress))
    assert file.size_bytes == file.path.stat().st_size
    assert file.position == 0
    positions = [file.position for _ in file]
    assert positions == sorted(positions)
    assert positions[0] < file.size_bytes / 2  # it streams
    assert len(set(positions)) > 5
    assert positions[-1] <= file.position == file.size_bytes
    assert len(list(file)) == len(documents)  # and again


def test_real_files(test_data):
    runs = {
        path.name: sum(name == "start" for name, _ in read_documents(path))
        for path in (test_data / "documents").iterdir()
    }
    assert runs == {"apstools.json.gz": 53, "uid-219cc7b4.json": 1, "uid-3ab777ae.json": 1}
