"""Whether a journal is whole and in order, told with the bytes at which it is not."""

import pytest

from tilewright.journal import Header, JournalWriter, encode
from tilewright.journal.inspection import inspect
from tilewright.testing.documents import run_of, simple_run


@pytest.fixture
def journal(tmp_path):
    """Return a function that writes records into a journal; the writer is closed unless kept."""
    writers = []

    def write(documents, run=None, *, keep=False):
        run = run or documents[0][1]["uid"]
        writer = JournalWriter(tmp_path / "run.twj", Header(run, None, 0.0, "test"))
        for document in documents:
            writer.append(document if isinstance(document, bytes) else encode(*document))
        writers.append(writer)
        if not keep:
            writer.close()
        return tmp_path / "run.twj"

    yield write
    for writer in writers:
        writer.close()


def problems(path):
    return [fault.reason for fault in inspect(path).faults]


def test_a_sound_journal(journal):
    repeated = run_of({"x": [1.0, 2.0, 3.0, 4.0]}, seq_nums=[1, 2, 2, 3])
    found = inspect(journal(repeated))
    assert found.sound
    assert (found.documents, found.streams, found.stopped, found.recording) == (
        7,
        {"primary": 4},
        True,
        False,
    )
    assert found.header.run == repeated[0][1]["uid"]


def test_pages_count_as_rows(journal):
    assert inspect(journal(simple_run(events=30, paged=True, stream="fast"))).streams == {"fast": 30}


def test_one_being_recorded(journal):
    path = journal(simple_run()[:5], keep=True)
    with path.open("ab") as file:
        file.write(b"\x10\0\0\0half")  # a write under way
    found = inspect(path)
    assert (found.sound, found.recording, found.stopped, found.documents) == (True, True, False, 5)


def test_one_cut_short(journal):
    path = journal(simple_run())
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    (fault,) = inspect(path).faults
    assert fault.stop == len(whole) - 3
    found = inspect(path)
    assert (found.documents, found.stopped) == (12, False)


def test_a_damaged_record(journal):
    """Its place is told, and what of the rest it makes wrong, once."""
    path = journal(simple_run(events=5))
    data = bytearray(path.read_bytes())
    at = data.index(b"descriptor")  # the record of the descriptor
    data[at + 40] ^= 1
    path.write_bytes(data)
    damage, events, stop = inspect(path).faults
    assert damage.start < at < damage.stop
    assert damage.stop <= events.start < events.stop <= stop.start < stop.stop == len(data)
    assert "is not there before it (and 4 more like it)" in events.reason
    assert stop.reason == "the stop document counts 5 events of 'primary', of which 0 are here"


def test_lost_events(journal):
    documents = simple_run(events=5)
    del documents[3]
    assert problems(journal(documents)) == [
        "the stop document counts 5 events of 'primary', of which 4 are here"
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda run: run[1:], ["the first document is 'descriptor', expected 'start'"]),
        (lambda run: [run[0], *run], ["a second start document"]),
        (lambda run: [*run, run[-1]], ["a document (stop) after the stop document"]),
        (lambda run: [*run[:1], *run[2:], run[1]], None),
        (lambda run: [*run[:-1], ("fly", {}), run[-1]], ["no document is called 'fly'"]),
        (lambda run: [*run[:-1], ("event", {"uid": "x"}), run[-1]], ["a document (event) that cannot be understood: KeyError: 'descriptor'"]),
        (lambda run: [*run[:-1], ("event", ["x"]), run[-1]], ["a document (event) that cannot be understood: TypeError: list indices must be integers or slices, not str"]),
        (lambda run: [*run[:-1], ("tilewright:note", {"text": "so"}), run[-1]], []),
        (lambda run: [*run[:-1], encode("x", {})[:-1] + b"\xc1", run[-1]], None),
    ],
    ids=["no start", "two starts", "two stops", "events first", "unknown", "no field", "no mapping", "note", "not decodable"],
)  # fmt: skip
def test_order(journal, change, expected):
    run = simple_run(events=2)
    found = problems(journal(change(run), run[0][1]["uid"]))
    if expected is None:
        assert found
    else:
        assert found == expected


def test_the_start_document_of_another_run(journal):
    run = simple_run(uid="mine")
    assert problems(journal(run, "another")) == [
        "a start document of the run mine, in the journal of another"
    ]


def test_files(journal):
    run = simple_run(events=1)
    resource = ("stream_resource", {"uid": "r"})
    descriptor = run[1][1]["uid"]
    datum = ("stream_datum", {"stream_resource": "r", "descriptor": descriptor})
    assert problems(journal([*run[:-1], datum, resource, datum, run[-1]])) == [
        "a datum of a resource (r) that is not there before it"
    ]


def test_no_journal(tmp_path):
    (tmp_path / "x.twj").write_text("hello")
    found = inspect(tmp_path / "x.twj")
    assert (found.header, found.documents, found.sound) == (None, 0, False)
    (fault,) = found.faults
    assert (fault.start, fault.stop) == (0, 5)
    assert "is not a Tilewright journal" in fault.reason
