"""What lies in a journal directory, as a list to look at."""

import time

import pytest

from tilewright.journal import Header, JournalDirectory, encode
from tilewright.journal.overview import HEADINGS, age_text, list_journals
from tilewright.testing.documents import simple_run

HOUR = 3600


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "journals")


def record(directory, uid, catalog, *, age=HOUR, events=3):
    documents = simple_run(uid=uid, events=events)
    writer = directory.create(Header(uid, catalog, time.time() - age, "test"))
    for document in documents:
        writer.append(encode(*document))
    return writer


def test_every_state(directory):
    recording = record(directory, "recording", "http://x/api/v1")
    record(directory, "waiting", None, age=3 * 24 * HOUR).close()
    for name, verified in (("delivered", True), ("unverified", False)):
        writer = record(directory, name, "http://x/api/v1")
        writer.close()
        directory.archive(writer.path, verified=verified)
    (directory.path / "foreign.twj").write_text("hello")
    rows = {row[0]: dict(zip(HEADINGS, row, strict=True)) for row in list_journals(directory.path).rows()}
    recording.close()
    assert {name: row["state"] for name, row in rows.items()} == {
        "recording": "recording", "waiting": "waiting", "delivered": "delivered", "unverified": "unverified",
        "foreign.twj": "unreadable",
    }  # fmt: skip
    assert rows["waiting"] | {"size": ""} == {
        "run": "waiting", "state": "waiting", "documents": "6", "size": "", "age": "3 d", "catalog": "any",
        "delivered by": "-", "problem": "-",
    }  # fmt: skip
    assert rows["delivered"]["catalog"] == "http://x/api/v1"
    assert rows["foreign.twj"]["documents"] == "-"
    assert "is not a Tilewright journal" in rows["foreign.twj"]["problem"]


def test_who_delivers(directory):
    writer = record(directory, "a", None)
    writer.close()
    claim = directory.claim(writer.path)
    (row,) = list_journals(directory.path).rows()
    claim.release()
    assert row[HEADINGS.index("delivered by")].startswith("process ")


def test_documents_behind_damage_count(directory):
    writer = record(directory, "a", None, events=10)
    writer.close()
    data = bytearray(writer.path.read_bytes())
    data[len(data) // 2] ^= 1
    writer.path.write_bytes(data)
    (journal,) = list_journals(directory.path)
    assert (journal.documents, journal.problem) == (12, "damaged")
    writer.path.write_bytes(data[:-1])  # and the last one is cut short
    (journal,) = list_journals(directory.path)
    assert (journal.documents, journal.problem) == (11, "damaged")


def test_a_last_record_cut_short(directory):
    writer = record(directory, "a", None)
    whole = writer.path.read_bytes()
    writer.path.write_bytes(whole[:-1])
    (journal,) = list_journals(directory.path)
    assert (journal.documents, journal.problem) == (5, "")  # it may be under way
    writer.close()
    writer.path.write_bytes(whole[:-1])
    (journal,) = list_journals(directory.path)
    assert (journal.documents, journal.problem) == (5, "damaged")


def test_totals(directory):
    assert list_journals(directory.path).totals == f"no journals in {directory.path}"
    writers = [record(directory, uid, None) for uid in "abc"]
    for writer in writers:
        writer.close()
    directory.archive(writers[0].path)
    listed = list_journals(directory.path)
    size = sum(journal.entry.size for journal in listed)
    assert listed.totals == f"2 waiting, 1 delivered: 18 documents, {size / 1024:.1f} KiB in {directory.path}"
    assert len(listed) == 3


def test_nothing_is_made(tmp_path):
    assert len(list_journals(tmp_path)) == len(list_journals(tmp_path / "nowhere")) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_default_is_the_writers(directory, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_JOURNAL", str(directory.path))
    record(directory, "a", None).close()
    assert [journal.entry.header.run for journal in list_journals()] == ["a"]


def test_in_a_notebook(directory):
    record(directory, "<b>a</b>", None).close()
    page = list_journals(directory.path)._repr_html_()
    assert "&lt;b&gt;a&lt;/b" in page
    assert "1 waiting: 6 documents" in page
    assert all(f">{heading}</th>" in page for heading in HEADINGS)


def test_ages():
    assert [age_text(seconds) for seconds in (-5, 59.9, 60, 3599, 86399, 86400)] == [
        "0 s", "59 s", "1 min", "59 min", "23 h", "1 d",
    ]  # fmt: skip
