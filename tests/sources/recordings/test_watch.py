"""A folder that is being filled: what is taken when, and what becomes of what comes late."""

import os
import threading
from types import SimpleNamespace

import pytest

from tilewright.errors import InputError
from tilewright.sources.recordings import source as module

A, B = "24F3190361DA539A", "24F3190361DA0000"
SETTLE = 5.0


class Script(threading.Event):
    """An Event that is waited for: each time something happens, and a second passes; at the end it is set."""

    def __init__(self, monkeypatch, *steps):
        super().__init__()
        self._steps = list(steps)
        self._now = 100.0
        # Not `time.monotonic` itself: the loop of every server in this process would wait until its clock came round.
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self._now))

    def wait(self, timeout=None):
        self._now += timeout
        if not self._steps:
            self.set()
            return True
        step = self._steps.pop(0)
        if step is not None:
            step()
        return False


@pytest.fixture
def watch(recordings, monkeypatch):
    """Watch the folder while steps are taken, one a second; return the documents, and the problems."""

    def watch(*steps, before=(), earlier=(), finish=False, **options):
        source = recordings.source(**options)
        until = Script(monkeypatch, *steps)
        documents = source.watch(until, before, earlier, finish=finish, poll=1.0, settle=SETTLE)
        return list(documents), source.problems

    return watch


IDLE = [None] * 12


def names(documents):
    return [doc["data"]["file"] for name, doc in documents if name == "event"]


def test_files_are_taken_when_they_do_not_change_any_more(recordings, watch, table):
    def grow():
        path = recordings.path / growing
        os.truncate(path, path.stat().st_size + 2)

    growing = recordings.add(A, 0, count=False).name
    other = recordings.add(A, 60).name
    documents, problems = watch(*[grow] * 12, *IDLE)
    assert names(documents) == [other, growing]
    assert table(documents, A, "samples") == [80, 80]
    assert problems[0].startswith(f"{growing}: it starts 60 s before {other}, after which it lies")
    assert documents[-1][0] == "event"  # it is open


def test_a_file_that_is_short_of_what_it_promises_is_waited_for(recordings, watch, table):
    path = recordings.add(A, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    taken, _ = watch(*[None] * 8)
    assert taken == []
    documents, _ = watch(*[None] * 8, lambda: path.write_bytes(whole), *IDLE)
    assert table(documents, A, "samples") == [80]
    path.write_bytes(whole[:-20])
    documents, problems = watch(*IDLE)
    assert table(documents, A, "samples") == [70]
    assert problems == [f"{path.name}: its header promises 80 frames, and it has 70"]


def test_an_empty_file_may_become_one(recordings, watch, table):
    recordings.add(A, 0)
    path = recordings.path / f"{A}_20230425_160000.wav"
    path.touch()
    documents, _ = watch(*[None] * 8, lambda: recordings.add(A, 3600), *IDLE)
    assert "rejected_files" not in [doc["name"] for name, doc in documents if name == "descriptor"]
    assert len(table(documents, A)) == 2
    path.write_bytes(b"")
    documents, _ = watch(*IDLE)
    assert table(documents, "rejected_files", "reason") == ["it is empty"]


def test_files_come_one_after_the_other(recordings, watch, table):
    recordings.add(A, 0)
    steps = []
    for number in range(1, 4):
        steps += [lambda number=number: recordings.add(A, number * 60), *[None] * 6]
    steps += [lambda: recordings.add(B, 0), *IDLE]
    documents, _ = watch(*steps)
    assert table(documents, A, "first") == [0, 80, 160, 240]
    assert documents[0][1]["units"] == [{"unit": A, "row": 0}]
    (late,) = (doc for name, doc in documents if name == "descriptor" and doc["name"] == B)
    assert late["configuration"][B]["data"] == {"row": 1}


def test_what_comes_late_is_appended(recordings, watch, table):
    recordings.add(A, 120)
    documents, _ = watch(*IDLE, lambda: recordings.add(A, 0), *IDLE)
    assert table(documents, A, "gap") == [None, -120_010_000_000]
    assert table(documents, A, "first") == [0, 80]


def test_what_does_not_tell_comes_to_light_at_the_start(recordings, watch):
    recordings.add(A, 0)
    with pytest.raises(InputError, match="--zone"):
        watch(*IDLE, zone=None)


def test_and_later_it_is_set_aside_until_it_is_told(recordings, watch, table):
    (recordings.path / "other").mkdir()
    bare = recordings.path / "other" / "bare.wav"

    recordings.add(A, 0)
    first, problems = watch(*IDLE, lambda: recordings.add("bare", 0, name="other/bare.wav"), *IDLE)
    (row,) = table(first, "rejected_files")
    assert row["file"] == "other/bare.wav"
    assert "--units" in row["reason"]
    assert problems == [f"other/bare.wav: {row['reason']}"]
    units = [{"unit": "bare", "file": "bare.wav", "start": "2023-04-25T15:00:00Z"}]
    again, problems = watch(*IDLE, before=first, units=units)
    assert again[: len(first)] == first
    assert table(again, "bare", "file") == ["other/bare.wav"]
    assert problems == []
    assert bare.exists()


def test_the_deployment_is_over(recordings, watch, table):
    """What is not complete is taken as it is."""
    recordings.add(A, 0)
    clocks = [{"unit": A, "time": "2023-04-25T15:00:00Z", "drift": 1.25}]
    documents, _ = watch(*IDLE, lambda: recordings.add(A, 60), finish=True, clocks=clocks)
    assert table(documents, A, "samples") == [80, 80]
    assert len(table(documents, f"clock_{A}")) == 1
    assert documents[-1][0] == "stop"


def test_a_folder_that_cannot_be_listed_for_a_while(recordings, watch, monkeypatch, table):
    scan, broken = module.scan, []

    def scan_or_fail(places):
        if broken:
            raise InputError("cannot look for recordings in there: Stale file handle")
        return scan(places)

    monkeypatch.setattr(module, "scan", scan_or_fail)
    recordings.add(A, 0)
    steps = [lambda: broken.append(1), None, None, broken.clear, lambda: recordings.add(A, 60)]
    documents, problems = watch(*IDLE, *steps, *IDLE)
    assert table(documents, A, "samples") == [80, 80]
    assert problems == ["cannot look for recordings in there: Stale file handle"]


def test_an_empty_folder(watch):
    assert watch(*IDLE) == ([], [])


def test_a_file_that_grows_after_all(recordings, watch):
    path = recordings.add(A, 0)
    _, problems = watch(*IDLE, lambda: os.truncate(path, 2 << 20), *IDLE)
    assert problems == [
        f"{path.name}: it has become longer since it was recorded: what came later is not in the run"
    ]
    os.truncate(path, 204)
    _, problems = watch(*IDLE, lambda: os.truncate(path, 100), *IDLE)
    assert problems == [
        f"{path.name}: it has become shorter since it was recorded: a part of its samples is gone"
    ]
