from tilewright.documents import Notes, Unencodable, label, quoted
from tilewright.documents.notes import MAX_NOTE_LENGTH, MAX_NOTES


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no")


def test_a_flood_is_counted():
    notes = Notes()
    for number in range(MAX_NOTES + 7):
        notes.add(f"note {number}")
        notes.add("note 0")
    assert len(list(notes)) == MAX_NOTES + 1
    assert list(notes)[-1] == "7 more notes are left out"


def test_a_note_can_be_written_down():
    notes = Notes()
    notes.add("\ud800" * 10_000)
    (note,) = notes
    assert len(note) == MAX_NOTE_LENGTH
    assert note.encode().startswith(rb"\ud800")


def test_anything_can_be_quoted():
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert quoted(10**6000) == "<int, no repr: ValueError>"
    assert quoted(Unspeakable()) == "<Unspeakable, no repr: RuntimeError>"
    assert quoted(deep) == "<list, no repr: RecursionError>"
    assert quoted(Unencodable("f", "<f>")) == "<f>"
    assert len(quoted("x" * 1000)) == 80


def test_a_label_is_quoted_where_it_must_be():
    assert [label(name) for name in ("a", "a b", "", "a\n", 5)] == ["a", "'a b'", "''", r"'a\n'", "5"]
