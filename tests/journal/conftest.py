"""What the tests of journals share: numbered events, written and read back."""

from pathlib import Path

import pytest

from tilewright.journal import Header, JournalReader, JournalWriter, encode

HEADER = Header("run-1", "http://127.0.0.1:8000/api/v1", 1.5, "tilewright test")


@pytest.fixture
def header():
    return HEADER


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run-1@8e6ff74e.twj"


def event(number, size=0):
    return encode("event", {"number": number, "filler": "x" * size})


def fill(writer, numbers, size=0):
    """Append events, event n holding n, and return the offset at which each record ends."""
    ends = []
    for number in numbers:
        writer.append(event(number, size))
        ends.append(writer.tail.end if writer.tail is not None else writer._file.position())
    return ends


@pytest.fixture(name="fill")
def _fill():
    return fill


@pytest.fixture
def write(path):
    """Return a function that writes a journal of so many events, and returns where each record ends."""

    def write(count, size=0):
        writer = JournalWriter(path, HEADER)
        ends = fill(writer, range(count), size)
        writer.close()
        return ends

    return write


def numbers(reader):
    """Return the events there are from here on, by their numbers."""
    return [doc["number"] for _, doc in reader]


@pytest.fixture(name="numbers")
def _numbers():
    return numbers


@pytest.fixture
def read(path):
    """Return a function that reads what a file holds to its end, as of a writer that is gone, and what is damaged."""

    def read(path=path):
        with JournalReader(path) as reader:
            found = numbers(reader)
            while reader.give_up_tail():
                found += numbers(reader)
            return found, [str(damage) for damage in reader.damage]

    return read


@pytest.fixture
def open_files():
    """Return a function that returns which files this process has open, by their numbers."""
    return lambda: sorted(entry.name for entry in Path("/dev/fd").iterdir())
