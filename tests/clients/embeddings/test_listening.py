"""From a row to its sound."""

import io

import numpy as np
import pytest
import soundfile

from tilewright import TiledWriter
from tilewright.errors import InputError, NotFoundError
from tilewright.sources import Embeddings, Recordings
from tilewright.testing.embeddings import name_of, records
from tilewright.tfrecords import write_records

RATE = 100


def samples(recording):
    """Return two minutes of samples that say which they are."""
    return (np.arange(120 * RATE) + 15_000 * recording).astype("<i2")


@pytest.fixture
def record_sounds(catalog, folder):
    """Record files of sound as one deployment."""

    def record_sounds(recordings, place="sounds"):
        for recording in recordings:
            path = folder / place / name_of(recording)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples(recording), RATE, subtype="PCM_16")
        source = Recordings(folder / place, units=[{"unit": "arkaba", "file": "*.flac"}])
        with TiledWriter(catalog) as writer:
            for document in source.documents():
                writer(*document)

    return record_sounds


@pytest.fixture
def dataset(record, folder):
    """Embeddings of three recordings, of two minutes each."""
    (folder / "in").mkdir()
    write_records(folder / "in" / "x.tfrecord", records(6, minutes=2))
    return record(Embeddings(folder / "in")).embeddings()


@pytest.mark.parametrize("place", ["sounds", "sounds/below"])
def test_a_rows_sound(dataset, record_sounds, place):
    record_sounds([0, 1], place)
    for row in (0, 5, 23, 24, 40):
        found, rate = dataset.sound(row)
        first = row % 24 * 5 * RATE
        assert rate == RATE
        assert found.tolist() == samples(row // 24)[first : first + 5 * RATE].tolist()


def test_it_is_played(dataset, record_sounds):
    record_sounds([0])
    played = dataset.listen(3, speed=0.5)
    found, rate = soundfile.read(io.BytesIO(played.data), dtype="int16")
    assert rate == RATE // 2
    assert found.tolist() == samples(0)[1500:2000].tolist()


def test_a_recording_that_is_shorter(dataset, record_sounds, folder, catalog):
    record_sounds([0])
    path = folder / "short" / name_of(2)
    path.parent.mkdir(parents=True)
    soundfile.write(path, samples(2)[: 7 * RATE], RATE, subtype="PCM_16")
    source = Recordings(folder / "short", units=[{"unit": "arkaba", "file": "*.flac"}])
    with TiledWriter(catalog) as writer:
        for document in source.documents():
            writer(*document)
    assert len(dataset.sound(48)[0]) == 5 * RATE
    assert len(dataset.sound(49)[0]) == 2 * RATE
    with pytest.raises(InputError, match=r"has 7.0 s, and what is to be heard begins at 10.0 s"):
        dataset.sound(50)


def test_a_recording_that_is_not_there(dataset, record_sounds):
    with pytest.raises(NotFoundError, match=r"in none of the 0 deployments.*tilewright record wav"):
        dataset.listen(0)
    record_sounds([0])
    dataset.refresh()
    with pytest.raises(NotFoundError, match="in none of the 1 deployments"):
        dataset.listen(30)
    assert len(dataset.sound(0)[0])


def test_a_recording_that_is_there_twice(dataset, record_sounds):
    record_sounds([0], "one")
    record_sounds([0, 1], "two")
    with pytest.raises(InputError, match=r"may be each of these: .*of one, .*of two"):
        dataset.sound(0)
    assert len(dataset.sound(24)[0])
