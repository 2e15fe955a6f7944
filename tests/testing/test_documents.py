import event_model
import pytest

from tilewright.testing.documents import run_of, simple_run, value_of


def is_valid(documents):
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    return True


def test_a_simple_run_identifies_itself():
    documents = simple_run(events=3, keys=2, stream="baseline", scan_id=7, uid="a")
    assert is_valid(documents)
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "event", "stop"]
    start, descriptor, *events, stop = (doc for _, doc in documents)
    assert (start["uid"], start["scan_id"], descriptor["name"]) == ("a", 7, "baseline")
    assert [event["data"] for event in events] == [
        {"x0": value_of(n, 0), "x1": value_of(n, 1)} for n in (1, 2, 3)
    ]
    stamps = [stamp for event in events for stamp in event["timestamps"].values()]
    assert len(set(stamps)) == 6
    assert stop["num_events"] == {"baseline": 3}


def test_a_page_has_what_the_events_have():
    _, _, *events, _ = simple_run(events=3)
    _, _, (name, page), _ = simple_run(events=3, paged=True)
    assert name == "event_page"
    for row, (_, event) in enumerate(events):
        assert event["seq_num"] == page["seq_num"][row]
        assert event["time"] == page["time"][row]
        for part in ("data", "timestamps"):
            assert event[part] == {key: values[row] for key, values in page[part].items()}


@pytest.mark.parametrize("paged", [False, True])
def test_there_may_be_no_events(paged):
    assert is_valid(simple_run(events=0, paged=paged))


@pytest.mark.parametrize(
    ("values", "dtype", "declared"),
    [
        ([1.5], None, ("number", "<f8", [])),
        ([None, 1], None, ("integer", "<i8", [])),
        ([None, None], None, ("number", "<f8", [])),
        ([True], None, ("boolean", "|b1", [])),
        (["abc"], None, ("string", "<U3", [])),
        ([1, 2.5], "<i4", ("integer", "<i4", [])),
        (["1", 2], "<f8", ("number", "<f8", [])),
        ([[1, 2]], None, ("array", "<i8", [2])),
        ([[1, 2]], "<f4", ("array", "<f4", [2])),
    ],
)
def test_descriptors_follow_from_values(values, dtype, declared):
    documents = run_of({"x": values}, dtypes={"x": dtype} if dtype else None)
    assert is_valid(documents)
    entry = documents[1][1]["data_keys"]["x"]
    assert (entry["dtype"], entry["dtype_numpy"], entry["shape"]) == declared


def test_seq_nums_may_repeat():
    documents = run_of({"row": [0, 1, 2]}, seq_nums=[1, 2, 1])
    assert [doc["seq_num"] for name, doc in documents if name == "event"] == [1, 2, 1]
