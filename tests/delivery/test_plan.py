import copy

import pytest

from tilewright.delivery.plan import RunPlan
from tilewright.tables import Hints, build
from tilewright.testing.documents import file_documents, simple_run


def plan_of(documents, hints=None):
    plan = RunPlan(hints)
    for name, doc in documents:
        plan.consume(name, doc)
    return plan


def table(stream):
    return build(stream.pending(), stream.schema, stream.data_keys)


def descriptor(**fields):
    keys = {"x": {"dtype": "number", "shape": [], "source": "s"}}
    return {"uid": "d1", "run_start": "u", "name": "primary", "time": 1.0, "data_keys": keys, **fields}


START = ("start", {"uid": "u", "time": 0.5, "sample": {"name": "x"}})


def test_a_run_is_metadata_and_rows():
    documents = simple_run(events=5)
    before = copy.deepcopy(documents)
    plan = plan_of(documents)
    assert plan.metadata == {"start": documents[0][1]}
    assert plan.stop == documents[-1][1]
    stream = plan.streams["primary"]
    assert stream.metadata == documents[1][1]
    assert stream.rows == 5
    assert table(stream)["seq_num"].to_pylist() == [1, 2, 3, 4, 5]
    assert plan.all_notes == []
    assert documents == before


def test_rows_that_were_sent_are_forgotten_but_counted():
    documents = simple_run(events=5)
    plan = plan_of(documents[:4])
    plan.streams["primary"].pending()
    plan.streams["primary"].sent()
    for name, doc in documents[4:]:
        plan.consume(name, doc)
    assert plan.streams["primary"].rows == 5
    assert table(plan.streams["primary"])["seq_num"].to_pylist() == [3, 4, 5]


def test_a_later_descriptor_is_a_configuration_update():
    first = descriptor(
        configuration={"det": {"data": {"gain": 1}, "timestamps": {}, "data_keys": {}}}, hints={"a": 1}
    )
    second = {
        **first,
        "uid": "d2",
        "time": 2.0,
        "configuration": {"det": {"data": {"gain": 2}, "timestamps": {}, "data_keys": {}}},
    }
    plan = plan_of([START, ("descriptor", first), ("descriptor", second), ("descriptor", second)])
    assert plan.streams["primary"].config_updates == [
        {"uid": "d2", "time": 2.0, "configuration": second["configuration"]}
    ]


def test_a_later_descriptor_may_add_data_keys():
    wider = descriptor(
        uid="d2", data_keys={"x": {"dtype": "number", "shape": []}, "y": {"dtype": "integer", "shape": []}}
    )
    plan = plan_of([START, ("descriptor", descriptor()), ("descriptor", wider)])
    assert plan.streams["primary"].schema.arrow.names == ["seq_num", "time", "x", "y", "ts_x", "ts_y"]


def test_what_cannot_be_understood_is_noted_and_costs_nothing_else():
    documents = simple_run(events=2)
    odd = [
        ("event", {"descriptor": "unknown", "seq_num": 1}),
        ("event", {}),
        ("surprise", {"a": 1}),
        ("descriptor", {"uid": "d"}),
        ("stream_datum", {"stream_resource": "none", "descriptor": "none"}),
        ("start", {"uid": "another"}),
    ]
    plan = plan_of([*documents[:-1], *odd, documents[-1], documents[-1]])
    assert plan.streams["primary"].rows == 2
    assert plan.stop == documents[-1][1]
    assert len(plan.all_notes) == len(odd) + 1
    assert any("surprise" in note for note in plan.all_notes)


def test_metadata_that_json_cannot_hold_is_noted():
    plan = plan_of([("start", {"uid": "u", "time": 0.0, "limits": (float("inf"), {2, 1})})])
    assert plan.metadata["start"]["limits"] == ["Infinity", [1, 2]]
    assert plan.all_notes == [
        "start: limits.0: inf is written as the text 'Infinity'",
        "start: limits.1: a set is written as a sorted list",
    ]


@pytest.mark.parametrize(
    ("name", "key"), [("a/b", "a_b"), ("../up", ".._up"), ("..", ".._"), ("naïve", "naïve")]
)
def test_a_stream_has_a_node_whatever_its_name(name, key):
    plan = plan_of([START, ("descriptor", descriptor(name=name))])
    assert list(plan.streams) == [key]
    assert bool(plan.all_notes) == (name != key)


def test_streams_whose_names_would_collide_stay_apart():
    plan = plan_of(
        [START, ("descriptor", descriptor(name="a/b")), ("descriptor", descriptor(uid="d2", name="a_b"))]
    )
    assert list(plan.streams) == ["a_b", "a_b_"]


def test_renamed_columns_are_noted():
    plan = plan_of([START, ("descriptor", descriptor(data_keys={"time": {"dtype": "number", "shape": []}}))])
    assert plan.all_notes == ["data key 'time' of stream 'primary' is the column 'time_'"]


def test_hints_shape_the_schema():
    import pyarrow as pa

    plan = plan_of(
        [START, ("descriptor", descriptor())], {"primary": Hints({"ts_x": pa.float64()}, rejected=True)}
    )
    assert plan.streams["primary"].schema.arrow.names[-1] == "rejected"


def plan_of_files(shape, **parameters):
    keys = {"image": {"dtype": "array", "shape": shape, "dtype_numpy": "<u2", "external": "STREAM:"}}
    uri, mimetype = "file://localhost/data/x.h5", "application/x-hdf5"
    files = file_documents(
        "image", uri=uri, mimetype=mimetype, descriptor="d1", run_start="u", dataset="/d", **parameters
    )
    return plan_of([START, ("descriptor", descriptor(data_keys=keys)), *files])


def test_a_stream_of_files_alone_has_no_table():
    stream = plan_of_files([2, 2], chunk_shape=[1, 2, 2]).streams["primary"]
    assert stream.pending() == []
    assert stream.arrays["image"].data_source().structure["shape"] == [3, 2, 2]


def test_a_file_that_cannot_be_described_is_kept_as_bytes():
    plan = plan_of_files([None])
    assert plan.streams["primary"].arrays["image"].data_source().structure_family == "bytes"
    assert any("kept as bytes" in note for note in plan.all_notes)
