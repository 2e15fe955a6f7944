"""Large arrays in events, by our writer and by Bluesky's, on our server and on a stock one, read by everybody's clients."""

import uuid

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter as TheirWriter
from event_model import compose_run
from tiled.client import from_uri

from tilewright import TiledWriter, open_catalog

STRUCTURE = np.dtype([("n", "<i4"), ("name", "<U4")])
ROWS = 30


def spec(*shape, **more):
    return {"source": "test", "dtype": "array", "shape": list(shape), **more}


CASES = {
    "floats": (spec(40, dtype_numpy="<f8"), lambda n: np.arange(40) + 100.0 * n),
    "image": (spec(8, 9, dtype_numpy="<u2"), lambda n: np.arange(72, dtype="u2").reshape(8, 9) + n),
    "lists": (spec(40, dtype_numpy="<i8"), lambda n: list(range(n, n + 40))),
    "texts": (spec(20, dtype_numpy="<U6"), lambda n: [f"{n}_{i}" for i in range(20)]),
    "flags": (spec(20, dtype_numpy="|b1"), lambda n: [i % (n + 2) == 0 for i in range(20)]),
    "big": (spec(20, dtype_numpy=">i4"), lambda n: np.arange(20, dtype=">i4") * n),
    "structures": (
        spec(20, dtype_numpy=STRUCTURE.descr),
        lambda n: np.array([(n, f"{i}") for i in range(20)], STRUCTURE),
    ),
    "complex": (spec(20, dtype_numpy="<c16"), lambda n: np.arange(20) * 1j + n),
    "ragged": (spec(None, dtype_numpy="<f8"), lambda n: [float(100 * n + i) for i in range(15 + n)]),
    "pairs": (
        spec(None, 2, dtype_numpy="<f8"),
        lambda n: [[float(100 * n + i), -1.0] for i in range(10 + n)],
    ),
    "varying": (spec(40), lambda n: [float(100 * n + i) for i in range(40 - n)]),
    "short": (spec(3), lambda n: [float(n), n + 0.5, -1.0]),
}
THEIRS = ["floats", "image", "lists", "texts", "flags", "complex", "ragged", "pairs"]
"""What Bluesky's writer writes right: it refuses structures, makes another dtype of numbers of the other byte order, and pads
lists of varying length with NaN."""


def run_with(keys, rows=ROWS, *, paged=False):
    """Return documents, and the values of each key."""
    run = compose_run()
    data_keys = {key: CASES[key][0] for key in keys}
    bundle = run.compose_descriptor(name="primary", data_keys=data_keys)
    values = {key: [CASES[key][1](n) for n in range(rows)] for key in keys}
    stamps = [float(n) for n in range(rows)]
    if paged:
        page = bundle.compose_event_page(
            data=values, timestamps=dict.fromkeys(keys, stamps), seq_num=list(range(1, rows + 1)), time=stamps
        )
        middle = [("event_page", page)]
    else:
        middle = [
            (
                "event",
                bundle.compose_event(
                    data={key: values[key][n] for key in keys},
                    timestamps=dict.fromkeys(keys, stamps[n]),
                    time=stamps[n],
                ),
            )
            for n in range(rows)
        ]
    begin = [("start", run.start_doc), ("descriptor", bundle.descriptor_doc)]
    return [*begin, *middle, ("stop", run.compose_stop())], values


def assert_equal(found, expected, dtype=None):
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        one = row if isinstance(row, np.ndarray) else np.asarray(row.tolist())
        np.testing.assert_array_equal(one, np.asarray(other))
    if dtype is not None:
        assert found.dtype == dtype


@pytest.mark.parametrize("paged", [False, True])
def test_every_client_reads_what_was_sent(write, catalog, paged):
    documents, values = run_with(list(CASES), paged=paged)
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    plain, dataset = run["primary"].base, run["primary"].read()
    for key, expected in values.items():
        declared = CASES[key][0].get("dtype_numpy") or "<f8"
        dtype = np.dtype([tuple(field) for field in declared] if isinstance(declared, list) else declared)
        for node in (run["primary"][key], plain["internal"][key] if key == "short" else plain[key]):
            assert_equal(node.read(), expected, dtype)
            assert_equal(node[3:5], expected[3:5], dtype)
        assert_equal(dataset[key].to_numpy(), expected)
    assert dict(dataset.sizes)["time"] == ROWS
    assert dataset["floats"].dims[1] == dataset["lists"].dims[1]  # of one length, and so of one name
    assert run.notes == []
    assert list(run.table()) == ["seq_num", "time", "short"]


@pytest.mark.filterwarnings("ignore:The data type .FixedLength")  # Zarr's, of its version 3
def test_the_same_as_bluesky_writes(write, catalog, client):
    """But for the chunks, which are of as many rows there as came with the first batch; and for what two keys of one length
    are called, which depends on the order of a set.
    """
    documents, values = run_with(THEIRS)
    write(documents)
    theirs = client.create_container(f"c{uuid.uuid4().hex[:8]}")
    writer = TheirWriter(theirs)
    for name, doc in documents:
        plain = {k: (v.tolist() if isinstance(v, np.ndarray) else v) for k, v in doc.get("data", {}).items()}
        writer(name, {**doc, "data": plain} if name == "event" else doc)
    uid = documents[0][1]["uid"]
    for key, expected in values.items():
        ours, other = catalog[uid]["primary"][key], theirs[uid]["primary"][key]
        assert_equal(other.read(), expected)
        assert (ours.shape, ours.dtype, len(ours.dims)) == (other.shape, other.dtype, len(other.dims))
        assert type(ours.structure()) is type(other.structure())


def test_a_stock_server(stock):
    """Live: what has been delivered is there, and no row more."""
    client = from_uri(stock)
    container = client.create_container(f"c{uuid.uuid4().hex[:8]}")
    documents, values = run_with([key for key in CASES if key != "short"])
    with TiledWriter(container, strict=True, on_stop="return") as writer:
        for start in range(0, len(documents), 10):
            for document in documents[start : start + 10]:
                writer(*document)
            assert writer.flush(30), writer.status()
            rows = max(0, min(ROWS, start + 10 - 2))
            stream = open_catalog(container)[documents[0][1]["uid"]]["primary"]
            for key, expected in values.items():
                assert_equal(stream[key].read(), expected[:rows])
    run = open_catalog(container)[documents[0][1]["uid"]]
    assert run.metadata["tilewright"]["verified"]
    assert run.notes == []
    client.context.close()
