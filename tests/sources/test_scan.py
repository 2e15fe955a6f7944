"""The files of a source: those of folders, those that are named, and directories that count as one file."""

import pytest

from tilewright.sources.scan import Places, scan, with_extension

STORE = "here"


@pytest.fixture
def folder(tmp_path):
    """Three files, one below; and stores, one of which is hidden, and one has a file of a wanted name."""
    for name in ("b.wav", "a.WAV", "below/c.wav", "notes.txt", "store/part.wav", ".store/part.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1234")
    for store in ("store", ".store"):
        (tmp_path / store / STORE).touch()
    return tmp_path


def names(*given, **options):
    return [found.name for found in scan(Places.of(given, with_extension(["wav"]), **options))]


def is_store(path):
    return (path / STORE).exists()


def test_a_store_is_one_file(folder):
    assert names(folder) == ["a.WAV", "b.wav", "below/c.wav", "store/part.wav"]
    assert names(folder, is_store=is_store) == ["a.WAV", "b.wav", "below/c.wav", "store"]
    assert names(folder / "store", is_store=is_store) == ["store"]
    assert names(folder / "store") == ["part.wav"]


def test_each_path_is_there_once(folder):
    given = [folder / "b.wav", folder, folder / "below", folder / "below" / ".." / "store"]
    assert names(*given, is_store=is_store) == ["a.WAV", "b.wav", "below/c.wav", "store"]


def test_what_went_away_is_not_there(folder):
    """Whether it was named, or its folder."""
    places = Places.of([folder / "b.wav", folder / "a.WAV", folder / "below"], with_extension(["wav"]))
    (folder / "b.wav").unlink()
    (folder / "below" / "c.wav").unlink()
    (folder / "below").rmdir()
    assert [found.name for found in scan(places)] == ["a.WAV"]
