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
    return build(stream.pending(), stream.schema, stream.data_keys).table


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
        ("descriptor", {"uid": "d", "run_start": "another"}),
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


def run_with(*documents):
    return plan_of([START, ("descriptor", descriptor()), *documents])


def event(seq_num, **changes):
    return "event", {
        "descriptor": "d1",
        "seq_num": seq_num,
        "time": 1.0,
        "data": {"x": float(seq_num)},
        **changes,
    }


def test_a_stop_of_another_run_does_not_end_this_one():
    plan = run_with(("stop", {"run_start": "another"}), event(1))
    assert plan.stop is None
    assert plan.set_aside == 1
    assert plan.all_notes == ["a document (stop) set aside: it names another run, 'another'"]


def test_a_stop_that_names_no_run_gives_way_to_one_that_does():
    nameless, own = {"exit_status": "fail"}, {"run_start": "u", "exit_status": "success"}
    assert run_with(("stop", nameless)).stop == nameless
    plan = run_with(("stop", nameless), ("stop", own), ("stop", nameless), ("stop", own))
    assert plan.stop == own
    assert plan.set_aside == 2


def test_documents_of_another_run_make_no_stream():
    plan = run_with(
        ("descriptor", descriptor(uid="d9", name="late", run_start="another")), event(1, descriptor="d9")
    )
    assert list(plan.streams) == ["primary"]
    assert plan.set_aside == 2


def test_many_documents_set_aside_are_counted_by_the_reason():
    plan = run_with(*(event(number, descriptor="unheard of") for number in range(1000)))
    assert plan.set_aside == 1000
    assert plan.all_notes == [
        "1000 documents (event) set aside: it names the descriptor 'unheard of', which did not come"
    ]


def test_reasons_without_end_are_bounded():
    plan = run_with(*((f"name {number}", {}) for number in range(5000)))
    assert plan.set_aside == 5000
    assert len(plan.all_notes) <= 1001
    assert sum(map(len, plan.all_notes)) < 100_000


@pytest.mark.parametrize("doc", [None, 5, "text", [], b"bytes"], ids=repr)
@pytest.mark.parametrize(
    "name", ["start", "descriptor", "event", "event_page", "stream_datum", "stop", "odd", ""]
)
def test_what_is_no_mapping_is_set_aside(name, doc):
    plan = run_with((name, doc), event(1))
    assert plan.set_aside == 1
    assert plan.streams["primary"].rows == 1


@pytest.mark.parametrize(
    ("tags", "applied"), [(["a"], ["a"]), (5, None), ([1], None), ("abc", None), (None, None)]
)
def test_access_tags_are_names_or_are_not_applied(tags, applied):
    plan = plan_of([("start", {"uid": "u", "tiled_access_tags": tags})])
    assert plan.access_tags == applied
    assert bool(plan.all_notes) == (tags is not None and applied is None)


def test_a_run_whose_uid_no_path_holds_has_a_node_of_its_own():
    plans = [plan_of([("start", {"uid": uid})]) for uid in ("a/b", "a_b", "..", "x" * 300)]
    assert len({plan.key for plan in plans}) == 4
    assert [plan.metadata["start"]["uid"] for plan in plans] == ["a/b", "a_b", "..", "x" * 300]
    assert [bool(plan.all_notes) for plan in plans] == [True, False, True, True]


def test_what_the_recorder_says_is_a_note():
    assert plan_of([START, ("tilewright:note", {"text": "it was so"})]).all_notes == ["it was so"]


def test_values_before_a_later_descriptor_are_understood_by_the_earlier_one():
    """However many documents are read at a time: what is sent again is the same."""
    keys = {"x": {"dtype": "number", "shape": []}, "y": {"dtype": "number", "shape": []}}
    documents = [
        event(1, data={"x": 1.0, "y": 2.0}),
        ("descriptor", descriptor(uid="d2", data_keys=keys)),
        event(2, data={"x": 1.0, "y": 2.0}),
    ]
    for looks in (False, True):
        plan = run_with()
        stream = plan.streams["primary"]
        for document in documents:
            plan.consume(*document)
            if looks:
                stream.pending()
        stream.hints, stream._schema = Hints(rejected=True), None
        found = table(stream)
        assert found["y"].to_pylist() == [None, 2.0]
        assert found["rejected"].null_count == 1


def test_a_page_of_no_rows_makes_no_table():
    page = {"descriptor": "d1", "seq_num": [], "time": [], "data": {"x": []}, "timestamps": {"x": []}}
    plan = run_with(("event_page", page))
    assert plan.streams["primary"].pending() == []


def test_columns_tell_what_their_data_key_is_whatever_it_is_called():
    keys = {"time": {"dtype": "number", "units": "s"}, "\ud800": {"dtype": "number", "units": "m"}, "odd": 5}
    (stream,) = plan_of([START, ("descriptor", descriptor(data_keys=keys))]).streams.values()
    assert {name: described.get("units") for name, described in stream.column_metadata().items()} == {
        "time_": "s",
        "k__ud800": "m",
        "odd": None,
    }
    (stream,) = plan_of([START, ("descriptor", descriptor(data_keys=None))]).streams.values()
    assert stream.column_metadata() == {}


def test_a_format_that_fails_costs_its_files_nothing_but_the_array(monkeypatch):
    def fails(resource, described):
        raise ZeroDivisionError("a plugin's bug")

    monkeypatch.setattr("tilewright.delivery.plan.open_array", fails)
    plan = plan_of_files([2, 2])
    assert plan.streams["primary"].arrays["image"].data_source().structure_family == "bytes"
    assert any(
        "ZeroDivisionError: a plugin's bug; its files are kept as bytes" in note for note in plan.all_notes
    )


def test_a_data_key_that_moves_from_files_into_the_events_keeps_its_values():
    """Also texts, which the event of an external data key holds as names of its datums."""
    external = {"x": {"dtype": "array", "shape": [2], "source": "s", "external": "STREAM:"}}
    text = {"x": {"dtype": "string", "shape": [], "source": "s"}}
    plan = plan_of(
        [
            START,
            ("descriptor", descriptor(data_keys=external)),
            ("descriptor", descriptor(uid="d2", data_keys=text)),
            event(1, descriptor="d2", data={"x": "open"}, timestamps={"x": 1.0}),
        ]
    )
    assert table(plan.streams["primary"])["x"].to_pylist() == ["open"]
    assert any("is external in one descriptor and not in another" in note for note in plan.all_notes)
