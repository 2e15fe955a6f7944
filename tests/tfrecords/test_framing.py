"""Whatever happens to a file: each record that is whole is found, and all the rest of its bytes is told as damage."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import SetupError
from tilewright.tfrecords import Damage, Frame, fingerprint, framed, frames, searching, write_records
from tilewright.tfrecords.crc import crc32c, masked_crc
from tilewright.tfrecords.messages import messages

PAYLOADS = [b"first", b"", b"third record", bytes(100), b"the last one"]
RECORDS = [framed(data) for data in PAYLOADS]
WHOLE = b"".join(RECORDS)
STARTS = [sum(map(len, RECORDS[:number])) for number in range(len(RECORDS))]
NOISE = np.random.default_rng(0).bytes(1000)


def found_in(path, content):
    """Return what is found in a file of this content, once it is certain that it is all of it."""
    path.write_bytes(content)
    found, place = list(frames(path)), 0
    for one in found:
        assert one.offset == place
        place += one.size if isinstance(one, Damage) else len(one.data) + 16
        if isinstance(one, Frame):
            assert one.stored_crc == masked_crc(one.data)
    assert place == len(content)
    return found


def test_records_come_as_they_were_written(tmp_path):
    assert write_records(tmp_path / "x", PAYLOADS) == STARTS
    assert (tmp_path / "x").read_bytes() == WHOLE
    found = found_in(tmp_path / "x", WHOLE)
    assert [(one.offset, one.data) for one in found] == list(zip(STARTS, PAYLOADS, strict=True))
    assert list(frames(str(tmp_path / "x"))) == found
    assert found_in(tmp_path / "x", b"") == []


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(frames(tmp_path / "x"))


def changed(place, byte=None):
    content = bytearray(WHOLE)
    content[place] = content[place] ^ 0xFF if byte is None else byte
    return bytes(content)


THIRD, FOURTH = STARTS[2], STARTS[3]
DAMAGED = {
    "length": (changed(THIRD), [2], [(THIRD, 28, "no record begins here: the CRC of its length is wrong")]),
    "length's CRC": (changed(THIRD + 8), [2], [(THIRD, 28, "the CRC of its length")]),
    "huge length": (changed(THIRD + 7), [2], [(THIRD, 28, "the CRC of its length")]),
    "data": (changed(THIRD + 12), [2], [(THIRD, 28, "the CRC of the record's 12 bytes of data is wrong")]),
    "data's CRC": (changed(FOURTH - 1), [2], [(THIRD, 28, "bytes of data is wrong")]),
    "first length": (changed(0), [0], [(0, 21, "the CRC of its length")]),
    "last data": (changed(len(WHOLE) - 1), [4], [(STARTS[4], 28, "bytes of data is wrong")]),
    "data of two in a row": (
        changed(THIRD + 12)[:FOURTH] + changed(FOURTH + 12)[FOURTH:],
        [2, 3],
        [(THIRD, 28, "12 bytes of data"), (FOURTH, 116, "100 bytes of data")],
    ),
    "noise before": (NOISE + WHOLE, [], [(0, 1000, "the CRC of its length")]),
    "noise between": (WHOLE[:THIRD] + NOISE + WHOLE[THIRD:], [], [(THIRD, 1000, "the CRC of its length")]),
    "noise behind": (WHOLE + NOISE, [], [(len(WHOLE), 1000, "the CRC of its length")]),
    "zeros between": (
        WHOLE[:THIRD] + bytes(5000) + WHOLE[THIRD:],
        [],
        [(THIRD, 5000, "the CRC of its length")],
    ),
    "a few bytes behind": (WHOLE + b"abc", [], [(len(WHOLE), 3, "within a header: 3 bytes of 12")]),
    "noise in the data": (
        WHOLE[: THIRD + 15] + NOISE + WHOLE[THIRD + 15 :],
        [2],
        [(THIRD, 1028, "bytes of data is wrong")],
    ),
    "bytes missing in the data": (
        WHOLE[: THIRD + 15] + WHOLE[THIRD + 20 :],
        [2],
        [(THIRD, 23, "bytes of data is wrong")],
    ),
    "bytes missing up to the next but one": (
        WHOLE[: FOURTH + 30] + WHOLE[STARTS[4] + 3 :],
        [3, 4],
        [
            (
                FOURTH,
                30 + 25,
                "the record is cut short: 100 bytes of data are promised, and the file ends 61 bytes too early",
            )
        ],
    ),
    "another file behind a truncated one": (
        WHOLE[: FOURTH + 50] + WHOLE,
        [3, 4],
        [(FOURTH, 50, "the CRC of the record's 100 bytes of data is wrong")],
    ),
    "only noise": (NOISE, [0, 1, 2, 3, 4], [(0, 1000, "the CRC of its length")]),
}


@pytest.mark.parametrize(("content", "lost", "damage"), list(DAMAGED.values()), ids=list(DAMAGED))
def test_damage_is_told_and_the_rest_goes_on(content, lost, damage, tmp_path):
    found = found_in(tmp_path / "x", content)
    there = [one.data for one in found if isinstance(one, Frame)]
    behind = PAYLOADS if content.endswith(WHOLE) and lost else []
    expected = [data for number, data in enumerate(PAYLOADS) if number not in lost]
    assert there == expected + behind
    told = [one for one in found if isinstance(one, Damage)]
    assert [(one.offset, one.size) for one in told] == [one[:2] for one in damage]
    assert all(words in one.reason for one, (_, _, words) in zip(told, damage, strict=True))


@pytest.mark.parametrize("length", range(STARTS[3], len(WHOLE)))
def test_a_file_that_is_cut_off_anywhere(length, tmp_path):
    *there, last = found_in(tmp_path / "x", WHOLE[:length])
    if length in STARTS:
        assert isinstance(last, Frame)
        return
    assert [one.data for one in there] == PAYLOADS[: len(there)]
    assert isinstance(last, Damage)
    assert last.offset == max(start for start in STARTS if start <= length)
    assert ("within a header" in last.reason) == (length - last.offset < 12)
    assert ("cut short" in last.reason) == (length - last.offset >= 12)


SPLICES = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 150), st.binary(max_size=60)), min_size=1, max_size=4
)
"""Where bytes are taken out, how many, and what is put in."""


@given(sizes=st.lists(st.integers(0, 120), min_size=1, max_size=10), splices=SPLICES)
def test_every_record_that_is_whole_is_found(sizes, splices, tmp_path_factory):
    payloads = [bytes([number]) * (size + 1) for number, size in enumerate(sizes)]
    tagged = [
        (number, place, byte)
        for number, data in enumerate(payloads)
        for place, byte in enumerate(framed(data))
    ]
    for at, count, new in splices:
        first = at % (len(tagged) + 1)
        tagged[first : first + count] = [(None, 0, byte) for byte in new]
    path = tmp_path_factory.getbasetemp() / "spliced"
    there = [one.data for one in found_in(path, bytes(byte for *_, byte in tagged)) if isinstance(one, Frame)]
    expected = [
        payloads[number] for number in range(len(payloads)) if is_whole(tagged, number, payloads[number])
    ]
    assert [data for data in there if data in expected] == expected
    assert set(there) <= set(payloads)


def is_whole(tagged, number, data):
    """Tell whether all bytes of a record are still there, one behind the other."""
    size = len(framed(data))
    own = [place for place, (of, *_) in enumerate(tagged) if of == number]
    return len(own) == size == own[-1] - own[0] + 1


def test_a_record_that_is_damaged_hides_none_of_the_same_length_as_what_is_missing(tmp_path):
    """The bytes that are missing at its end are as many as the next record has, so that a header follows where it seems to end."""
    long, short, last = framed(bytes(200)), framed(b"short"), framed(b"last")
    found = found_in(tmp_path / "x", long[: -len(short)] + short + last)
    assert [one.data for one in found if isinstance(one, Frame)] == [b"short", b"last"]
    assert [one.size for one in found if isinstance(one, Damage)] == [len(long) - len(short)]


def test_headers_are_found_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "_BLOCK", 7)
    for shift in range(20):
        found = found_in(tmp_path / "x", NOISE[: 30 + shift] + WHOLE)
        assert [one.data for one in found if isinstance(one, Frame)] == PAYLOADS


def test_a_right_header_in_front_of_wrong_data_is_no_record(tmp_path):
    bait = struct.pack("<Q", 4) + struct.pack("<I", masked_crc(struct.pack("<Q", 4))) + b"abcdabcd"
    found = found_in(tmp_path / "x", b"?" + bait + WHOLE)
    assert [one.data for one in found if isinstance(one, Frame)] == PAYLOADS
    assert found[0].size == 1 + len(bait)


def fingerprint_of(path, content):
    path.write_bytes(content)
    return fingerprint(path)


def test_what_a_fingerprint_tells(tmp_path):
    own = fingerprint_of(tmp_path / "x", WHOLE)
    assert fingerprint_of(tmp_path / "y", WHOLE) == own
    assert own.records == 5
    assert len(own.digest) == 32
    others = {
        "a length": changed(THIRD),
        "a length's CRC": changed(THIRD + 8),
        "a data's CRC": changed(FOURTH - 1),
        "cut off": WHOLE[:-1],
        "one less": WHOLE[: STARTS[4]],
        "one more": WHOLE + framed(b""),
        "another order": b"".join(reversed(RECORDS)),
        "other data": WHOLE.replace(RECORDS[0], framed(b"fIrst")),
        "bytes behind": WHOLE + b"\0",
        "other bytes behind": WHOLE + b"\1",
        "nothing": b"",
        "noise": NOISE,
        "other noise": NOISE[:-1] + b"\0",
    }
    digests = {name: fingerprint_of(tmp_path / "x", content).digest for name, content in others.items()}
    assert len({own.digest, *digests.values()}) == len(others) + 1


def test_what_a_fingerprint_cannot_tell(tmp_path):
    own = fingerprint_of(tmp_path / "x", WHOLE)
    assert fingerprint_of(tmp_path / "x", changed(THIRD + 12)) == own


@pytest.mark.parametrize(
    ("cached", "module"), [(crc32c, "google_crc32c"), (messages, "google.protobuf")], ids=["crc", "protobuf"]
)
def test_what_is_not_installed_is_named(cached, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    cached.cache_clear()
    with pytest.raises(SetupError, match=r"pip install 'tilewright\[embeddings\]'"):
        cached()


def test_the_formats_load_neither():
    code = "import sys, tilewright.formats.registry; assert not {'google_crc32c', 'google.protobuf'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
