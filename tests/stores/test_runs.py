"""Sound in a catalog of runs, through the mapping and by time: the same as anywhere else, and as anybody recorded it."""

import random

import numpy as np
import pytest

from tilewright import TiledWriter, open_catalog
from tilewright.errors import InputError, NotFoundError, UnfitKeyError
from tilewright.sources.blocks import Block, Blocks, Pcm
from tilewright.stores import RawPCM, audio_store, copy, metadata_store

SESSION = 1_566_065_093_213
MS = 1_000_000
RATE = 8000
FRAMES = 400
"""Of a block: 50 ms."""
TEMPLATE = "{session:d}/{sensor}/data/{block:014d}"


def at(session, frame):
    """Return when a frame of a session was; 125 µs a frame."""
    return np.datetime64(session * MS + frame * 125_000, "ns")


def samples(number, session=SESSION):
    """Return a block of samples that say which session and frame they are."""
    return ((session % 7) * 4096 + np.arange(number * FRAMES, (number + 1) * FRAMES)).astype("<i2")


@pytest.fixture
def store(catalog):
    with audio_store(catalog, rate=RATE, template=TEMPLATE) as store:
        yield store


def test_a_mapping(store):
    assert (len(store), list(store), (SESSION, "left", 0) in store) == (0, [], False)
    for number in (1, 0, 2):
        store[SESSION, "left", 800 * number] = samples(number)
    store[SESSION, "right", 0] = samples(0).tobytes()
    assert list(store) == [
        (SESSION, "left", 0),
        (SESSION, "left", 800),
        (SESSION, "left", 1600),
        (SESSION, "right", 0),
    ]
    assert store[SESSION, "left", 800].tolist() == samples(1).tolist()
    assert store[f"{SESSION}/left/data/00000000001600"].tolist() == samples(2).tolist()
    assert (SESSION, "left", 800) in store
    assert (SESSION, "middle", 0) not in store
    assert "x" not in store
    for missing in ((SESSION, "left", 2400), (SESSION, "middle", 0), (7, "left", 0)):
        with pytest.raises(KeyError):
            store[missing]
    with pytest.raises(UnfitKeyError):
        store["x"]
    assert dict(store)[SESSION, "right", 0].tolist() == samples(0).tolist()


def test_what_is_set_again_is_what_is_there(store, catalog):
    for value in (samples(0), samples(5), samples(5), samples(0)[:100]):
        store[SESSION, "left", 0] = value
        assert store[SESSION, "left", 0].tolist() == value.tolist()
        assert len(store) == 1
    with audio_store(catalog, rate=RATE, template=TEMPLATE) as again:
        assert again[SESSION, "left", 0].tolist() == samples(0)[:100].tolist()
    assert len(catalog[-1]["left"]["audio"]) == 900  # the run has all


def test_nothing_can_be_deleted(store):
    store[SESSION, "left", 0] = samples(0)
    for delete in (lambda: store.pop((SESSION, "left", 0)), store.popitem, store.clear):
        with pytest.raises(InputError, match="cannot be deleted: it is a block of a run"):
            delete()
    with pytest.raises(KeyError):
        del store[SESSION, "left", 800]
    assert len(store) == 1


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ((SESSION, "left", 0), b"", "has no samples"),
        ((SESSION, "left", 0), b"\0", "no whole frames"),
        ((SESSION, "left", 1), b"\0\0", "its offset is in bytes"),
        ((SESSION, "left", 0), np.zeros(3), "does not fit"),
    ],
)
def test_what_is_refused_leaves_nothing(store, catalog, key, value, told):
    with pytest.raises(InputError, match=told):
        store[key] = value
    assert len(store) == 0
    store.close()
    assert len(catalog) == 0


@pytest.mark.parametrize(("bits", "channels"), [(16, 2), (24, 1), (32, 3)])
def test_layouts(catalog, bits, channels):
    raw = RawPCM(bits, channels)
    whole = (np.arange(1000 * channels).astype(raw.dtype) << (8 if bits == 24 else 0)).reshape(
        raw.shape(1000)
    )
    with audio_store(catalog, rate=RATE, bits=bits, channels=channels) as store:
        for start in range(0, 1000, 250):
            store[SESSION, start * raw.frame_bytes] = whole[start : start + 250]
        found = store.fetch(at(SESSION, 100), at(SESSION, 900), gaps="raise")
        np.testing.assert_array_equal(found.samples, whole[100:900])
        np.testing.assert_array_equal(store[SESSION, 250 * raw.frame_bytes], whole[250:500])
    (descriptor,) = [catalog[-1]["microphone"].metadata["configuration"]["microphone"]["data"]]
    assert descriptor == {"rate": RATE, "bits": bits, "channels": channels}


@pytest.mark.parametrize("seed", range(3))
def test_it_fetches_what_a_dict_does(catalog, seed):
    """Sessions that overlap, blocks out of order, twice and missing; while it is written, and read again."""
    chance = random.Random(seed)
    sessions = [SESSION, SESSION + 130, SESSION + 1000]
    blocks = [(session, number) for session in sessions for number in range(8) if chance.random() < 0.8]
    chance.shuffle(blocks)
    blocks += blocks[:3]
    plain = audio_store({}, rate=RATE)
    with audio_store(catalog, rate=RATE) as store:
        for place, (session, number) in enumerate(blocks):
            for one in (plain, store):
                one[session, 2 * FRAMES * number] = samples(number, session)
            if place % 7 == 3:
                _compare(plain, store, chance)
        assert dict(store).keys() == dict(plain).keys()
        _compare(plain, store, chance)
    with audio_store(catalog, rate=RATE) as again:
        assert list(again) == list(plain)
        _compare(plain, again, chance)
        assert again.sessions().tolist() == plain.sessions().tolist()


def _compare(plain, store, chance):
    for gaps in ("mask", "fill", "segments"):
        first = chance.randrange(-500, 8000)
        span = at(SESSION, first), at(SESSION, first + chance.randrange(1, 6000))
        one, other = plain.fetch(*span, gaps=gaps), store.fetch(*span, gaps=gaps)
        pairs = zip(one, other, strict=True) if gaps == "segments" else [(one, other)]
        for expected, found in pairs:
            np.testing.assert_array_equal(found.samples, expected.samples)
            assert (found.recorded is None) == (expected.recorded is None)
            if expected.recorded is not None:
                np.testing.assert_array_equal(found.recorded, expected.recorded)
            assert (found.start, found.gaps) == (expected.start, expected.gaps)


def test_what_a_source_recorded_is_in_the_store(catalog, store):
    """Late, twice and missing; and a run that goes on when it is looked at."""
    order = [0, 1, 3, 2, 2, 6]
    stream = [Block(SESSION, 800 * number, samples(number).tobytes(), "left") for number in order]
    with TiledWriter(catalog) as writer:
        for name, document in Blocks(iter(stream), Pcm(RATE), unit="ms").documents():
            if name == "stop":
                assert writer.flush(60)
                store.refresh()
                assert len(store) == 5
            writer(name, document)
    store.refresh()
    assert store.blocks(SESSION).tolist() == [0, 800, 1600, 2400, 4800]
    found = store.fetch(at(SESSION, 0), at(SESSION, 4 * FRAMES), gaps="raise")
    assert found.samples.tolist() == np.concatenate([samples(n) for n in range(4)]).tolist()
    with pytest.raises(InputError, match="did not record all of that time"):
        store.fetch(at(SESSION, 0), at(SESSION, 6 * FRAMES), gaps="raise")


def test_a_session_goes_on_in_another_run(catalog):
    for number in range(3):
        with audio_store(catalog, rate=RATE) as store:
            store[SESSION, 800 * number] = samples(number)
    with audio_store(catalog, rate=RATE) as store:
        assert len(store) == 3
        found = store.fetch(at(SESSION, 0), at(SESSION, 3 * FRAMES), gaps="raise")
    assert found.samples.tolist() == np.concatenate([samples(n) for n in range(3)]).tolist()
    assert len(catalog) == 3


@pytest.mark.parametrize("looked", [False, True])
def test_a_run_that_was_deleted(store, catalog, looked):
    span = at(SESSION, 0), at(SESSION, FRAMES)
    store[SESSION, "left", 0] = samples(0)
    assert store.fetch(*span, "left").samples.tolist() == samples(0).tolist()
    catalog.context.http_client.delete(
        catalog[-1].item["links"]["self"], params={"external_only": False, "recursive": True}
    ).raise_for_status()
    if looked:
        store.source.index()
    with pytest.raises(NotFoundError, match=r"is not there any longer.*refresh\(\)"):
        store.fetch(*span, "left")
    if not looked:
        with pytest.raises(KeyError):
            store[SESSION, "left", 0]
    store.refresh()
    assert (len(store), len(store.fetch(*span))) == (0, 0)


def test_runs_of_another_name_are_none_of_it(catalog):
    with audio_store(catalog, rate=RATE, name="other") as other, audio_store(catalog, rate=RATE) as store:
        other[SESSION, 0] = samples(0)
        assert len(other) == 1
        store.refresh()
        assert len(store) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rate": 16_000}, "has Pcm.*8000.*and the store is of Pcm.*16000"),
        ({"rate": RATE, "unit": "s"}, "no whole number of s: take another unit"),
        ({"rate": RATE, "template": "{session}/{block}"}, "has a sensor left, and the template"),
    ],
)
def test_runs_that_do_not_fit(store, catalog, options, told):
    store[SESSION, "left", 0] = samples(0)
    assert store[SESSION, "left", 0].size
    with (
        audio_store(catalog, **{"template": TEMPLATE, **options}) as other,
        pytest.raises(InputError, match=told),
    ):
        len(other)


@pytest.mark.parametrize("options", [{"encoding": "wav"}, {"rate": 0.5}])
def test_what_a_catalog_does_not_hold(catalog, options):
    with pytest.raises(InputError, match="in a catalog samples are an array"):
        audio_store(catalog, **{"rate": RATE, **options})


def test_from_a_folder_into_a_catalog_and_back(catalog, tmp_path):
    folder = audio_store(tmp_path / "a", rate=RATE)
    for number in range(4):
        folder[SESSION, 800 * number] = samples(number)
    with audio_store(catalog, rate=RATE) as store:
        assert copy(folder, store).copied == 4
        assert copy(folder, store).skipped == 4
        back = audio_store(tmp_path / "b", rate=RATE)
        assert copy(store, back).copied == 4
    assert sorted(path.read_bytes() for path in (tmp_path / "b").rglob("*") if path.is_file()) == sorted(
        samples(number).tobytes() for number in range(4)
    )


def test_a_directory(tmp_path):
    from tilewright import serve

    with serve(tmp_path / "data", announce=False):
        pass
    for _ in range(2):
        with audio_store(tmp_path / "data", rate=RATE) as store:
            store[SESSION, 0] = samples(0)
            assert store[SESSION, 0].tolist() == samples(0).tolist()
    with open_catalog(tmp_path / "data") as runs:
        assert len(runs) == 2
        assert runs[-1].deployment().units["samples"].tolist() == [FRAMES]


def test_what_is_known_of_sessions(catalog):
    with metadata_store(catalog) as info:
        info[SESSION] = {"where": "roof"}
        info[SESSION, "left"] = {"gain": 2}
        assert dict(info) == {SESSION: {"where": "roof"}, (SESSION, "left"): {"gain": 2}}
    with audio_store(catalog, rate=RATE) as store:
        store[SESSION, 0] = samples(0)
    assert len(catalog.table()) == 1
    from tilewright.stores import CatalogPersister

    with CatalogPersister(catalog) as whole:
        assert len(whole) == len(list(whole)) == 3
        (path,) = [path for path in whole if path.endswith("microphone/audio")]
        assert whole[path].tolist() == samples(0).tolist()
    with metadata_store(catalog, allow_delete=True) as info:
        del info[SESSION]
        assert list(info) == [(SESSION, "left")]
