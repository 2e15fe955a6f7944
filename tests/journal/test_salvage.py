import random
import zlib

import pytest

from tilewright.journal import encode, salvage
from tilewright.journal.records import RECORD
from tilewright.journal.salvage import is_torn, search, stop_by_length, stop_of_record

SEED = 7


def record(payload, seed=SEED):
    return RECORD.pack(len(payload), zlib.crc32(payload, seed)) + payload


class Bytes:
    """Content to search in, that counts what is read."""

    def __init__(self, content):
        self.content = content
        self.taken = 0

    def read(self, offset, count):
        data = self.content[offset : offset + count]
        self.taken += len(data)
        return data

    def search(self, start=0):
        return search(self.read, start, len(self.content), SEED)


EVENT = record(encode("event", {"number": 1}))


@pytest.mark.parametrize("window", [64, 1000, 1 << 20])
@pytest.mark.parametrize("before", [0, 1, 7, 50, 63, 64, 65, 128, 990, 1000, 5000])
def test_finds_the_first_record_wherever_windows_end(monkeypatch, window, before):
    monkeypatch.setattr(salvage, "WINDOW", window)
    noise = random.Random(before).randbytes(before)
    content = Bytes(noise + EVENT + EVENT)
    assert content.search().found == before
    assert content.search(before).found == before
    assert content.search(before + 1).found == before + len(EVENT)
    assert content.search(before + len(EVENT) + 1).found is None


@pytest.mark.parametrize(
    "name", ["start", "stop", "event_page", "tilewright:note", "a name of its own" * 20, ""]
)
@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_finds_documents_of_any_name_and_size(name, size):
    found = record(encode(name, {"filler": "x" * size}))
    assert Bytes(b"noise" + found + EVENT).search().found == 5
    assert Bytes(b"noise" + found).search().found == 5


@pytest.mark.parametrize("cut", range(1, len(EVENT)))
def test_goes_on_where_a_record_may_yet_be_finished(cut):
    whole = bytes(3000) + EVENT
    first = Bytes(whole[:-cut]).search()
    assert first.found is None
    assert first.searched_to <= 3000
    assert Bytes(whole).search(first.searched_to).found == 3000
    assert len(whole) - first.searched_to < len(EVENT) + 50


@pytest.mark.parametrize("next_to_it", [b"", b"\x40\x00\x00\x00ABCD\x92\xa5event"])
@pytest.mark.parametrize("name", [b"event", b"other"])
def test_what_looks_like_records_everywhere_is_not_checked_without_end(monkeypatch, name, next_to_it):
    """Each of these claims to be 256 KiB long: checked one by one they would be read many thousand times."""
    size = 1 << 19
    monkeypatch.setattr(salvage, "MAX_RECORD_BYTES", size)
    pattern = b"\x00\x00\x04\x00ABCD\x92\xa5" + name + next_to_it
    content = Bytes((pattern * (size // len(pattern) + 1))[:size] + EVENT)
    assert content.search().found == size
    assert content.taken < (salvage._ALLOWANCE + 10) * size


def test_noise_is_hardly_ever_checked():
    content = Bytes(random.Random(1).randbytes(1 << 22))
    assert content.search().found is None
    assert content.taken < 2 * len(content.content)


def test_a_length_is_trusted_if_it_leads_to_a_record_or_the_end():
    payload = encode("event", {"number": 2})
    bad = RECORD.pack(len(payload), 0) + payload
    for content, stop in (
        (bad + EVENT, len(bad)),
        (bad, len(bad)),
        (bad + bad + EVENT, len(bad)),
        (bad + bad, len(bad)),
        (bad + EVENT[:-1], None),
        (bad[:-1] + EVENT, None),
        (bad + bytes(20) + EVENT, None),
        (bad[:5], None),
    ):
        assert stop_by_length(Bytes(content).read, 0, len(content), SEED) == stop


def test_a_record_is_whole_or_none():
    assert stop_of_record(Bytes(EVENT).read, 0, len(EVENT), SEED) == len(EVENT)
    assert stop_of_record(Bytes(EVENT).read, 0, len(EVENT) - 1, SEED) is None
    assert stop_of_record(Bytes(EVENT).read, 0, len(EVENT), SEED + 1) is None
    assert stop_of_record(Bytes(bytes(8)).read, 0, 8, SEED) is None


@pytest.mark.parametrize("cut", range(1, len(EVENT)))
def test_every_beginning_of_a_record_is_torn(cut):
    rest = EVENT[:cut]
    assert is_torn(rest[:16], len(rest))


@pytest.mark.parametrize(
    "rest", [b"", EVENT, bytes(4), bytes(100), b"\xff" * 20, b"\x00\x01\x00\x00ABCDnot a pair"]
)
def test_nothing_else_is_torn(rest):
    assert not is_torn(rest[:16], len(rest))
