"""Stream: rows as a DataFrame, everything as a Dataset, configuration; in every layout there is."""

import dask.array
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from tilewright.clients import Stream
from tilewright.clients.http import read_columns
from tilewright.errors import NotFoundError, TransientError


@pytest.fixture
def stream(write, catalog):
    """Return a function that writes one stream and gives our client of it."""

    def make(*tables, **more):
        write.stream(write.run("a1"), tables=tables, **more)
        return catalog["a1"]["primary"]

    return make


def test_default_columns_are_the_data_in_the_order_stored(stream, write):
    frame = stream(
        write.rows(z=[0, 1, 2], a=[10.5, 11.5, 12.5], name=["n0", "n1", "n2"], on=[True, False, True])
    ).table()
    expected = {
        "seq_num": [1, 2, 3],
        "time": [1000.0, 1001.0, 1002.0],
        "z": [0, 1, 2],
        "a": [10.5, 11.5, 12.5],
        "name": pd.Series(["n0", "n1", "n2"], dtype="str"),
        "on": [True, False, True],
    }
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected))


def test_timestamps(stream, write):
    client = stream(write.rows(x=[0, 1, 2], y=[3, 4, 5]))
    frame = client.table(timestamps=True)
    assert list(frame) == ["seq_num", "time", "x", "y", "ts_x", "ts_y"]
    assert frame["ts_y"].tolist() == [2000.0, 2001.0, 2002.0]
    assert list(client.table("y", timestamps=True)) == ["y", "ts_y"]
    assert list(client.table(["ts_x", "time"])) == ["ts_x", "time"]


def test_columns_are_given_as_asked_for(stream, write):
    client = stream(write.rows(x=[0, 1, 2], y=[3, 4, 5]))
    pd.testing.assert_frame_equal(
        client.table(["y", "seq_num"]), pd.DataFrame({"y": [3, 4, 5], "seq_num": [1, 2, 3]})
    )
    assert list(client.table("x")) == ["x"]
    assert client.table([]).shape == (3, 0)
    assert client.table([], attempts=True).shape[1] == 0


def test_no_such_column(stream, write):
    client = stream(write.rows(motor=[0, 1, 2]), arrays={"image": np.zeros((3, 2, 2))})
    expected = (
        r"^Stream 'primary' has no column 'mtor'\. Did you mean 'motor'\? "
        r"There are: seq_num, time, motor, ts_motor\.$"
    )
    with pytest.raises(NotFoundError, match=expected):
        client.table(["motor", "mtor"])
    with pytest.raises(NotFoundError, match=r"^Stream 'primary' has no column 'qqq'\. There are: seq_num"):
        client.table("qqq")
    with pytest.raises(
        NotFoundError,
        match=r"^'image' of stream 'primary' is an array in its own right.*read\(\['image'\]\)\.$",
    ):
        client.table(["image"])


def test_the_last_attempt_of_a_rewound_plan(stream, write):
    client = stream(write.rows([1, 2, 3, 2, 3, 4], x=[0, 1, 2, 3, 4, 5]))
    frame = client.table()
    assert frame[["seq_num", "x"]].to_numpy().tolist() == [[1, 0], [2, 3], [3, 4], [4, 5]]
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert client.table("x")["x"].tolist() == [0, 3, 4, 5]
    every = client.table(attempts=True)
    assert every["seq_num"].tolist() == [1, 2, 3, 2, 3, 4]
    assert every["x"].tolist() == [0, 1, 2, 3, 4, 5]


def test_gaps(stream, write):
    frame = stream(
        write.rows(
            integer=pa.array([0, None, 2]),
            small=pa.array([0, None, 2], pa.int16()),
            real=pa.array([0.5, None, 2.5]),
            flag=pa.array([True, None, False]),
            text=pa.array(["t0", None, "t2"]),
            nothing=pa.array([None, None, None], pa.int64()),
            no_text=pa.array([None, None, None], pa.string()),
        )
    ).table()
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert dtypes == {
        "seq_num": "int64",
        "time": "float64",
        "integer": "Int64",
        "small": "Int16",
        "real": "float64",
        "flag": "boolean",
        "text": "str",
        "nothing": "Int64",
        "no_text": "str",
    }
    assert frame["integer"].tolist() == [0, pd.NA, 2]
    assert frame["flag"].tolist() == [True, pd.NA, False]
    assert frame["real"].isna().tolist() == [False, True, False]
    assert frame["text"].isna().tolist() == [False, True, False]
    assert frame["nothing"].isna().all()


def test_whole_numbers_past_2_53_are_exact(stream, write):
    numbers = [2**53 + 1, 2**62 + 3, -(2**60) - 7]
    assert stream(write.rows(x=numbers)).table()["x"].tolist() == numbers


def test_whole_numbers_past_2_53_beside_gaps_are_not_given_for_exact(stream, write):
    """Tiled's own server sends such a column as floats."""
    client = stream(write.rows(x=[2**53 + 1, None, 2]))
    with pytest.warns(
        UserWarning, match=r"^Column 'x' holds whole numbers past 2\*\*53 beside missing values"
    ):
        frame = client.table()
    assert str(frame["x"].dtype) == "float64"


def test_short_lists_are_numpy_arrays(stream, write):
    frame = stream(write.rows(spectrum=[[0, 1], [2, 3, 4], None], same=[[0.5, 1], [2, 3], [4, 5]])).table()
    assert [None if v is None else v.tolist() for v in frame["spectrum"]] == [[0, 1], [2, 3, 4], None]
    assert frame["spectrum"][1].dtype == np.int64
    assert np.stack(frame["same"]).tolist() == [[0.5, 1], [2, 3], [4, 5]]


def test_lists_that_are_all_empty(stream, write):
    frame = stream(write.rows(x=pa.array([[], [], []], pa.list_(pa.int64())))).table()
    assert [len(v) for v in frame["x"]] == [0, 0, 0]


def test_a_table_without_rows(stream, write):
    frame = stream(write.rows([], x=pa.array([], pa.int64()), text=pa.array([], pa.string()))).table()
    assert {k: str(v) for k, v in frame.dtypes.items()} == {
        "seq_num": "int64",
        "time": "float64",
        "x": "int64",
        "text": "str",
    }
    assert frame.empty


def test_a_stream_without_a_table(stream):
    kinds = {"i": "integer", "x": "number", "s": "string", "b": "boolean", "a": "array"}
    keys = {key: {"source": "test", "dtype": dtype, "shape": []} for key, dtype in kinds.items()}
    keys["image"] = {"source": "test", "dtype": "array", "shape": [2, 2], "external": "X:"}
    client = stream(data_keys=keys)
    frame = client.table(timestamps=True)
    assert list(frame) == ["seq_num", "time", *kinds, *(f"ts_{key}" for key in kinds)]
    assert [str(frame[k].dtype) for k in kinds] == ["int64", "float64", "str", "bool", "object"]
    assert frame.empty
    assert client.table("x").shape == (0, 1)
    assert dict(client.read().sizes) == {}
    with pytest.raises(NotFoundError, match=r"no column 'y'"):
        client.table("y")


def test_a_stream_without_rows_whose_arrays_would_lie_beside_the_table(stream):
    keys = {f"wave{n}": {"source": "test", "dtype": "array", "shape": [100]} for n in range(3)}
    frame = stream(data_keys={"x": {"source": "test", "dtype": "number", "shape": []}, **keys}).table()
    assert list(frame) == ["seq_num", "time", "x"]


def test_wide_streams_are_split_over_tables(stream, write):
    parts = [write.rows(**{f"x{10 * part + i}": [0, 1, 2] for i in range(10)}) for part in range(12)]
    tables = [parts[0], *(part.drop_columns(["seq_num", "time"]) for part in parts[1:])]
    client = stream(*tables)
    frame = client.table()
    assert list(frame) == ["seq_num", "time", *(f"x{i}" for i in range(120))]
    assert frame.shape == (3, 122)
    assert client.table("x119")["x119"].tolist() == [0, 1, 2]


def test_wide_streams_ask_only_the_tables_concerned(stream, write, requests):
    first, second = write.rows(x=[0, 1, 2]), write.rows(y=[3, 4, 5]).drop_columns(["seq_num", "time"])
    client = stream(first, second)
    requests.clear()
    client.table("y", attempts=True)
    assert [request.rpartition("/")[2] for request in requests] == ["primary", "internal_1"]


def test_while_a_split_table_grows_whole_rows_are_given(stream, write):
    first, second = write.rows(x=[0, 1, 2]), write.rows([1, 2], y=[3, 4]).drop_columns(["seq_num", "time"])
    assert stream(first, second).table()[["seq_num", "x", "y"]].to_numpy().tolist() == [[1, 0, 3], [2, 1, 4]]


def test_long_lists_of_columns_travel_in_the_body(stream, write, requests):
    names = [f"a_rather_long_name_of_a_data_key_{i}" for i in range(100)]
    client = stream(write.rows(**{name: [i, i, i] for i, name in enumerate(names)}))
    requests.clear()
    frame = client.table(names)
    assert [frame[name][0] for name in names] == list(range(100))
    assert [request.partition(" ")[0] for request in requests] == ["GET", "POST"]


def test_a_table_too_large_for_one_answer_is_read_in_parts(stream, write, monkeypatch):
    """The server refuses by size; what it says then is Tiled's own text, with another limit."""
    from tilewright.clients import http

    client = stream(write.rows(x=[0, 1, 2], y=[3, 4, 5], z=[6, 7, 8]))
    whole = http._request
    asked = []

    def limited(context, link, columns, more):
        asked.append([*columns, *more])
        if len(asked[-1]) > 2:
            answer = context.http_client.get(link, params={"column": "x", "format": "nonsense"})
            message = "400: Response would exceed 300000000. Select a subset of the columns to request a smaller chunks."
            raise ClientError(message, answer.request, answer)
        return whole(context, link, columns, more)

    monkeypatch.setattr(http, "_request", limited)
    assert client.table(["z", "x", "y"])[["x", "y", "z"]].to_numpy().tolist() == [
        [0, 3, 6],
        [1, 4, 7],
        [2, 5, 8],
    ]
    assert asked == [["z", "x", "y", "seq_num"], ["z", "x"], ["y", "seq_num"]]


def test_a_table_that_changed_between_two_requests(stream, write):
    client = stream(write.rows(x=[0, 1, 2]))
    link = client.base["internal"].item["links"]["full"]
    with pytest.raises(
        TransientError, match=r"^The table at .*/internal changed while it was being read.*Read it again\.$"
    ):
        read_columns(client.context, link, ["x", "y"])


def test_a_table_that_went_away(stream, write):
    client = stream(write.rows(x=[0, 1, 2]))
    link = client.base["internal"].item["links"]["full"]
    with pytest.raises(TransientError, match=r"changed while it was being read"):
        read_columns(client.context, link + "_gone", ["x"])


def test_a_data_key_that_our_writer_renamed(stream, write):
    rejected = pa.array([None, '{"rejected": {"value": "r1", "reason": "no number"}}', None])
    table = write.rows(rejected_=[0, None, 2], time_=[3, 4, 5]).append_column("rejected", rejected)
    client = stream(
        table,
        data_keys={key: {"source": "t", "dtype": "number", "shape": []} for key in ("rejected", "time")},
    )
    assert list(client.table(timestamps=True)) == [
        "seq_num",
        "time",
        "rejected_",
        "time_",
        "ts_rejected_",
        "ts_time_",
    ]
    assert client.table()["time"].tolist() == [1000.0, 1001.0, 1002.0]
    assert client.rejected().to_numpy().tolist() == [[2, "rejected", "r1", "no number"]]


def test_columns_that_look_like_something_else(stream, write):
    """A data key may be called ts_something, or rejected."""
    table = (
        write.rows(x=[0, 1, 2], ts_free=[3, 4, 5])
        .drop_columns(["ts_ts_free"])
        .append_column("rejected", [["r0", "r1", "r2"]])
    )
    keys = {key: {"source": "test", "dtype": "number", "shape": []} for key in ("ts_free", "rejected")}
    client = stream(table, data_keys=keys)
    assert list(client.table()) == ["seq_num", "time", "x", "ts_free", "rejected"]
    assert client.rejected().empty


def test_descriptor_and_data_keys(stream, write):
    client = stream(
        write.rows(x=[0, 1, 2]), hints={"motor": {"fields": ["x"]}}, _config_updates=[{"uid": "later"}]
    )
    assert isinstance(client, Stream)
    assert client.name == "primary"
    assert client.descriptor["hints"] == {"motor": {"fields": ["x"]}}
    assert "_config_updates" not in client.descriptor
    assert list(client.data_keys) == ["x"]
    assert repr(client) == "<Stream 'primary': x>"


def test_config_with_updates(stream, write):
    def configuration(exposure):
        return {
            "camera": {
                "data": {"exposure": exposure},
                "timestamps": {"exposure": 10.0 + exposure},
                "data_keys": {},
            }
        }

    client = stream(
        write.rows(x=[0, 1, 2]),
        configuration=configuration(1),
        _config_updates=[
            {"uid": "u2", "time": 77.0, "configuration": configuration(2)},
            {"uid": "u3", "time": 78.0},
        ],
    )
    expected = pd.DataFrame(
        {
            "device": ["camera", "camera"],
            "key": ["exposure", "exposure"],
            "value": pd.Series([1, 2], dtype=object),
            "timestamp": [11.0, 12.0],
            "since": [1_700_000_000.6, 77.0],
        }
    )
    pd.testing.assert_frame_equal(client.config, expected)


def test_no_config(stream):
    assert list(stream().config) == ["device", "key", "value", "timestamp", "since"]


def test_read_has_columns_in_memory_and_images_lazy(stream, write, requests):
    image = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    client = stream(write.rows(x=[0, 1, 2], name=["n0", "n1", "n2"]), arrays={"image": image})
    requests.clear()
    dataset = client.read()
    assert not any("/array/" in request for request in requests)
    assert len(requests) == 2
    assert list(dataset.data_vars) == ["x", "name", "image"]
    assert dataset["time"].to_numpy().tolist() == [1000.0, 1001.0, 1002.0]
    assert dataset["seq_num"].to_numpy().tolist() == [1, 2, 3]
    assert dataset["image"].dims == ("time", "dim_1", "dim_2")
    assert isinstance(dataset["image"].data, dask.array.Array)
    assert dataset["name"].dtype.kind == "U"
    np.testing.assert_array_equal(dataset["image"].to_numpy(), image)
    assert dataset["image"].sel(time=1001.0)[2, 3] == image[1, 2, 3]


def test_read_some_variables(stream, write):
    client = stream(write.rows(x=[0, 1, 2], y=[3, 4, 5]), arrays={"image": np.zeros((3, 2))})
    assert list(client.read(["y"]).data_vars) == ["y"]
    assert list(client.read("image").data_vars) == ["image"]
    assert list(client.read(["ts_x", "time"]).data_vars) == ["ts_x"]
    assert client.read("x", dim0="event")["x"].dims == ("event",)
    expected = r"^Stream 'primary' has no variable 'imge'\. Did you mean 'image'\? There are: x, y, image, ts_x, ts_y\.$"
    with pytest.raises(NotFoundError, match=expected):
        client.read(["imge"])


def test_read_gives_the_last_attempts_of_columns_and_arrays(stream, write):
    frames = np.arange(6)[:, None] * np.ones((1, 2))
    client = stream(
        write.rows([1, 2, 3, 2, 3, 4], x=[0, 1, 2, 3, 4, 5]),
        arrays={"every": frames, "kept": frames[:4], "other": frames[:5]},
    )
    dataset = client.read()
    assert dataset["x"].to_numpy().tolist() == [0, 3, 4, 5]
    assert dataset["every"][:, 0].to_numpy().tolist() == [0, 3, 4, 5]
    assert dataset["kept"][:, 0].to_numpy().tolist() == [0, 1, 2, 3]
    assert dataset["other"].dims == ("other_dim0", "dim_1")
    assert isinstance(dataset["every"].data, dask.array.Array)


def test_read_arrays_whose_dimensions_disagree(stream, write):
    client = stream(
        write.rows(x=[0, 1, 2]), arrays={"a": np.zeros((3, 2)), "b": np.zeros((3, 5)), "c": np.zeros((3, 2))}
    )
    dataset = client.read()
    assert [dataset[key].dims for key in "abc"] == [("time", "dim_1"), ("time", "b_dim1"), ("time", "dim_1")]


def test_read_arrays_without_a_table(stream):
    dataset = stream(arrays={"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}).read()
    assert dataset["a"].dims == ("time", "dim_1")
    assert dataset["b"].dims == ("b_dim0", "dim_1")


def test_read_lists_and_gaps(stream, write):
    table = write.rows(
        same=[[0, 1], [2, 3], [4, 5]],
        ragged=[[0], [1, 2], [3]],
        gap=[0, None, 2],
        flag=[True, None, False],
        text=["a", None, "c"],
    )
    dataset = stream(table).read()
    assert dataset["same"].dims == ("time", "same_dim1")
    assert dataset["same"].to_numpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert [v.tolist() for v in dataset["ragged"].to_numpy()] == [[0], [1, 2], [3]]
    np.testing.assert_array_equal(dataset["gap"].to_numpy(), [0, np.nan, 2])
    assert dataset["flag"].to_numpy().tolist() == [True, None, False]
    assert [v if isinstance(v, str) else None for v in dataset["text"].to_numpy()] == ["a", None, "c"]


def test_read_ragged_arrays(write, catalog):
    from tiled.structures.ragged import make_ragged_array

    node = write.stream(write.run("a1"), tables=[write.rows(x=[0, 1, 2])])
    node.write_ragged(make_ragged_array([[0.0], [1.0, 2.0], []], shape=(3, None)), key="waveform")
    dataset = catalog["a1"]["primary"].read()
    assert dataset["waveform"].dims == ("time",)
    assert [v.tolist() for v in dataset["waveform"].to_numpy()] == [[0.0], [1.0, 2.0], []]


def test_it_is_a_mapping_to_array_clients(stream, write):
    client = stream(write.rows(x=[0, 1, 2]), arrays={"image": np.arange(6).reshape(3, 2)})
    assert list(client) == list(client.keys()) == ["seq_num", "time", "x", "ts_x", "image"]
    assert len(client) == 5
    assert "x" in client
    assert "internal" not in client
    assert client["x"].read().tolist() == [0, 1, 2]
    assert client["image"][1].tolist() == [2, 3]
    assert dict(client.items())["time"].read().tolist() == [1000.0, 1001.0, 1002.0]
    assert list(client.base) == ["internal", "image"]
    with pytest.raises(
        NotFoundError, match=r"^Stream 'primary' has no column or array 'imag'\. Did you mean 'image'\?"
    ):
        client["imag"]
    with pytest.raises(NotFoundError, match=r"has no array 'x'\. There are: image\."):
        client.described_array("x")
    item, source = client.described_array("image")
    assert item["attributes"]["structure"]["shape"] == [3, 2]
    assert source.mimetype == "application/x-zarr"
    assert client.array_of(item)[1].tolist() == [2, 3]


def test_the_older_layout_of_bluesky(write, catalog):
    run = write.run("a1", specs=write.BLUESKY_RUN)
    streams = (
        run.base.create_container("streams") if hasattr(run, "base") else run.create_container("streams")
    )
    stream = write.stream(streams, "primary", specs=[Spec("BlueskyEventStream", "3.0")])
    stream.update_metadata({"data_keys": {"x": {}, "image": {"external": ""}}})
    table = write.rows(x=[0, 1, 2])
    internal = stream.create_container("internal")
    internal.create_appendable_table(table.schema, key="events").append_partition(0, table)
    stream.create_container("external").write_array(np.arange(6).reshape(3, 2), key="image")
    stream.create_container("config").create_container("motor")
    write.stream(streams, "baseline", specs=[Spec("BlueskyEventStream", "3.0")])

    run = catalog["a1"]
    assert run.streams == ["primary", "baseline"]
    assert isinstance(run["primary"], Stream)
    assert isinstance(run["streams"]["primary"], Stream)
    assert run.table()["x"].tolist() == [0, 1, 2]
    assert list(run["primary"]) == ["seq_num", "time", "x", "ts_x", "image"]
    assert run["primary/x"].read().tolist() == [0, 1, 2]
    assert run["primary"].read()["image"].to_numpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert run.assets()[["stream", "data_key"]].to_numpy().tolist() == [
        ["primary", "events"],
        ["primary", "image"],
    ]
    with pytest.raises(NotFoundError, match=r"Its streams are: primary, baseline\.$"):
        run["secondary"]
