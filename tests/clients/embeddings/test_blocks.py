"""Vectors of files: a vector's values are its row, so that none can come from a wrong place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.clients.embeddings import blocks
from tilewright.clients.embeddings.blocks import Maps, Part, blocks_of
from tilewright.clients.embeddings.searching import nearest
from tilewright.errors import InputError

DIMENSION = 3
FOREIGN = b"\xff"


def vectors_of(rows, dtype):
    """Return what the rows hold: row, row + 1/4, row + 1/2."""
    return (np.asarray(rows)[:, None] + np.arange(DIMENSION) / 4).astype(dtype)


def write(path, first_row, pieces, dtype="<f4"):
    """Write vectors in pieces, each behind so many foreign bytes; return the part."""
    offsets, row = [], first_row
    with path.open("wb") as file:
        for gap, count in pieces:
            file.write(FOREIGN * gap)
            offsets.append(file.tell())
            file.write(vectors_of(np.arange(row, row + count), dtype).tobytes())
            row += count
    counts = np.array([count for _, count in pieces], np.int64)
    return Part(path, first_row, np.array(offsets, np.int64), counts, np.dtype(dtype))


def gathered(parts, rows=None, maps=None, **kwargs):
    """Return rows and vectors of all blocks, each copied before the next one is asked for."""
    found = []
    for first, vectors in blocks_of(parts, DIMENSION, maps or Maps(), rows=rows, **kwargs):
        assert vectors.flags.aligned
        assert vectors.flags.c_contiguous
        numbers = first + np.arange(len(vectors)) if np.ndim(first) == 0 else first
        assert len(numbers) == len(vectors)
        assert (vectors == vectors_of(numbers, vectors.dtype)).all()
        found.append(numbers)
    return np.concatenate([np.empty(0, np.int64), *found])


PIECES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=8)


@settings(deadline=None)
@given(
    files=st.lists(st.tuples(PIECES, st.sampled_from(["<f4", "<f2"]), st.integers(0, 5)), max_size=4),
    kept=st.none() | st.floats(0, 1),
    seed=st.integers(0, 1000),
    block_bytes=st.sampled_from([1, 24, 100, 1 << 20]),
    view_bytes=st.sampled_from([1, 36, 1 << 20]),
)
def test_every_row_that_is_wanted_once(tmp_path_factory, files, kept, seed, block_bytes, view_bytes):
    folder = tmp_path_factory.mktemp("files")
    parts, there, row = [], [], 0
    for number, (pieces, dtype, unknown) in enumerate(files):
        row += unknown
        parts.append(write(folder / str(number), row, pieces, dtype))
        count = int(parts[-1].counts.sum())
        there.append(np.arange(row, row + count))
        row += count
    there = np.concatenate([np.empty(0, np.int64), *there])
    wanted = there
    if kept is not None:
        wanted = there[np.random.default_rng(seed).random(len(there)) < kept]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_VIEW_BYTES", view_bytes)
        patch.setattr(blocks, "_LONGEST_VIEW", 60)
        rows = gathered(parts, None if kept is None else wanted, block_bytes=block_bytes)
    assert sorted(rows.tolist()) == wanted.tolist()


def test_a_long_run_is_a_view_and_nothing_is_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "_VIEW_BYTES", 10 * 4 * DIMENSION)
    part = write(tmp_path / "a", 5, [(4, 100)])
    ((first, vectors),) = blocks_of([part], DIMENSION, Maps())
    assert (first, vectors.shape) == (5, (100, DIMENSION))
    assert not vectors.flags.writeable
    rows = np.concatenate([np.arange(10, 40), np.arange(50, 90, 9)])
    (first, view), (others, copied) = blocks_of([part], DIMENSION, Maps(), rows=rows)
    assert (first, len(view)) == (10, 30)
    assert others.tolist() == [50, 59, 68, 77, 86]
    assert copied.flags.writeable


def test_small_pieces_of_many_files_share_a_block(tmp_path):
    parts = [write(tmp_path / str(number), number * 10, [(3, 4), (1, 6)]) for number in range(20)]
    sizes = [len(rows) for rows, _ in blocks_of(parts, DIMENSION, Maps(), block_bytes=1200)]
    assert sizes == [100, 100]


def test_only_files_that_are_wanted_are_opened(tmp_path):
    parts = [write(tmp_path / "a", 0, [(0, 10)]), Part.whole(tmp_path / "absent", 10, 0, 10, np.dtype("<f4"))]
    assert gathered(parts, np.array([3, 7])).tolist() == [3, 7]
    with pytest.raises(FileNotFoundError):
        gathered(parts, np.array([3, 12]))


def test_the_same_neighbours_from_odd_bytes_and_in_memory(tmp_path):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((5000, 16), dtype=np.float32)
    offsets, path = [], tmp_path / "records"
    with path.open("wb") as file:
        for number in range(0, 5000, 10):
            file.write(FOREIGN * (7 + number % 3))
            offsets.append(file.tell())
            file.write(vectors[number : number + 10].tobytes())
    part = Part(path, 0, np.array(offsets), np.full(500, 10), np.dtype("<f4"))
    rows = np.flatnonzero(rng.random(5000) < 0.3)
    maps = Maps()
    for wanted in (None, rows):
        expected = nearest(
            [(0, vectors)] if wanted is None else [(rows, vectors[rows])], vectors[:3], 9, "cosine"
        )
        found = nearest(blocks_of([part], 16, maps, rows=wanted, block_bytes=5000), vectors[:3], 9, "cosine")
        assert found.rows.tolist() == expected.rows.tolist()
        assert found.scores.tolist() == expected.scores.tolist()


@pytest.mark.parametrize("lost", [1, 12, 10_000])
def test_a_file_that_was_cut(tmp_path, lost):
    part = write(tmp_path / "a", 0, [(0, 10), (1, 10)])
    content = part.path.read_bytes()
    part.path.write_bytes(content[: max(1, len(content) - lost)])
    with pytest.raises(InputError, match="it was cut"):
        gathered([part])
    part.path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        gathered([part])


def test_a_piece_that_is_nowhere(tmp_path):
    part = write(tmp_path / "a", 0, [(0, 10)])
    with pytest.raises(InputError, match="bytes -1 to"):
        gathered([Part(part.path, 0, np.array([-1]), np.array([10]), part.dtype)])


def test_maps_stay_open_until_others_were_used_more_lately(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode())
    maps = Maps(2)
    a, b = maps.open(paths[0]), maps.open(paths[1])
    assert maps.open(paths[0]) is a
    maps.open(paths[2])  # instead of b
    assert maps.open(paths[0]) is a
    assert maps.open(paths[1]) is not b
    assert b[:] == b"b"


def test_a_file_that_was_replaced_is_mapped_anew(tmp_path):
    maps = Maps()
    part = write(tmp_path / "a", 0, [(0, 10)])
    assert gathered([part], maps=maps).tolist() == list(range(10))
    other = write(tmp_path / "b", 0, [(5, 20)])
    other.path.replace(part.path)
    replaced = Part(Path(part.path), 0, other.offsets, other.counts, other.dtype)
    assert gathered([replaced], maps=maps).tolist() == list(range(20))
