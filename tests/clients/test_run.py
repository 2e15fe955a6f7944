"""Run: documents, streams, rows, files."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tiled.client.container import Container

from tilewright.clients import Run, Stream
from tilewright.errors import NotFoundError


def test_documents(write, catalog):
    write.run("a1", scan_id=7, notes=["a note"])
    run = catalog["a1"]
    assert isinstance(run, Run)
    assert (run.uid, run.scan_id, run.notes) == ("a1", 7, ["a note"])
    assert run.start["plan_name"] == "count"
    assert run.stop["exit_status"] == "success"


def test_a_run_without_stop_scan_id_and_time(write, catalog):
    write.run("a1", stop=False, scan_id=None, time=None, plan_name=None)
    run = catalog["a1"]
    assert (run.stop, run.scan_id, run.notes, run.streams, len(run)) == (None, None, [], [], 0)
    assert repr(run) == "<Run a1, scan_id None, None, no start time, no stop document, streams: none>"


def test_streams_are_primary_first_then_as_they_were_opened(write, catalog):
    node = write.run("a1")
    for name in ("zebra", "baseline", "primary"):
        write.stream(node, name)
    run = catalog["a1"]
    assert run.streams == list(run) == list(run.keys()) == ["primary", "zebra", "baseline"]
    assert run.keys()[-1] == "baseline"
    assert [s.name for s in run.values()] == run.streams
    assert [(name, type(s)) for name, s in run.items()] == [(name, Stream) for name in run.streams]
    assert "zebra" in run
    assert "nothing" not in run
    assert len(run) == 3


def test_base_is_the_node_as_stored(write, catalog):
    write.stream(write.run("a1"), tables=[write.rows(x=[0, 1, 2])])
    base = catalog["a1"].base
    assert type(base) is Container
    assert list(base["primary"].base) == ["internal"]


def test_paths_into_a_run(write, catalog):
    write.stream(
        write.run("a1"), tables=[write.rows(x=[0, 1, 2])], arrays={"image": np.arange(12).reshape(3, 2, 2)}
    )
    for client in (catalog["a1/primary/x"], catalog["a1"]["primary/x"], catalog["a1", "primary", "x"]):
        assert client.read().tolist() == [0, 1, 2]
    assert catalog["a1/primary/image"].shape == (3, 2, 2)


def test_no_such_stream(write, catalog):
    node = write.run("a1b2c3d4-e5")
    with pytest.raises(
        NotFoundError, match=r"^Run a1b2c3d4 has no stream 'primary': it has no streams at all\.$"
    ):
        catalog["a1b2c3d4-e5"].table()
    write.stream(node, "primary")
    write.stream(node, "baseline")
    expected = r"^Run a1b2c3d4 has no stream 'primry'\. Did you mean 'primary'\? Its streams are: primary, baseline\.$"
    with pytest.raises(NotFoundError, match=expected):
        catalog["a1b2c3d4-e5"]["primry"]
    with pytest.raises(NotFoundError, match=r"no stream ''"):
        catalog["a1b2c3d4-e5"][""]


def test_repr(write, catalog):
    write.stream(write.run("a1b2c3d4-e5", plan_name="<scan>"))
    run = catalog["a1b2c3d4-e5"]
    expected = "<Run a1b2c3d4, scan_id 1, <scan>, 2023-11-14 22:13:20 UTC, success, streams: primary>"
    assert repr(run) == expected
    assert "&lt;scan&gt;" in run._repr_html_()


def test_table_costs_one_request_for_the_rows(write, catalog, requests):
    write.stream(write.run("a1"), tables=[write.rows(x=[0, 1, 2])])
    run = catalog["a1"]
    requests.clear()
    assert run.table()["x"].tolist() == [0, 1, 2]
    path = f"{catalog.item['id']}/a1/primary"
    assert requests == [f"GET /metadata/{path}", f"GET /search/{path}", f"GET /table/full/{path}/internal"]


def test_table_of_another_stream(write, catalog):
    node = write.run("a1")
    write.stream(node, tables=[write.rows(x=[0, 1, 2])])
    write.stream(node, "baseline", tables=[write.rows([1, 2], y=[10, 11])])
    frame = catalog["a1"].table("baseline", ["y"], timestamps=True)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"y": [10, 11], "ts_y": [2000.0, 2001.0]}))


def test_read_of_a_stream(write, catalog):
    run = write.run("a1")
    write.stream(run, tables=[write.rows(x=[0, 1, 2], y=[3, 4, 5])])
    write.stream(run, "baseline", tables=[write.rows([1, 2], z=[6, 7])])
    run = catalog["a1"]
    assert list(run.read().data_vars) == ["x", "y"]
    assert run.read("baseline", dim0="event")["z"].dims == ("event",)
    assert run.read(variables="y")["y"].to_numpy().tolist() == [3, 4, 5]
    with pytest.raises(NotFoundError, match=r"Did you mean 'baseline'\?"):
        run.read("basline")


def test_rejected(write, catalog):
    rejected = [
        None,
        '{"x": {"value": "two", "reason": "no number"}, "y": {"value": [1, 2], "reason": "a list"}}',
        None,
    ]
    table = write.rows(x=[0, None, 2], y=[0.0, None, 2.0]).append_column(
        "rejected", pa.array(rejected, pa.string())
    )
    write.stream(write.run("a1"), tables=[table])
    frame = catalog["a1"].rejected()
    assert list(frame) == ["seq_num", "data_key", "value", "reason"]
    assert frame.to_numpy().tolist() == [[2, "x", "two", "no number"], [2, "y", [1, 2], "a list"]]
    assert list(catalog["a1"].table()) == ["seq_num", "time", "x", "y"]


def test_nothing_rejected(write, catalog):
    node = write.run("a1")
    write.stream(node, tables=[write.rows(x=[0, 1, 2])])
    write.stream(node, "empty")
    for stream in ("primary", "empty"):
        frame = catalog["a1"].rejected(stream)
        assert (len(frame), list(frame)) == (0, ["seq_num", "data_key", "value", "reason"])


def test_assets(write, catalog, server, tmp_path, requests):
    node = write.run("a1")
    write.stream(node, tables=[write.rows(x=[0, 1, 2])])
    write.stream(node, "images", arrays={"image": np.arange(12).reshape(3, 2, 2)})
    run = catalog["a1"]
    requests.clear()
    frame = run.assets()
    assert len(requests) == 3  # the streams, and each
    assert list(frame) == ["stream", "data_key", "managed", "mimetype", "path", "uri", "size", "exists"]
    table, image = (row for _, row in frame.iterrows())
    assert (table["stream"], table["data_key"], table["managed"]) == ("primary", "internal", "writable")
    assert table["mimetype"] == "application/x-tiled-sql-table"
    assert table["path"].endswith("tables.duckdb")
    assert table["size"] > 0
    assert (image["stream"], image["data_key"], image["mimetype"]) == (
        "images",
        "image",
        "application/x-zarr",
    )
    assert frame["exists"].tolist() == [True, True]
    assert image["size"] is pd.NA  # a directory


def test_assets_of_files_that_are_elsewhere(write, catalog, server):
    import tiled.structures.array as arrays
    from tiled.structures.data_source import Asset, DataSource, Management

    node = write.run("a1")
    stream = write.stream(node)
    structure = arrays.ArrayStructure.from_array(np.zeros((2, 2)))
    source = DataSource(
        structure_family="array",
        structure=structure,
        mimetype="application/x-hdf5",
        management=Management.external,
        assets=[
            Asset(
                "file://localhost/not/on/this/machine.h5",
                is_directory=False,
                parameter="data_uris",
                num=0,
                size=123,
            )
        ],
    )
    stream.new("array", [source], key="camera", metadata={}, specs=[])
    (row,) = catalog["a1"].assets().to_dict("records")
    assert row["path"] == "/not/on/this/machine.h5"
    assert (row["managed"], row["exists"], row["size"]) == ("external", False, 123)


def test_assets_of_a_run_without_streams(write, catalog):
    write.run("a1")
    assert catalog["a1"].assets().empty
