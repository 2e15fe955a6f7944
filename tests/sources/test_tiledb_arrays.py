"""TileDB arrays that exist already are registered whole, with what they say of themselves. A value is its index."""

import sys

import numpy as np
import pytest
from event_model import DocumentNames, schema_validators

from tilewright import TiledWriter, open_catalog, serve
from tilewright.errors import InputError, SetupError
from tilewright.sources.tiledb_arrays import TileDBArrays
from tilewright.sources.tiledb_schema import context, tiledb

RATE = 1000


@pytest.fixture
def deployment(tmp_path):
    """Write an array as the prototype has it: a row for each unit, in a domain of a week."""
    try:
        package = tiledb()
    except ModuleNotFoundError:
        pytest.skip("the extra tiledb is not installed")
    path = tmp_path / "deployment1"
    with context():
        dims = [
            package.Dim("unit", domain=(0, 32), tile=1, dtype="i8"),
            package.Dim("time", domain=(0, RATE * 7 * 86_400), tile=RATE, dtype="i8"),
        ]
        attributes = [package.Attr("sample", dtype="i2"), package.Attr("quality", dtype="f4")]
        package.Array.create(str(path), package.ArraySchema(package.Domain(*dims), attributes))
        values = np.arange(2 * 5 * RATE, dtype="i2").reshape(2, -1)
        with package.open(str(path), "w") as array:
            array[1:3, RATE : 6 * RATE] = {"sample": values, "quality": values.astype("f4") / 2}
            array.meta["Deployment_Date"], array.meta["Sampling_Rate"] = "2023-04-25 15:09:20", RATE
            array.meta["position"], array.meta["raw"] = (1.5, 2.5), b"AM"
    return path, values


def test_documents_are_valid_and_the_same_each_time(deployment):
    path, _ = deployment
    documents = list(TileDBArrays(path, metadata={"site": "creek"}))
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    assert [name for name, _ in documents] == [
        "start",
        "descriptor",
        "stream_resource",
        "stream_datum",
        "stream_resource",
        "stream_datum",
        "stop",
    ]
    assert documents[0][1]["site"] == "creek"
    assert documents == list(TileDBArrays(path, metadata={"site": "creek"}))
    assert documents[0][1]["uid"] != next(iter(TileDBArrays(path)))[1]["uid"]


def test_registered_and_read(deployment, tmp_path):
    path, values = deployment
    meta = {
        "Deployment_Date": "2023-04-25 15:09:20",
        "Sampling_Rate": RATE,
        "position": [1.5, 2.5],
        "raw": "AM",
    }
    with serve(tmp_path / "catalog", readable_storage=[tmp_path], announce=False) as server:
        with TiledWriter(server) as writer:
            for name, doc in [
                *TileDBArrays(path),
                *TileDBArrays(path, attributes=["sample"], region="domain"),
            ]:
                writer(name, doc)
        with open_catalog(server) as runs:
            whole, written = runs[-1], runs[-2]
            if "quality" in whole["primary"]:
                whole, written = written, whole
            assert written.notes == whole.notes == []
            samples = written["primary"]["sample"]
            assert samples.dims == ("unit", "time")
            assert samples.shape == values.shape
            np.testing.assert_array_equal(samples.read(), values)
            np.testing.assert_array_equal(samples[1, 500:600:7], values[1, 500:600:7])
            np.testing.assert_array_equal(written["primary"]["quality"][:, -5:], values[:, -5:] / 2)
            assert samples.metadata["meta"] == meta
            assert samples.metadata["fill"] == -32768
            assert written["primary"]["quality"].metadata["fill"] == "nan"
            assert samples.metadata["dimensions"][1] == {"name": "time", "first": RATE, "tile": RATE}
            assert written.verify(files=True).equal
            everything = whole["primary"]["sample"]
            assert everything.shape == (33, RATE * 7 * 86_400 + 1)
            np.testing.assert_array_equal(
                everything[0:3, 999:1002], [[-32768] * 3, [-32768, 0, 1], [-32768, 5000, 5001]]
            )
            assert everything[32, -1] == -32768
            assert whole.verify(files=True).equal


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attributes": ["nothing"]}, "has no attribute 'nothing'"),
        ({"region": "all"}, "expected 'written' or 'domain'"),
    ],
)
def test_what_cannot_be_registered(arguments, message, deployment):
    with pytest.raises(InputError, match=message):
        list(TileDBArrays(deployment[0], **arguments))


def test_arrays_that_are_not_there_or_empty(deployment, tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        list(TileDBArrays(tmp_path / "nowhere"))
    package = tiledb()
    with context():
        dim = package.Dim("x", domain=(0, 9), tile=5, dtype="i4")
        package.Array.create(
            str(tmp_path / "empty"), package.ArraySchema(package.Domain(dim), [package.Attr("a", dtype="i2")])
        )
    with pytest.raises(InputError, match="nothing was written yet"):
        list(TileDBArrays(tmp_path / "empty"))


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiledb", None)
    with pytest.raises(SetupError, match=r"pip install 'tilewright\[tiledb\]'"):
        list(TileDBArrays(tmp_path))
