"""A stream of blocks as documents, and as runs on a server."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from event_model import DocumentNames, schema_validators

from tilewright import TiledWriter
from tilewright.errors import InputError
from tilewright.sources import Blocks, as_flyer
from tilewright.sources.blocks import Block, Pcm, sessions

PCM = Pcm(8000)
SESSION = 1_700_000_000
FRAMES = 100


def block(number, session=SESSION, *, sensor="microphone", overflow=False, frames=FRAMES):
    """Return a block of samples that say which frame of the session they are."""
    samples = np.arange(number * FRAMES, number * FRAMES + frames).astype("<i2")
    return Block(session, number * FRAMES * 2, samples.tobytes(), sensor, overflow)


def named(documents, name):
    return [doc for kind, doc in documents if kind == name]


def test_a_run_of_a_session():
    documents = list(
        Blocks(
            [block(0), block(1), block(2, frames=30)], PCM, name="office", md={"operator": "Ada"}
        ).documents()
    )
    (start,), (descriptor,), (stop,) = (named(documents, name) for name in ("start", "descriptor", "stop"))
    assert (start["session"], start["anchor"], start["time"]) == (SESSION, SESSION * 10**9, float(SESSION))
    assert (start["name"], start["operator"], start["plan_name"]) == ("office", "Ada", "blocks")
    assert (descriptor["name"], descriptor["run_start"]) == ("microphone", start["uid"])
    events = named(documents, "event")
    assert [event["seq_num"] for event in events] == [1, 2, 3]
    assert np.concatenate([event["data"]["audio"] for event in events]).tolist() == list(range(230))
    rows = [
        [event["data"][key] for key in ("offset", "bytes", "position", "first", "samples", "gap")]
        for event in events
    ]
    assert rows == [[0, 200, 0, 0, 100, None], [200, 200, 100, 100, 100, 0], [400, 60, 200, 200, 30, 0]]
    assert [event["data"]["start"] - start["anchor"] for event in events] == [0, 12_500_000, 25_000_000]
    assert stop["time"] == SESSION + 230 / 8000
    assert (stop["exit_status"], stop["num_events"]) == ("success", {"microphone": 3})
    assert stop["sensors"] == {
        "microphone": {"blocks": 3, "samples": 230, "overflows": 0, "gaps": 0, "missing": []}
    }


def test_they_are_documents_of_bluesky():
    for name, document in Blocks([block(0), block(0), block(2, overflow=True)], PCM).documents():
        listed = {
            **document,
            "data": {
                k: v.tolist() if hasattr(v, "tolist") else v for k, v in document.get("data", {}).items()
            },
        }
        schema_validators[DocumentNames[name]].validate(listed if name == "event" else document)


def test_times_are_counted_and_not_read(monkeypatch):
    """The clock of whoever reads is not asked for the time of day, and the time of frame n is exact after hours."""
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: 0.0))  # and nothing else
    pcm = Pcm(44_100)
    frames = 5 * 3600 * 44_100 + 7
    (event,) = named(Blocks([(SESSION, 2 * frames, bytes(20))], pcm).documents(), "event")
    assert event["data"]["start"] == SESSION * 10**9 + round(frames * 10**9 / 44_100)
    assert event["timestamps"]["audio"] == event["time"] == event["data"]["start"] / 1e9


def test_late_twice_out_of_order_and_not_at_all():
    order = [0, 1, 3, 2, 2, 6, 6]
    documents = list(Blocks(map(block, order), PCM).documents())
    rows = [event["data"] for event in named(documents, "event")]
    assert [row["status"] for row in rows] == [
        "in order", "in order", "after a gap", "late", "again", "after a gap", "again",
    ]  # fmt: skip
    assert [row["gap"] for row in rows] == [
        None, 0, 12_500_000, -25_000_000, None, 37_500_000, None,
    ]  # fmt: skip
    assert [(row["first"], row["samples"]) for row in rows] == [
        (0, 100), (100, 100), (200, 100), (300, 100), (400, 0), (400, 100), (500, 0),
    ]  # fmt: skip
    (stop,) = named(documents, "stop")
    assert stop["sensors"]["microphone"]["missing"] == [[400, 600]]


def test_an_overflow_is_told():
    documents = list(Blocks([block(0), block(1, overflow=True)], PCM).documents())
    assert [event["data"]["overflow"] for event in named(documents, "event")] == [False, True]
    assert named(documents, "stop")[0]["sensors"]["microphone"]["overflows"] == 1


def test_sensors_are_streams():
    stream = [block(0, sensor="left"), block(0, sensor="right"), block(1, sensor="left")]
    source = Blocks(stream, {"left": PCM, "right": Pcm(16_000)}, sensors={"left": {"gain": "high"}})
    documents = list(source.documents())
    left, right = named(documents, "descriptor")
    assert (left["name"], right["name"]) == ("left", "right")
    assert left["configuration"]["left"]["data"] == {"rate": 8000, "bits": 16, "channels": 1, "gain": "high"}
    assert right["configuration"]["right"]["data"]["rate"] == 16_000
    with pytest.raises(InputError, match="sensor 'below' are is not told: pcm has left, right"):
        list(Blocks([block(0, sensor="below")], {"left": PCM, "right": PCM}).documents())


def test_sessions_are_runs_and_a_late_block_finds_its_own():
    documents = list(Blocks([block(0, 10), block(0, 20), block(1, 10), block(1, 20)], PCM).documents())
    starts, stops = named(documents, "start"), named(documents, "stop")
    assert [start["session"] for start in starts] == [10, 20]
    assert sorted(stop["run_start"] for stop in stops) == sorted(start["uid"] for start in starts)
    of_run = {descriptor["uid"]: descriptor["run_start"] for descriptor in named(documents, "descriptor")}
    assert [of_run[event["descriptor"]] for event in named(documents, "event")] == [
        starts[n]["uid"] for n in (0, 1, 0, 1)
    ]


def test_a_session_is_stopped_when_another_goes_on(monkeypatch):
    clock = iter(range(0, 1000, 6))
    # Not `time.monotonic` itself: the loop of every server in this process would wait until its clock came round.
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    stream = [block(0, 10), block(0, 20), block(1, 20), block(1, 10)]
    documents = list(Blocks(stream, PCM).documents())
    first, second, third = named(documents, "start")
    kinds = [
        (name, doc.get("run_start", doc.get("uid"))) for name, doc in documents if name in ("start", "stop")
    ]
    assert kinds[:3] == [("start", first["uid"]), ("start", second["uid"]), ("stop", first["uid"])]
    assert (third["session"], third["continues"]) == (10, first["uid"])
    assert [doc["data"]["status"] for doc in named(documents, "event")][-1] == "after a gap"


def test_many_sessions_are_not_all_kept_open():
    source = Blocks((block(0, session) for session in range(50)), PCM)
    most = 0
    for _ in source.documents():
        most = max(most, len(source._sessions._open))
    assert most == 9  # as one begins, before one is stopped


@pytest.mark.parametrize(
    "bad",
    [(SESSION, 200), "block", (SESSION, -2, b""), ("yesterday", 0, b"12"), None, (float("nan"), 0, b"")],
)
def test_what_is_no_block_ends_the_stream_and_costs_nothing(bad):
    documents = []
    with pytest.raises(InputError):
        documents.extend(Blocks([block(0), bad, block(1)], PCM).documents())
    (stop,) = named(documents, "stop")
    assert (stop["exit_status"], len(named(documents, "event"))) == ("fail", 1)
    assert stop["reason"].startswith("InputError: ")


def test_a_stream_that_fails():
    def stream():
        yield block(0)
        raise OSError("unplugged")

    documents = []
    with pytest.raises(OSError, match="unplugged"):
        documents.extend(Blocks(stream(), PCM).documents())
    assert named(documents, "stop")[0]["reason"] == "OSError: unplugged"


@pytest.mark.parametrize(
    ("asked", "message"),
    [({}, "give pcm=Pcm"), ({"pcm": PCM, "unit": "min"}, "unit='min': expected one of s, ms, us, ns")],
)
def test_what_cannot_be_meant(asked, message):
    with pytest.raises(InputError, match=message):
        Blocks([], **asked)


@pytest.mark.parametrize(
    ("session", "unit", "anchor"),
    [
        (1566065080.5, "s", 1566065080_500_000_000),
        (1566065080150, "ms", 1566065080_150_000_000),
        (np.int64(7), "ns", 7),
        ("2023-04-25T15:09:20+09:30", "s", 1682401160_000_000_000),
        (np.datetime64("1970-01-01T00:00:01.000000001"), "s", 1_000_000_001),
    ],
)
def test_when_a_session_began(session, unit, anchor):
    (start, *_) = named(Blocks([block(0, session)], PCM, unit=unit).documents(), "start")
    assert start["anchor"] == anchor


def test_samples_on_a_server(server, catalog):
    order = [0, 1, 3, 2, 2, 5]
    with TiledWriter(catalog) as writer:
        for document in Blocks(map(block, order), PCM).documents():
            writer(*document)
    run = catalog[-1]
    array = run["microphone"]["audio"]
    expected = np.concatenate([np.arange(n * 100, n * 100 + 100) for n in (0, 1, 3, 2, 5)])
    np.testing.assert_array_equal(array.read(), expected)
    table = run["microphone"].table()
    assert table["status"].tolist()[2:] == ["after a gap", "late", "again", "after a gap"]
    for row in table[table["samples"] > 0].itertuples():
        assert array[row.first : row.first + row.samples].tolist() == list(
            range(row.position, row.position + row.samples)
        )
    assert run.verify().equal
    assert run.notes == ["'audio' of stream 'microphone' has no value in 1 of its events"]
    from tilewright.clients.spans import Span, fetch_spans

    span = Span(("microphone", "audio"), 150, 250, np.dtype("<i2"), ())
    (samples,) = fetch_spans(run.context, run.item["links"]["search"], [span])
    assert samples.tolist() == [*range(150, 200), *range(300, 350)]
    answer = run.context.http_client.get(
        array.item["links"]["full"], params={"format": "audio/wav", "slice": "0:100"}
    )
    assert (answer.status_code, answer.content[:4]) == (200, b"RIFF")


def test_readable_while_it_goes_on(server, catalog):
    with TiledWriter(catalog) as writer:
        documents = Blocks(map(block, range(10)), PCM).documents()
        began = None
        for name, document in documents:
            writer(name, document)
            if name == "event" and document["seq_num"] == 5:
                began = time.monotonic()
                while not _has(catalog, 500):
                    assert time.monotonic() - began < 60
                    time.sleep(0.05)
    assert len(catalog[-1]["microphone"]["audio"]) == 1000


def _has(catalog, samples):
    try:
        array = catalog[-1]["microphone"]["audio"]
        return array.shape[0] >= samples and array[samples - 1] == samples - 1
    except Exception:  # noqa: BLE001 - it is not there yet
        return False


def test_a_flyer_of_a_session(catalog):
    import bluesky.plans as bp
    from bluesky import RunEngine

    engine = RunEngine(context_managers=[])
    with TiledWriter(catalog) as writer:
        engine.subscribe(writer)
        engine(bp.fly([as_flyer(Blocks(map(block, range(3)), PCM))]))
    run = catalog[-1]
    assert run["microphone"]["audio"].read().tolist() == list(range(300))
    assert run.metadata["start"]["scan_id"] == 1
