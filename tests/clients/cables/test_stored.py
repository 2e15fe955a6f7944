"""Samples by their index, from files that are here: each block is unpacked once, and a file that has changed is refused."""

import pickle
import threading
import time

import numpy as np
import pytest

from tilewright.clients.cables.decoded import Decoded
from tilewright.errors import InputError
from tilewright.testing.cables import samples_of, write_prodml, write_silixa, write_store, write_terra15


@pytest.mark.parametrize("kind", ["prodml", "silixa", "terra15", "zarr", "zarr by time", "one channel"])
def test_any_span_of_any_channels(record, folder, kind):
    channels = 1 if kind == "one channel" else 8
    if kind.startswith("zarr"):
        cable = record(write_store(folder / "x.zarr", count=3000, by_time=kind != "zarr"))
    else:
        write = {"silixa": write_silixa, "terra15": write_terra15}.get(kind, write_prodml)
        for number in range(3):
            write(folder / f"{number}.h5", 1000 * number, channels=channels)
        cable = record(folder)
    stored = pickle.loads(pickle.dumps(cable.stored()))  # as a worker gets it
    assert (stored.channels, stored.samples) == (channels, 3000)
    whole = samples_of(0, 3000, channels).T
    for start, stop in ((0, 3000), (999, 1001), (1000, 2000), (10, 11), (2500, 3000)):
        assert np.array_equal(stored.read(start, stop), whole[:, start:stop])
        assert np.array_equal(stored.between(start, stop).read(start, stop), whole[:, start:stop])
        if channels > 1:
            assert np.array_equal(stored.read(start, stop, slice(2, 7)), whole[2:7, start:stop])
    out = np.empty((channels, 20), stored.dtype)
    assert stored.read(990, 1010, out=out) is out
    assert np.array_equal(out, whole[:, 990:1010])


def test_files_that_are_here_are_read_without_dask(in_a_new_process, record, folder):
    uid = record(write_store(folder / "x.zarr", count=3000)).stored().stream.run_key
    assert in_a_new_process(f"catalog[{uid!r}].cable().stored().read(0, 10).shape") == ("(8, 10)", "False")


def test_a_file_that_was_written_again(record, folder):
    path = write_prodml(folder / "0.h5")
    stored = record(folder).stored()
    assert stored.read(0, 10)[0, 1] == 1000
    path.unlink()
    write_prodml(path, 5000)
    assert (
        stored.read(0, 10)[0, 1] == 5_001_000
    )  # other samples of the same form: nothing that was kept is given
    path.unlink()
    write_prodml(path, count=500)
    with pytest.raises(
        InputError, match=r"0\.h5 holds int32 of shape \(500, 8\), .* it has changed since it was recorded"
    ):
        stored.read(600, 700)
    path.unlink()
    assert path.name in str(stored.paths[0])
    write_prodml(path, channels=9)
    with pytest.raises(InputError, match="8 channels"):
        stored.read(0, 10)


def test_a_block_is_made_once_by_many_threads():
    decoded, made = Decoded(), []

    def make():
        made.append(threading.get_ident())
        time.sleep(0.05)
        return np.arange(3)

    threads = [threading.Thread(target=decoded.block, args=("a", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert decoded.block("a", make).tolist() == [0, 1, 2]


def test_blocks_beyond_the_limit_are_let_go_the_oldest_first():
    decoded, made = Decoded(most=2 * 800), []

    def block(name):
        return decoded.block(name, lambda: made.append(name) or np.zeros(100))

    for name in "abacab":
        block(name)
    assert made == ["a", "b", "c", "b"]  # when c came, b was the oldest


def test_what_fails_is_not_kept():
    decoded = Decoded()
    with pytest.raises(OSError, match="gone"):
        decoded.block("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert decoded.block("a", lambda: np.arange(2)).tolist() == [0, 1]
