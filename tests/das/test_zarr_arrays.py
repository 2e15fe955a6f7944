"""Arrays of any version and codec are what Zarr reads; those of Blosc are unpacked into memory that numpy gave."""

import numcodecs
import numpy as np
import pytest
import zarr

from tilewright.das import open_zarr

VALUES = np.arange(70 * 50, dtype="<i4").reshape(70, 50)
VERSION_2 = [
    {"compressors": numcodecs.Blosc("lz4")},
    {"compressors": numcodecs.Zstd()},
    {"compressors": numcodecs.GZip()},
    {"compressors": numcodecs.LZ4(), "order": "F"},
    {"compressors": numcodecs.Blosc(), "filters": [numcodecs.Delta("<i4")]},
    {"compressors": None},
]
"""Options of arrays."""


def written(path, version, **options):
    array = zarr.create_array(
        path, shape=VALUES.shape, dtype=VALUES.dtype, chunks=(32, 32), zarr_format=version, **options
    )
    array[:] = VALUES
    return path


@pytest.mark.parametrize("options", VERSION_2, ids=str)
def test_version_2(options, tmp_path):
    array = open_zarr(written(tmp_path / "a", 2, **options))
    assert np.array_equal(array[:], VALUES)
    assert np.array_equal(array[5:40, 31:50], VALUES[5:40, 31:50])
    assert (array.shape, array.chunks, array.dtype) == (VALUES.shape, (32, 32), VALUES.dtype)


def test_version_3(tmp_path):
    assert np.array_equal(open_zarr(written(tmp_path / "a", 3))[:], VALUES)


def test_chunks_that_nobody_wrote(tmp_path):
    path = tmp_path / "a"
    zarr.create_array(
        path,
        shape=(9,),
        dtype="<f4",
        chunks=(4,),
        zarr_format=2,
        fill_value=7.0,
        compressors=numcodecs.Zstd(),
    )
    assert open_zarr(path)[:].tolist() == [7.0] * 9


def test_a_chunk_is_unpacked_into_memory_of_numpys(tmp_path):
    path = written(tmp_path / "a", 2, compressors=numcodecs.Blosc("lz4"))
    codec = open_zarr(path).metadata.compressor
    unpacked = codec.decode(np.frombuffer((path / "1.0").read_bytes(), np.uint8))
    assert isinstance(unpacked, np.ndarray)
    assert np.array_equal(unpacked.view("<i4").reshape(32, 32), VALUES[32:64, :32])


@pytest.mark.parametrize("damage", [b"", b"no chunk of this codec", "half"])
def test_a_damaged_chunk_is_an_error(damage, tmp_path):
    path = written(tmp_path / "a", 2, compressors=numcodecs.Blosc("lz4"))
    chunk = path / "0.0"
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2] if damage == "half" else damage)
    with pytest.raises((RuntimeError, ValueError)):
        open_zarr(path)[:5, :5]


@pytest.mark.parametrize("codec", [numcodecs.Blosc("lz4"), numcodecs.Zstd()])
@pytest.mark.parametrize("size", [40, 32 * 32 * 8])
def test_a_chunk_of_another_size_is_an_error(codec, size, tmp_path):
    path = written(tmp_path / "a", 2, compressors=codec)
    (path / "0.0").write_bytes(codec.encode(np.zeros(size, np.uint8)))
    with pytest.raises((RuntimeError, ValueError)):
        open_zarr(path)[:5, :5]


def test_there_is_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_zarr(tmp_path)
