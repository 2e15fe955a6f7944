"""Sound by time: exactly the frames of a span, wherever they are, against all of them one by one."""

import re
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.clients.recordings.gaps import without_holes
from tilewright.clients.recordings.timeline import Timeline
from tilewright.errors import InputError, NotFoundError, SetupError, UnfitKeyError
from tilewright.stores import (
    AudioStore,
    CatalogPersister,
    FolderPersister,
    KeyMap,
    RawPCM,
    audio_store,
    metadata_store,
)
from tilewright.stores.blocks import Blocks, Layout

MS = 1_000_000
ANCHOR = 1_566_065_093_213


def at(ns):
    return np.datetime64(ns, "ns")


def tone(session, start, count):
    """Return samples of which each tells its session and its number in it."""
    return ((session % 7) * 4096 + np.arange(start, start + count)).astype("<i2")


def put(store, session, start, count, sensor=None):
    key = (session, 2 * start) if sensor is None else (session, sensor, 2 * start)
    store[key] = tone(session, start, count)


class Brute:
    """Every frame of every block with its exact time: what a fetch must give."""

    def __init__(self, layout, blocks):
        self.layout = layout
        self.runs = []  # of blocks that follow each other: session, first frame, frame after the last
        for session, start, count in sorted(blocks):
            if self.runs and self.runs[-1][0] == session and self.runs[-1][2] == start:
                self.runs[-1][2] += count
            else:
                self.runs.append([session, start, start + count])
        pieces = [
            layout.piece(session, 2 * start, 2 * stop, n)
            for n, (session, start, stop) in enumerate(self.runs)
        ]
        self.timeline = Timeline(pieces, [layout.rate] * len(pieces))

    def frames(self, begin, end):
        """Return session and number of each frame in a span, by going over all of them; -1 in gaps."""
        found = []
        for part in without_holes(self.timeline, begin, end):
            session = self.runs[part.piece.file][0] if part.is_recorded else -1
            found += [
                (session, number if part.is_recorded else -1) for number in range(part.start, part.stop)
            ]
        return found


RATES = [Fraction(8), Fraction(3), Fraction(44100), Fraction(1000, 3)]
BLOCKS = st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 30)), st.integers(1, 12), max_size=8)


@given(st.sampled_from(RATES), BLOCKS, st.integers(-2, 40), st.integers(1, 30), st.integers(1, 10))
def test_every_fetch_gives_what_a_timeline_of_all_blocks_gives(rate, blocks, first, count, spacing):
    store = audio_store({}, rate=rate, unit="ns")
    period = 1_000_000_000 / rate
    sessions = [10**12 + int(number * 5 * spacing * period) for number in range(4)]
    told = [(sessions[number], start, length) for (number, start), length in blocks.items()]
    for session, start, length in told:
        put(store, session, start, length)
    brute = Brute(store.layout, told)
    begin = sessions[0] + int(first * period)
    end = begin + max(int(count * period), 1)
    found = store.fetch(at(begin), at(end))
    expected = brute.frames(begin, end)
    assert len(found) == len(expected)
    recorded = found.recorded if found.recorded is not None else np.ones(len(found), bool)
    assert recorded.tolist() == [session >= 0 for session, _ in expected]
    values = [tone(session, number, 1)[0] if session >= 0 else 0 for session, number in expected]
    assert found.samples.tolist() == values
    inside = [
        (session, number)
        for session, start, length in told
        for number in range(start, start + length)
        if begin <= session + number * period < end
    ]
    got = [one for one in expected if one[0] >= 0]
    assert set(got) <= set(inside)
    if spacing > 8 or len({session for session, _, _ in told}) == 1:  # no two sessions overlap
        assert got == sorted(set(inside))
    assert all(
        begin <= part.piece.exact(n) < end for part in found.parts for n in range(part.start, part.stop)
    )
    there = sorted({session for session, _ in inside})
    assert store.sessions(at(begin), at(end)).tolist() == there


@given(BLOCKS, st.integers(0, 60), st.integers(1, 40))
def test_segments_are_whole_and_unbroken(blocks, first, count):
    store = audio_store({}, rate=8, unit="s")
    told = [(100 + 3 * number, start, length) for (number, start), length in blocks.items()]
    for block in told:
        put(store, *block)
    begin, end = 10**11 + first * 125 * MS, 10**11 + (first + count) * 125 * MS
    segments = store.fetch(at(begin), at(end), gaps="segments")
    brute = Brute(store.layout, told)
    expected = brute.timeline.segments(brute.timeline.whole_between(begin, end))
    assert len(segments) == len(expected)
    for segment, parts in zip(segments, expected, strict=True):
        values = [tone(brute.runs[part.piece.file][0], part.start, len(part)) for part in parts]
        assert segment.samples.tolist() == np.concatenate(values).tolist()
        assert segment.gaps == ()
        assert (np.diff(segment.times()) == 125 * MS).all()


@given(BLOCKS, st.lists(st.integers(), min_size=8, max_size=8))
def test_the_order_of_writing_does_not_matter(blocks, shuffle):
    """Blocks that are added one by one, with looks in between, and all at once, make one index."""
    layout = Layout(Fraction(8), RawPCM(16), 10**9)
    told = [(100 + 3 * number, 2 * start, 2 * length) for (number, start), length in blocks.items()]
    order = [block for _, block in sorted(zip(shuffle, told, strict=False))]
    one, looking = Blocks(layout), Blocks(layout)
    for block in order:
        one.put(*block)
        looking.put(*block)
        looking.timeline(0, 10**12)
    whole = Blocks(layout, *zip(*told, strict=True)) if told else Blocks(layout)
    for made in (one, looking):
        assert made.rows.tolist() == whole.rows.tolist()
        assert made._runs.rows.tolist() == whole._runs.rows.tolist()
        assert made._clusters.rows.tolist() == whole._clusters.rows.tolist()
    for session, offset, _ in told[::2]:
        one.remove(session, offset)
    rest = told[1::2]
    assert (
        one.rows.tolist()
        == (Blocks(layout, *zip(*rest, strict=True)) if rest else Blocks(layout)).rows.tolist()
    )


@pytest.fixture(params=["dict", "folder", "objects"])
def place(request, tmp_path):
    if request.param == "dict":
        return {}
    return tmp_path if request.param == "folder" else request.getfixturevalue("objects")


LAYOUTS = [
    (encoding, bits, channels)
    for encoding in ("pcm", "wav", "flac")
    for bits in (16, 24, 32)
    for channels in (1, 2)
    if (encoding, bits) != ("flac", 32)
]


@pytest.mark.parametrize(("encoding", "bits", "channels"), LAYOUTS)
def test_every_encoding(place, encoding, bits, channels):
    template = "{session:d}/{sensor}/data/{block:014d}"
    options = {"rate": 8000, "bits": bits, "channels": channels, "encoding": encoding}
    store = audio_store(place, template=template, **options)
    pcm = store.layout.pcm
    whole = np.arange(4000 * channels).astype(pcm.dtype) << (8 if bits == 24 else 0)
    whole = whole if channels == 1 else whole.reshape(-1, channels)
    raw = RawPCM(bits, channels).encode(whole)
    for start in range(0, 4000, 1000):
        chunk = raw[start * pcm.frame_bytes :][: 1000 * pcm.frame_bytes]
        store[ANCHOR, "left", start * pcm.frame_bytes] = (
            chunk if start % 2000 else whole[start : start + 1000]
        )
    assert (store[ANCHOR, "left", 1000 * pcm.frame_bytes] == whole[1000:2000]).all()
    assert store[ANCHOR, "left", 0].dtype == pcm.dtype
    for again in (store, audio_store(place, template=template, **options)):
        begin = ANCHOR * MS + 500 * 125_000
        found = again.fetch(at(begin), at(begin + 2000 * 125_000), gaps="raise")
        assert (found.samples == whole[500:2500]).all()
        assert found.samples.shape == (2000, 2)[:channels]
        assert (found.start, found.recorded, found.sensor) == (begin, None, "left")
        assert again.blocks(ANCHOR).tolist() == [n * 1000 * pcm.frame_bytes for n in range(4)]


@pytest.fixture
def store():
    """Two seconds of 8 Hz, one second of nothing, one second, in blocks of half a second."""
    store = audio_store({}, rate=8, unit="s", allow_delete=True)
    for start in (0, 4, 8, 12, 24, 28):
        put(store, 100, start, 4)
    return store


def test_gaps(store):
    span = at(100 * 10**9), at(104 * 10**9)
    expected = [*tone(100, 0, 16), *[0] * 8, *tone(100, 24, 8)]
    found = store.fetch(*span)
    assert found.samples.tolist() == expected
    assert found.recorded.tolist() == [True] * 16 + [False] * 8 + [True] * 8
    assert found.gaps == ((102 * 10**9, 103 * 10**9),)
    assert store.fetch(*span, gaps="fill", fill_value=-5).samples[16:24].tolist() == [-5] * 8
    first, second = store.fetch(*span, gaps="segments")
    assert (first.samples.tolist(), second.samples.tolist()) == (expected[:16], expected[24:])
    assert second.start == 103 * 10**9
    with pytest.raises(
        InputError, match=re.escape("nothing from 1970-01-01T00:01:42Z to 1970-01-01T00:01:43Z")
    ):
        store.fetch(*span, gaps="raise")
    assert len(store.fetch(at(100 * 10**9), at(102 * 10**9), gaps="raise")) == 16
    with pytest.raises(InputError, match="does not fit samples"):
        store.fetch(*span, gaps="fill", fill_value=0.5)
    with pytest.raises(InputError, match="expected one of"):
        store.fetch(*span, gaps="nothing")


def test_before_after_and_nothing_at_all(store):
    before = store.fetch(at(99 * 10**9), at(100 * 10**9))
    assert (len(before), before.recorded.any()) == (8, np.False_)
    after = store.fetch(at(200 * 10**9), at(201 * 10**9))
    assert (len(after), after.recorded.any()) == (8, np.False_)
    empty = audio_store({}, rate=8)
    nothing = empty.fetch(at(0), at(10**9))
    assert (len(nothing), nothing.start, nothing.gaps) == (0, None, ())
    assert nothing.to_xarray().shape == (1, 0)
    assert empty.fetch(at(0), at(10**9), gaps="segments") == []
    assert (empty.sensors, empty.sessions().tolist(), empty.blocks(5).tolist()) == ([], [], [])


def test_times_are_those_of_recordings(store):
    for wrong in ("1970-01-01T00:01:40", 100, None):
        with pytest.raises(InputError, match="time"):
            store.fetch(wrong, at(101 * 10**9))
    with pytest.raises(InputError, match="is not before"):
        store.fetch(at(5), at(5))
    assert (
        store.fetch("1970-01-01T00:01:40Z", "1970-01-01T01:01:41+01:00").samples.tolist()
        == tone(100, 0, 8).tolist()
    )


def test_what_the_store_writes_and_deletes_is_found(store):
    span = at(100 * 10**9), at(106 * 10**9)
    assert store.fetch(*span).recorded.sum() == 24
    put(store, 100, 16, 8)  # the gap
    assert store.fetch(*span).recorded is not None
    put(store, 100, 32, 16)
    assert store.fetch(*span, gaps="raise").samples.tolist() == tone(100, 0, 48).tolist()
    put(store, 90, 0, 80)  # another session, before: the earlier one counts to its end
    assert store.fetch(at(90 * 10**9), at(106 * 10**9), gaps="raise").samples.tolist() == [
        *tone(90, 0, 80),
        *tone(100, 0, 48),
    ]
    assert store.sessions().tolist() == [90, 100]
    assert store.sessions("1970-01-01T00:01:40Z", "1970-01-01T00:01:41Z").tolist() == [100]
    store[100, 0] = tone(100, 0, 2)  # shorter than before
    assert (
        store.fetch(at(100 * 10**9), at(101 * 10**9)).recorded.tolist()
        == [True] * 2 + [False] * 2 + [True] * 4
    )
    del store[100, 8]
    assert 8 not in store.blocks(100)
    assert store.fetch(*span).recorded.sum() == 42
    store.clear()
    assert len(store) == len(store.sessions()) == 0


def test_what_others_write_is_found_after_a_refresh(tmp_path):
    options = {"rate": 8, "unit": "s"}
    mine, theirs = audio_store(tmp_path, **options), audio_store(tmp_path, **options)
    span = at(100 * 10**9), at(101 * 10**9)
    assert len(mine.fetch(*span)) == 0
    put(theirs, 100, 0, 8)
    assert len(mine.fetch(*span)) == 0
    mine.refresh()
    assert mine.fetch(*span).samples.tolist() == tone(100, 0, 8).tolist()
    FolderPersister(tmp_path)["100/00000000000000"] = b"shrt"
    with pytest.raises(
        InputError, match=r"'100/00000000000000' is too short: 4 of the 16 bytes.*refresh\(\)"
    ):
        mine.fetch(*span)
    (tmp_path / "100" / "00000000000000").unlink()
    with pytest.raises(NotFoundError, match=r"'100/00000000000000' is not there any longer.*refresh\(\)"):
        mine.fetch(*span)


def test_a_block_that_is_another_file(tmp_path):
    options = {"rate": 8, "unit": "s", "encoding": "wav"}
    mine, theirs = audio_store(tmp_path, **options), audio_store(tmp_path, **options)
    put(mine, 100, 0, 8)
    mine.refresh()
    put(theirs, 100, 0, 4)
    with pytest.raises(InputError, match=r"has 4 frames, and had 8: look again with refresh\(\)"):
        mine.fetch(at(100 * 10**9), at(101 * 10**9))
    (tmp_path / "100" / "00000000000000").write_bytes(b"garbage")
    with pytest.raises(InputError, match="Cannot read the block '100/00000000000000'"):
        mine.refresh()


def test_frames_that_lie_in_two_blocks(tmp_path):
    """A buffer of 4,096 bytes has no whole number of frames of 24 bits; who wrote it cut the stream there."""
    whole = np.arange(4096).astype("<i4") << 8
    raw = RawPCM(24).encode(whole)
    for start in range(0, len(raw), 4096):
        FolderPersister(tmp_path)[f"100/{start:014d}"] = raw[start : start + 4096]
    store = audio_store(tmp_path, rate=8, bits=24, unit="s")
    found = store.fetch(at(100 * 10**9), at(612 * 10**9), gaps="raise")
    assert (found.samples == whole).all()
    assert (store.fetch(at(200 * 10**9), at(300 * 10**9)).samples == whole[800:1600]).all()


def test_blocks_that_are_nodes_of_a_catalog(catalog):
    store = audio_store(CatalogPersister(catalog), rate=8, unit="s")
    for start in (0, 4):
        put(store, 100, start, 4)
    store.refresh()
    assert (
        store.fetch(at(100 * 10**9), at(101 * 10**9), gaps="raise").samples.tolist()
        == tone(100, 0, 8).tolist()
    )


def test_sensors():
    store = audio_store({}, rate=8, unit="s", template="{session}/{sensor}/data/{block}")
    for number, sensor in enumerate(("left", "right")):
        put(store, 100 + number, 0, 8, sensor)
    assert store.sensors == ["left", "right"]
    assert list(store) == [(100, "left", 0), (101, "right", 0)]
    assert store.sessions().tolist() == [100, 101]
    assert store.sessions(sensor="right").tolist() == [101]
    assert store.blocks(100, "left").tolist() == [0]
    assert store.fetch(at(101 * 10**9), at(102 * 10**9), "right").samples.tolist() == tone(101, 0, 8).tolist()
    with pytest.raises(InputError, match="name one of them: left, right"):
        store.fetch(at(0), at(1))
    with pytest.raises(NotFoundError, match="There are: left, right"):
        store.fetch(at(0), at(1), sensor="middle")


def test_a_mapping():
    store = audio_store({}, rate=8, allow_delete=False)
    store[5, 0] = b"\x01\x00" * 8
    assert list(store) == [(5, 0)]
    assert store[5, 0].tolist() == [1] * 8
    assert (5, 0) in store
    assert (5, 2) not in store
    assert "x" not in store
    assert store.get((5, 2)) is None
    with pytest.raises(KeyError):
        store[5, 2]
    with pytest.raises(UnfitKeyError):
        store["x"]
    for key, value, told in (
        ((5, 1), b"\0\0", "its offset is in bytes"),
        ((5, 2), b"\0", "no whole frames"),
        ((5, 2), np.zeros(3), "does not fit"),
        ((5, 2), "text", "are no samples"),
        ((10**15, 0), b"\0\0", "is the unit of sessions right"),
    ):
        with pytest.raises(InputError, match=told):
            store[key] = value
    with pytest.raises(SetupError, match="allow_delete=True"):
        del store[5, 0]
    assert len(store) == 1
    assert "session" in repr(store)


def test_other_peoples_files(tmp_path):
    store = audio_store(tmp_path, rate=8, unit="s")
    put(store, 100, 0, 8)
    for name in (".DS_Store", "100/000000000000000", "100/info.json", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    store.refresh()
    assert store.blocks(100).tolist() == [0]
    assert list(store) == [(100, 0)]


def test_a_block_that_is_removed_while_the_place_is_looked_at(tmp_path, monkeypatch):
    store = audio_store(tmp_path, rate=8, unit="s", encoding="wav")
    put(store, 100, 0, 8)
    gone = [*FolderPersister(tmp_path).listing(), ("100/00000000000016", 60)]
    monkeypatch.setattr(FolderPersister, "listing", lambda _: iter(gone))
    store.refresh()
    assert store.blocks(100).tolist() == [0]


def test_the_index_in_a_file(tmp_path, monkeypatch):
    options = {"rate": 8, "unit": "s", "index_file": tmp_path / "index.npz"}
    span = at(100 * 10**9), at(102 * 10**9)
    with audio_store(tmp_path / "data", **options) as store:
        put(store, 100, 0, 8)
        assert len(store.fetch(*span)) == 16
        put(store, 100, 8, 8)
    monkeypatch.setattr(FolderPersister, "listing", lambda _: pytest.fail("it was listed"))
    again = audio_store(tmp_path / "data", **options)
    assert again.fetch(*span, gaps="raise").samples.tolist() == tone(100, 0, 16).tolist()
    with pytest.raises(InputError, match="of a store with another layout"):
        audio_store(tmp_path / "data", **{**options, "rate": 16}).sessions()
    (tmp_path / "index.npz").write_bytes(b"garbage")
    with pytest.raises(InputError, match="is no index of a store"):
        audio_store(tmp_path / "data", **options).sessions()


def test_no_index_file_outlives_what_it_says(tmp_path):
    """A store that is killed while it writes leaves none, and the next one lists."""
    options = {
        "rate": 8,
        "unit": "s",
        "index_file": tmp_path / "index.npz",
        "template": "{session}/{sensor}/{block}",
    }
    names = ["left", "..a b", "ü"]
    with audio_store(tmp_path / "data", **options) as store:
        for name in names:
            put(store, 100, 0, 8, name)
        store.refresh()
    again = audio_store(tmp_path / "data", **options)
    assert again.sensors == sorted(names)
    put(again, 100, 8, 8, "left")
    assert not (tmp_path / "index.npz").exists()
    del again  # and not closed
    third = audio_store(tmp_path / "data", **options)
    assert third.blocks(100, "left").tolist() == [0, 16]
    assert (tmp_path / "index.npz").exists()


def test_sessions_as_long_as_a_year():
    store = audio_store({}, rate=192_000, bits=24, channels=2)
    offset = 192_000 * 6 * 86_400 * 365
    store[ANCHOR, offset] = bytes(6)
    assert store.fetch(
        at(ANCHOR * MS + 86_400 * 365 * 10**9), at(ANCHOR * MS + 86_400 * 365 * 10**9 + 1)
    ).start == (ANCHOR * MS + 86_400 * 365 * 10**9)


def test_a_waveform(store):
    found = store.fetch(at(101 * 10**9), at(104 * 10**9))
    array = found.to_xarray()
    assert (array.dims, array.name) == (("unit", "time"), "audio")
    assert array.sample[0].values.tolist() == [*range(8, 16), *[-1] * 8, *range(24, 32)]
    assert array.recorded[0].values.tolist() == found.recorded.tolist()
    assert array.time.values[0] == at(101 * 10**9)
    assert array.attrs == {
        "rate": 8,
        "gaps": {"": [{"start": "1970-01-01T00:01:42Z", "stop": "1970-01-01T00:01:43Z", "samples": 8}]},
    }
    assert "1970-01-01T00:01:41Z" in repr(found)
    assert found.stop == 104 * 10**9
    stereo = audio_store({}, rate=8000, channels=2)
    stereo[5, 0] = np.arange(20, dtype="<i2").reshape(-1, 2)
    both = stereo.fetch(at(5 * MS), at(6 * MS))
    assert both.to_xarray().dims == ("unit", "time", "channel")
    assert "<audio" in both._repr_html_()
    assert "data:audio/wav" not in stereo.fetch(at(0), at(70 * 10**9))._repr_html_()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rate": 0}, "above 0"),
        ({"rate": "fast"}, "above 0"),
        ({"rate": True}, "above 0"),
        ({"rate": 8, "unit": "min"}, "expected one of s, ms, us, ns"),
        ({"rate": 8, "bits": 12}, "expected 16, 24 or 32"),
        ({"rate": 8, "encoding": "mp3"}, "expected 'pcm', 'wav' or 'flac'"),
        ({"rate": 8.5, "encoding": "wav"}, "whole number"),
        ({"rate": 8, "template": "{session}/{sensor}"}, "expected the fields session and block"),
        ({"rate": 8, "template": "{session}/{block}/{channel}"}, "expected the fields session and block"),
        ({"rate": 8, "template": "{session}/{block}/{sensor:d}"}, "expected the fields session and block"),
    ],
)
def test_layouts_that_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        audio_store({}, **options)


def test_information(tmp_path):
    info = metadata_store(tmp_path)
    info[ANCHOR] = {"where": "roof"}
    info[ANCHOR, "left"] = {"gain": 2.5}
    assert (tmp_path / str(ANCHOR) / "left" / "info.json").read_text() == '{"gain":2.5}'
    assert list(info) == [ANCHOR, (ANCHOR, "left")]
    audio = audio_store(tmp_path, rate=8, template="{session}/{sensor}/data/{block}")
    audio[ANCHOR, "left", 0] = b"\0\0"
    assert list(audio) == [(ANCHOR, "left", 0)]
    assert list(info) == [ANCHOR, (ANCHOR, "left")]
    with pytest.raises(SetupError, match="allow_delete=True"):
        del info[ANCHOR]


def test_two_million_blocks_are_an_index_as_any():
    """Nothing that a fetch does grows with the blocks that are there: one timeline of a few pieces, by bisection."""
    layout = Layout(Fraction(44100), RawPCM(16), MS)
    count = 2_000_000
    sessions = ANCHOR + np.repeat(np.arange(count // 1000), 1000) * 1_001_000
    offsets = np.tile(np.arange(1000) * 88_200, count // 1000)
    blocks = Blocks(layout, sessions, offsets, np.full(count, 88_200))
    begin = int(sessions[1_234_500]) * MS + 500_000_000_000
    timeline, first = blocks.timeline(begin, begin + 10_000_000_000)
    assert len(timeline.whole) <= 4
    (part,) = timeline.between(begin, begin + 10_000_000_000)
    session, found = blocks.of_run(first + part.piece.file, 2 * part.start, 2 * part.stop)
    assert (session, len(part)) == (int(sessions[1_234_500]), 441_000)
    assert found[0].tolist() == [number * 88_200 for number in range(500, 510)]
    last = int(sessions[-1])
    blocks.put(last, 1000 * 88_200, 88_200)
    timeline, _ = blocks.timeline(last * MS, last * MS + 2_000_000_000_000)
    assert len(timeline.between(last * MS, last * MS + 2_000_000_000_000)[0]) == 1001 * 44100


class OneArray:
    """A source whose blocks of a session lie in one array, in the order in which they came, as a catalog has them."""

    def __init__(self, layout):
        self.layout = layout
        self.arrays, self.rows = {}, {}  # by session: samples, and first row by offset

    def add(self, session, offset, samples):
        before = self.arrays.get(session, samples[:0])
        self.rows.setdefault(session, {})[offset] = len(before)
        self.arrays[session] = np.concatenate([before, samples])
        return len(samples)

    def index(self):
        size = self.layout.pcm.frame_bytes
        found = []
        for session, rows in self.rows.items():
            ends = [*list(rows.values())[1:], len(self.arrays[session])]
            for (offset, first), last in zip(rows.items(), ends, strict=True):
                found.append((session, offset, (last - first) * size))
        return {"": Blocks(self.layout, *zip(*found, strict=True))} if found else {}

    def read(self, wanted):
        size = self.layout.pcm.frame_bytes
        for one in wanted:
            for offset, length in one.blocks.T.tolist():
                first, last = max(one.start, offset // size), min(one.stop, (offset + length) // size)
                row = self.rows[one.session][offset] - offset // size
                one.out[first - one.start : last - one.start] = self.arrays[one.session][
                    row + first : row + last
                ]


def test_a_source_of_ones_own():
    layout = Layout(Fraction(8), RawPCM(16), 10**9)
    source = OneArray(layout)
    for session, start, count in ((100, 0, 4), (100, 8, 8), (100, 4, 4), (105, 0, 8)):  # one came late
        source.add(session, 2 * start, tone(session, start, count))
    store = AudioStore({}, source, KeyMap("{session:d}/{block:d}"), layout)
    found = store.fetch(at(100_500_000_000), at(106 * 10**9))
    expected = [*tone(100, 4, 12), *[0] * 24, *tone(105, 0, 8)]
    assert found.samples.tolist() == expected
    assert store.sessions().tolist() == [100, 105]
    assert store.blocks(100).tolist() == [0, 8, 16]


def test_a_reader_beside_a_writer(tmp_path):
    """What is fetched while blocks are added is right, and ends where a block ends."""
    store = audio_store(tmp_path, rate=8, unit="s")
    put(store, 100, 0, 8)
    done = threading.Event()

    def write():
        for number in range(1, 200):
            put(store, 100, 8 * number, 8)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        lengths = [0]
        while not done.is_set():
            (found,) = store.fetch(at(100 * 10**9), at(400 * 10**9), gaps="segments")
            assert found.samples.tolist() == tone(100, 0, len(found)).tolist()
            lengths.append(len(found))
    finally:
        writer.join()
    assert lengths == sorted(lengths)
    assert len(store.fetch(at(100 * 10**9), at(300 * 10**9), gaps="raise")) == 1600
