"""Stopped after any document and started again, a run has every file once; and so when only the catalog knows of it."""

import shutil
import threading

import pytest

from tilewright import TiledWriter, open_catalog
from tilewright.clients.carrying_on import so_far
from tilewright.errors import InputError

A, B = "24F3190361DA539A", "24F3190361DA0000"


@pytest.fixture
def filled(recordings, test_data):
    """A folder with two units, a file of another kind, a duplicate, an empty file, and a GPS log."""
    recordings.add(A, 0)
    recordings.add(A, 60)
    recordings.add(B, 30)
    recordings.add(B, 90, channels=2)
    copy = recordings.path / "copy"
    copy.mkdir()
    shutil.copy(recordings.path / f"{A}_20230425_150100.wav", copy)
    (recordings.path / "empty.wav").touch()
    for name in ("audiomoth_gps.wav", "audiomoth_gps.csv"):
        (recordings.path / name).write_bytes((test_data / "audio" / name).read_bytes())
    return recordings


def uids(documents):
    return [doc["uid"] for _, doc in documents]


def test_cut_off_after_any_document(filled):
    whole = filled.documents()
    for length in range(len(whole)):
        again = list(filled.source().documents(whole[:length]))
        assert again[:length] == whole[:length]
        assert again == whole


def test_cut_off_anywhere_and_more_came_since(filled, table):
    """Also when it sorts before what was under way: that keeps its place in the array."""
    first = filled.documents()
    filled.add(A, 30)
    filled.add("new", 0)
    for length in range(len(first)):
        again = list(filled.source().documents(first[:length]))
        assert again[:length] == first[:length]
        assert len(set(uids(again))) == len(again)
        for stream, files in ((A, 3), (B, 1), (f"{B}_2", 1), ("new", 1)):
            firsts, samples = table(again, stream, "first"), table(again, stream, "samples")
            assert len(set(table(again, stream, "file"))) == files
            assert firsts == [sum(samples[:place]) for place in range(files)]
        assert again[-1][0] == "stop"


def test_after_the_stop_what_is_new_is_a_run_of_its_own(filled, table):
    first = filled.documents()
    assert list(filled.source().documents(earlier=first)) == []
    filled.add(A, 120)
    second = list(filled.source().documents(earlier=first))
    assert second[0][1]["uid"] == filled.source().uid(2)
    assert second[0][1]["continues"] == first[0][1]["uid"]
    assert table(second, A, "file") == [f"{A}_20230425_150200.wav"]
    assert table(second, A, "first") == [0]
    assert table(second, A, "gap") == [None]
    filled.add(A, 180)
    for length in range(len(second)):
        again = list(filled.source().documents(second[:length], first))
        assert again[:length] == second[:length]
    third = list(filled.source().documents(earlier=[*first, *second]))
    assert (third[0][1]["uid"], third[0][1]["continues"]) == (filled.source().uid(3), second[0][1]["uid"])


def test_a_copy_of_what_was_recorded_earlier_is_no_new_file(filled, table):
    first = filled.documents()
    shutil.copy(filled.path / f"{A}_20230425_150000.wav", filled.path / "copy")
    filled.add(A, 120)
    second = list(filled.source().documents(earlier=first))
    assert f"copy/{A}_20230425_150000.wav" in table(second, "rejected_files", "file")


def test_a_run_that_is_finished_is_not_carried_on(filled):
    with pytest.raises(InputError, match="is finished"):
        list(filled.source().documents(filled.documents()))


def test_what_new_files_do_not_tell_is_asked_for(recordings, table):
    """The run stays as it is; and what was set aside while nobody was there to be asked is not asked for again."""
    recordings.add(A, 0)
    units = [{"unit": "moth", "file": "new.wav", "start": "2024-05-28T10:00:00Z"}]
    first = recordings.documents()
    recordings.add("bare", 0, name="new.wav")
    for options in ({"before": first[:-1]}, {"earlier": first}):
        with pytest.raises(InputError, match=r"new\.wav does not tell which unit"):
            list(recordings.source().documents(**options))
        documents = list(recordings.source(units=units).documents(**options))
        assert table(documents, "moth", "file") == ["new.wav"]
    until = threading.Event()
    watched = []
    for document in recordings.source().watch(until, first[:-1], finish=True, poll=0, settle=0):
        watched.append(document)
        until.set()
    assert table(watched, "rejected_files", "file") == ["new.wav"]
    assert watched[-1][0] == "stop"
    assert list(recordings.source().documents(earlier=watched)) == []


def test_a_log_that_comes_later(filled, table):
    log = filled.path / "audiomoth_gps.csv"
    content = log.read_bytes()
    log.unlink()
    units = [{"unit": "moth", "file": "audiomoth_gps.wav", "start": "2024-05-28T10:00:00Z"}]
    first = filled.documents(units=units)[:-1]
    log.write_bytes(content)
    again = list(filled.source(units=units).documents(first))
    assert table(again, "clock_moth", "sample") == [0, 47999, 95999]


@pytest.mark.parametrize("stopped", [True, False])
def test_rebuilt_from_the_catalog(filled, catalog, stopped):
    """The journals are gone; the run is carried on in the same place."""
    documents = filled.documents()
    given = documents if stopped else documents[:-12]
    with TiledWriter(catalog, strict=True, journal=filled.path.parent / "journals") as writer:
        for name, doc in given:
            writer(name, doc)
        writer.end_runs()
        assert writer.flush(30)
    found = so_far(filled.source(), filled.path.parent / "elsewhere", catalog)
    rebuilt = found.earlier if stopped else found.before
    assert (found.count == 0) == stopped
    key = lambda pair: pair[1]["uid"]  # noqa: E731
    assert sorted(rebuilt, key=key) == sorted(given, key=key)
    if stopped:
        return
    shutil.rmtree(filled.path.parent / "journals")
    with TiledWriter(catalog, strict=True, journal=filled.path.parent / "more") as writer:
        for name, doc in filled.source().documents(found.before):
            writer(name, doc)
    run = open_catalog(catalog)[documents[0][1]["uid"]]
    assert run.metadata["tilewright"]["state"] == "complete"
    assert run.metadata["tilewright"]["verified"] is True
    assert run[A]["audio"][:].tolist() == list(range(160))
    assert len(run.table(A)) == 2
    assert run.notes == []
