"""Pages that are taken out of many records at once say what the records say, whatever these hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.journal import Header, JournalReader, JournalWriter
from tilewright.journal.columns import EVENT, LEAST, gather
from tilewright.journal.encoding import decode, encode
from tilewright.testing.documents import simple_run


def event(seq_num=1, data=None, **changes):
    data = {"x": 1.5} if data is None else data
    return {
        "uid": f"event-{seq_num}",
        "time": seq_num + 0.5,
        "data": data,
        "timestamps": dict.fromkeys(data, seq_num + 0.25),
        "seq_num": seq_num,
        "filled": {},
        "descriptor": "d",
        **changes,
    }


def rows(documents):
    """Return the rows of events and pages by descriptor: `seq_num`, `time`, and what each key has."""
    result = {}
    for name, given_doc in documents:
        doc = given_doc
        if name == "event":
            doc = {
                "descriptor": doc.get("descriptor"),
                "seq_num": [doc.get("seq_num")],
                "time": [doc.get("time")],
                "data": {key: [value] for key, value in doc.get("data", {}).items()},
                "timestamps": {key: [value] for key, value in doc.get("timestamps", {}).items()},
                "filled": doc.get("filled", {}),
            }
        for row in range(len(doc["seq_num"])):
            result.setdefault(str(doc["descriptor"]), []).append(
                (
                    plain(doc["seq_num"][row]),
                    plain(doc["time"][row]) if "time" in doc else None,
                    {key: plain(column[row]) for key, column in doc.get("data", {}).items()},
                    {key: plain(column[row]) for key, column in doc.get("timestamps", {}).items()},
                    doc.get("filled", {}),
                )
            )
    return result


def plain(value):
    """Return a value so that equal ones are the same in type and sign, and a NaN is equal to a NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return (
        type(value),
        "nan"
        if isinstance(value, float) and math.isnan(value)
        else (math.copysign(1, value), value)
        if isinstance(value, float)
        else value,
    )


def gathered(payloads):
    """Return what is gathered from payloads that follow one another as in a journal: with something in between."""
    stops = np.cumsum([len(payload) + 8 for payload in payloads])
    starts = stops - [len(payload) for payload in payloads]
    return gather(b"".join(bytes(8) + payload for payload in payloads), starts.tolist(), stops.tolist())


def check(events):
    payloads = [encode("event", each) for each in events]
    documents = gathered(payloads)
    assert rows(documents) == rows(decode(payload) for payload in payloads)
    return documents


def test_events_of_a_detector_are_one_page():
    events = [doc for name, doc in simple_run(events=300, keys=20) if name == "event"]
    (document,) = check(events)
    assert document[0] == "event_page"
    assert {column.dtype for column in document[1]["data"].values()} == {np.dtype("f8")}
    assert document[1]["seq_num"].dtype == np.dtype("i8")


def test_few_events_are_decoded():
    events = [event(number) for number in range(LEAST - 1)]
    assert [name for name, _ in check(events)] == ["event"] * (LEAST - 1)


SCALARS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**70), 2**70),
    st.integers(-200, 300),
    st.booleans(),
    st.none(),
    st.sampled_from(
        [
            2**63 - 1,
            2**63,
            -(2**63),
            2**64 - 1,
            127,
            128,
            255,
            256,
            65535,
            65536,
            2**32 - 1,
            2**32,
            -32,
            -33,
            -128,
            -129,
        ]
    ),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
)


@given(
    kinds=st.lists(st.lists(SCALARS, min_size=1, max_size=4), min_size=1, max_size=3),
    length=st.integers(LEAST, LEAST + 30),
    odd=st.dictionaries(
        st.integers(0, LEAST - 1), st.dictionaries(st.text(max_size=2), SCALARS, max_size=3), max_size=3
    ),
)
def test_whatever_the_values_are(kinds, length, odd):
    """Columns that take their values from a few, and events in between that are something else."""
    events = [
        event(number, {f"k{key}": values[number % len(values)] for key, values in enumerate(kinds)})
        for number in range(length)
    ]
    for number, data in odd.items():
        events[number] = event(number, data)
    check(events)


@given(st.lists(st.sampled_from("abc"), min_size=LEAST, max_size=3 * LEAST))
def test_streams_are_told_apart(streams):
    events = [
        event(number, {f"{stream}x": float(number)}, descriptor=stream * 40)
        for number, stream in enumerate(streams)
    ]
    check(events)


def test_an_odd_event_in_between_keeps_its_place():
    events = [event(number) for number in range(1, 400)]
    events[200] = event(201, {"x": "text"})
    documents = check(events)
    assert [name for name, _ in documents] == ["event_page", "event", "event_page"]


def test_many_odd_events_leave_all_to_the_decoder():
    events = [event(number, {"x": "text" if number % 5 == 0 else 1.5}) for number in range(1, 400)]
    assert {name for name, _ in check(events)} == {"event"}


@pytest.mark.parametrize(
    "changes",
    [
        {"filled": {"x": False}},
        {"extra": 1},
        {"seq_num": "one"},
        {"seq_num": None},
        {"time": None},
        {"uid": "u" * 300},
        {"uid": 7},
        {"data": None},
        {"data": [1]},
        {"data": {}},
        {"data": {f"key{number}": 1.0 for number in range(40)}},
        {"data": {"x" * 300: 1.0}},
        {"data": {1: 1.0}},
        {"data": {"x": np.float64(1.5), "y": np.int32(3), "z": np.array([1.0])}},
        {"timestamps": {}},
        {"descriptor": None},
        {"descriptor": ["d"]},
    ],
)
def test_odd_shapes(changes):
    payloads = [encode("event", {**event(number), **changes}) for number in range(LEAST + 3)]
    documents = gathered(payloads)
    if all(name == "event" for name, _ in documents):
        assert str(documents) == str([decode(payload) for payload in payloads])
    else:
        assert rows(documents) == rows(decode(payload) for payload in payloads)


def test_a_field_that_one_lacks():
    events = [event(number) for number in range(1, 200)]
    del events[0]["time"]
    payloads = [encode("event", each) for each in events]
    assert sum(len(doc["seq_num"]) if name == "event_page" else 1 for name, doc in gathered(payloads)) == 199


def test_bytes_that_only_look_like_an_event():
    payloads = [encode("event", event(number)) for number in range(LEAST)]
    payloads[5] = b"\x92\xa5event\xc1"
    with pytest.raises(ValueError, match=r"."):
        gathered(payloads)


def test_a_record_with_something_behind_it():
    payloads = [encode("event", event(number)) for number in range(1, LEAST * 2)]
    payloads[9] += b"\xc0"
    assert rows(gathered(payloads)) == rows(decode(payload) for payload in payloads)


def write_journal(path, documents):
    writer = JournalWriter(path, Header("run", None, 0.0, "test"))
    for name, doc in documents:
        writer.append(encode(name, doc))
    writer.close()


def read_columns(path, max_bytes=4 << 20):
    with JournalReader(path) as reader:
        documents, count = [], 0
        while (batch := reader.read_columns(max_bytes))[1]:
            documents += batch[0]
            count += batch[1]
        return documents, count, reader.damage


@pytest.mark.parametrize("max_bytes", [100, 20_000, 4 << 20])
def test_a_journal_is_read_as_columns(tmp_path, max_bytes):
    run = simple_run(events=500)
    write_journal(tmp_path / "run.twj", run)
    documents, count, damage = read_columns(tmp_path / "run.twj", max_bytes)
    assert count == len(run)
    assert damage == []
    assert documents[:2] == run[:2]
    assert documents[-1] == run[-1]
    assert rows(documents[2:-1]) == rows(run[2:-1])
    if max_bytes > 100:
        assert len(documents) < 30


def test_other_documents_keep_their_place_between_events(tmp_path):
    """What comes before a second descriptor is understood by the first one."""
    first, second = simple_run(events=300), simple_run(events=300)
    documents = [*first[:-1], *second[1:]]
    write_journal(tmp_path / "run.twj", documents)
    names = [name for name, _ in read_columns(tmp_path / "run.twj")[0]]
    assert names == ["start", "descriptor", "event_page", "descriptor", "event_page", "stop"]


def test_a_record_that_says_nothing_costs_no_other(tmp_path):
    run = simple_run(events=300)
    writer = JournalWriter(tmp_path / "run.twj", Header("run", None, 0.0, "test"))
    for number, (name, doc) in enumerate(run):
        writer.append(encode(name, doc) if number != 100 else EVENT + b"\xc1")
    writer.close()
    documents, _, damage = read_columns(tmp_path / "run.twj")
    assert rows(documents[2:-1]) == rows([*run[2:100], *run[101:-1]])
    assert len(damage) == 1
    assert "cannot be decoded" in damage[0].reason
    start, stop = damage[0].start, damage[0].stop
    assert (tmp_path / "run.twj").read_bytes()[start:stop] == EVENT + b"\xc1"
