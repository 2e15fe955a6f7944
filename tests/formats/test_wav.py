"""Samples of many files as one array: every index against numpy, and only the files that a slice touches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tiled.adapters.utils import DataNotReadyError
from tiled.ndslice import NDBlock, NDSlice
from tiled.structures.array import ArrayStructure

from tilewright.audio.facts import CHUNK_BYTES
from tilewright.errors import InputError
from tilewright.formats import registry, wav
from tilewright.formats.ranges import RANGES, Places, Ranges, expanded
from tilewright.formats.wav import AudioAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LENGTHS = (5, 3, 3, 3, 40, 1, 1, 7)
KINDS = [
    ("WAV", "PCM_16", "i2", 1),
    ("WAV", "PCM_24", "i4", 2),
    ("WAV", "FLOAT", "f4", 3),
    ("FLAC", "PCM_16", "i2", 2),
    ("WAV", "PCM_U8", "i1", 1),
]


def told(lengths: Sequence[int]) -> list[list[int]]:
    ranges, first = Ranges(), 0
    for file, length in enumerate(lengths):
        ranges.add(file, first, first + length)
        first += length
    return ranges.told()


@st.composite
def places(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Files' parts in order, as pairs of file and sample, and how the property tells them."""
    parts = draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=8)
    )
    ranges = [[file, start, start + length] for file, (start, length, _) in enumerate(parts)]
    repeated = [[*one, count] for one, (_, _, count) in zip(ranges, parts, strict=True)]
    shifted, at = [], 0
    for _, start, stop, count in repeated:
        shifted.append([at, start, stop, count])
        at += count
    flat = [(file, sample) for file, start, stop in expanded(shifted) for sample in range(start, stop)]
    return flat, shifted


@given(places(), st.integers(0, 40), st.integers(0, 60))
def test_every_sample_is_found_where_it_is(case: Any, start: int, stop: int) -> None:
    flat, ranges = case
    found = [
        (file, sample)
        for file, first, last in Places(ranges).parts(start, stop)
        for sample in range(first, last)
    ]
    assert found == flat[start:stop]
    files = {file for file, _ in flat[start:stop]}
    assert set(Places(ranges).files(start, stop)) == files


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """An array in files, the adapter's data source of it, and its samples."""
    container, subtype, dtype, channels = request.param
    folder = tmp_path_factory.mktemp("recording")
    numbers = np.arange(sum(LENGTHS) * channels).reshape(-1, channels)
    samples = (numbers << 8 if dtype == "i4" else numbers).astype(dtype)
    files, first = [], 0
    for number, length in enumerate(LENGTHS):
        path = folder / f"{number}"
        part = samples[first : first + length]
        soundfile.write(
            path, part.astype("i2") << 8 if dtype == "i1" else part, 8000, subtype, format=container
        )
        files.append(path)
        first += length
    whole = samples[:, 0] if channels == 1 else samples
    structure = ArrayStructure.from_array(
        whole, chunks=((20, 20, whole.shape[0] - 40), *((n,) for n in whole.shape[1:]))
    )
    source = SimpleNamespace(
        structure=structure,
        properties={RANGES: told(LENGTHS)},
        assets=[SimpleNamespace(data_uri=f"file://localhost{path}", parameter="data_uris") for path in files],
    )
    return source, files, whole


NODE = SimpleNamespace(metadata_={"rate": 8000}, specs=[])
PARTS = st.one_of(
    st.integers(-70, 70),
    st.slices(63),
    st.builds(slice, st.integers(-70, 70), st.integers(-70, 70), st.sampled_from([1, 2, 3, 7, 30, -1, -5])),
)


@given(data=st.data())
def test_every_index_is_numpys(recording: tuple[Any, ...], data: st.DataObject) -> None:
    source, _, whole = recording
    more = [st.one_of(st.integers(-1, 0), st.slices(whole.shape[1]))] if whole.ndim > 1 else []
    index = data.draw(st.tuples(PARTS, *more[: data.draw(st.integers(0, len(more)))]))
    if data.draw(st.booleans()):
        index = (*index, ...) if data.draw(st.booleans()) or len(index) < whole.ndim else (..., *index)
    adapter = AudioAdapter.from_catalog(source, NODE)
    try:
        expected = whole[index]
    except IndexError:
        with pytest.raises(IndexError):
            adapter.read(NDSlice(*index))
        return
    got = adapter.read(NDSlice(*index))
    assert got.dtype == whole.dtype
    np.testing.assert_array_equal(got, expected)
    # The same from those files only that are said to be touched
    touched = AudioAdapter.file_indices_for_slice(
        source.structure, len(LENGTHS), NDSlice(*index), properties=source.properties
    )
    assert touched is not None
    uris = [asset.data_uri if number in touched else None for number, asset in enumerate(source.assets)]
    np.testing.assert_array_equal(
        AudioAdapter.from_catalog(source, NODE, data_uris=uris).read(NDSlice(*index)), expected
    )


def test_all_of_it_and_its_chunks(recording: tuple[Any, ...]) -> None:
    source, _, whole = recording
    adapter = AudioAdapter.from_catalog(source, NODE)
    np.testing.assert_array_equal(adapter.read(), whole)
    block = (1,) + (0,) * (whole.ndim - 1)
    np.testing.assert_array_equal(adapter.read_block(NDBlock(*block)), whole[20:40])
    np.testing.assert_array_equal(adapter.read_block(NDBlock(*block), NDSlice(slice(3, 5))), whole[23:25])
    assert adapter.metadata() == {"rate": 8000}
    assert adapter.structure() is source.structure


def test_only_what_a_slice_touches_is_opened(
    recording: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, files, whole = recording
    opened = []
    monkeypatch.setattr(wav, "facts_of", lambda path: opened.append(path) or wav.probe(path))
    np.testing.assert_array_equal(
        AudioAdapter.from_catalog(source, NODE).read(NDSlice(slice(7, 12))), whole[7:12]
    )
    assert opened == files[1:4]


def test_a_file_that_lacks_samples_may_be_asked_for_later(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.arange(5, dtype="i2"), 8000)
    structure = ArrayStructure.from_array(np.arange(10, dtype="i2"))
    asset = SimpleNamespace(data_uri=f"file://localhost{path}", parameter="data_uris")
    adapter = AudioAdapter.from_catalog(
        SimpleNamespace(structure=structure, properties={}, assets=[asset]), NODE
    )
    assert adapter.read(NDSlice(slice(0, 5))).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(DataNotReadyError, match=r"x\.wav has 5 samples of 6 that are promised"):
        adapter.read(NDSlice(slice(3, 6)))
    soundfile.write(path, np.arange(10, dtype="i2"), 8000)  # now they are there
    assert adapter.read(NDSlice(slice(3, 6))).tolist() == [3, 4, 5]
    soundfile.write(path, np.zeros((10, 2), dtype="i2"), 8000)
    with pytest.raises(ValueError, match=r"x\.wav holds int16 of shape \(10, 2\), declared is int16"):
        adapter.read(NDSlice(slice(3, 6)))
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"x\.wav is empty"):
        adapter.read(NDSlice(slice(3, 6)))


def resource(number: int, **more: Any) -> dict[str, Any]:
    uri = f"file://localhost/data/{number}.wav"
    parameters = {"rate": 192_000, **more}
    return {
        "uid": f"r{number}",
        "data_key": "audio",
        "mimetype": "audio/wav",
        "uri": uri,
        "parameters": parameters,
    }


def datum(number: int, start: int, stop: int) -> dict[str, Any]:
    seq_nums = {"start": number + 1, "stop": number + 2}
    indices = {"start": start, "stop": stop}
    return {"uid": f"r{number}/0", "stream_resource": f"r{number}", "indices": indices, "seq_nums": seq_nums}


def test_what_documents_make() -> None:
    descriptor = {"data_keys": {"audio": {"dtype": "array", "shape": [2], "dtype_numpy": "<i4"}}}
    array = registry.open_array(resource(0), descriptor)
    for number in range(10_000):
        if number:
            array.add_resource(resource(number))
        array.add_datum(datum(number, number * 1000, number * 1000 + 1000))
    array.add_resource(resource(10_000))
    array.add_datum(datum(10_000, 10_000_000, 10_000_007))
    source = array.data_source()
    assert source.structure["shape"] == [10_000_007, 2]
    each = CHUNK_BYTES // 8
    assert source.structure["chunks"] == [[each, 10_000_007 - each], [2]]
    assert source.properties == {RANGES: [[0, 0, 1000, 10_000], [10_000, 0, 7]]}
    assert array.metadata == {"rate": 192_000}
    assert array.notes == []
    assert len(array.assets) == 10_001


def test_files_of_other_chunks_do_not_go_on() -> None:
    descriptor = {"data_keys": {"audio": {"dtype": "number", "shape": [], "dtype_numpy": "<i2"}}}
    array = registry.open_array(resource(0, chunk_shape=[10]), descriptor)
    with pytest.raises(InputError, match="chunk_shape"):
        array.add_resource(resource(1, chunk_shape=[11]))


def test_measuring(tmp_path: Path, recording: tuple[Any, ...]) -> None:
    source, files, whole = recording
    facts = wav.measure(files[4], source)
    assert (facts.shape, facts.dtype, facts.chunks) == ((40, *whole.shape[1:]), whole.dtype, None)
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"x\.wav"):
        wav.measure(tmp_path / "x.wav", source)
