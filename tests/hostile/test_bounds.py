"""However much a document holds, it takes the caller what encoding takes, and the delivery time in proportion.

The limits are generous, for machines that are busy with other things: what they are to find would take minutes, or more
memory than there is.
"""

import time

import pytest

from tilewright.journal import JournalDirectory, Recorder, encode
from tilewright.tables import Hints, build

from .corpus.base import Sound, number
from .offline import plan_of

SECONDS = 15
MANY = 100_000


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize(
    "data",
    [
        {"x": "x" * 10_000_000},
        {"x": "\ud800" + "x" * 10_000_000},
        {f"k{n}": float(n) for n in range(MANY)},
        {f"k{n}": float(n) for n in range(MANY)} | {"\ud800": 1},
        {n: n for n in range(MANY)},
        {"x": [[n, "\ud800"] for n in range(MANY // 10)]},
    ],
    ids=["text", "odd text", "keys", "keys, one odd", "keys, all odd", "list, all odd"],
)
def test_the_caller_waits_for_the_encoding_and_a_write(data, tmp_path):
    doc = Sound("large")
    recorder = Recorder(JournalDirectory(tmp_path), "c", lambda path, uid: None, lambda path: None)
    recorder.record(*doc.start())
    recorder.record(*doc.descriptor())
    name, event = doc.event(1, data=data)
    encoding = min(seconds(lambda: encode(name, event)) for _ in range(3))
    recording = min(seconds(lambda: recorder.record(name, event)) for _ in range(3))
    recorder.end_runs()
    recorder.close()
    assert recording < 3 * encoding + 0.5
    assert encoding < SECONDS / 3


def planned(documents):
    plan, _ = plan_of(documents)
    for stream in plan.streams.values():
        stream.hints, stream._schema = Hints(rejected=True), None
        build(stream.pending(), stream.schema, stream.data_keys)
        stream.column_metadata()
    return plan.all_notes


def wide_descriptor(doc):
    keys = [f"k/{n}" for n in range(MANY // 5)]
    yield doc.start()
    yield doc.descriptor(data_keys={key: number() for key in keys})
    yield doc.event(1, data=dict.fromkeys(keys, 1.0))


def descriptors_that_add_a_key_each(doc):
    yield doc.start()
    for n in range(MANY // 10):
        yield doc.descriptor(uid=f"d{n}", data_keys={f"k{n}": number()})


def streams_of_one_name_but_for_what_no_path_holds(doc):
    yield doc.start()
    for n in range(MANY // 20):
        yield doc.descriptor(uid=f"d{n}", name="/?#"[n % 3] + chr(0x1000 + n))


def wide_event(doc):
    yield doc.start()
    yield doc.descriptor()
    for seq_num in range(3):
        yield doc.event(seq_num, data={f"k{n}": n for n in range(MANY)})


def events_of_unheard_of_descriptors(doc):
    yield doc.start()
    for n in range(MANY // 5):
        yield doc.event(n, descriptor=f"d{n}")


def references_to_files_that_do_not_come(doc):
    key = number(dtype="array", shape=[2], external="FILESTORE:")
    yield doc.start()
    yield doc.descriptor(data_keys={"image": key})
    for n in range(MANY // 5):
        yield doc.event(n, data={"image": f"datum {n}"})


@pytest.mark.parametrize(
    "documents",
    [
        wide_descriptor,
        descriptors_that_add_a_key_each,
        streams_of_one_name_but_for_what_no_path_holds,
        wide_event,
        events_of_unheard_of_descriptors,
        references_to_files_that_do_not_come,
    ],
)
def test_the_delivery_takes_time_in_proportion(documents):
    listed = list(documents(Sound("large")))
    notes = []
    assert seconds(lambda: notes.extend(planned(listed))) < SECONDS
    assert sum(map(len, notes)) < 200_000  # they go into the run's metadata
