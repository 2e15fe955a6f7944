"""Arrays of files as a user meets them: what they say of themselves, what a slice fetches, what is told before."""

import math
import os
import pickle
import pty
import re
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from dataclasses import replace

import dask.array
import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from tiled.client import from_uri
from tiled.client.array import ArrayClient

from tilewright import TiledWriter, open_catalog, serve
from tilewright.clients import Array, DaskArray, arrays
from tilewright.clients.progress import announced
from tilewright.errors import InputError
from tilewright.testing.documents import run_with_files

FRAMES, SHAPE = 24, (6, 5)
NUMBERS = np.arange(FRAMES * 30, dtype="<u2").reshape(FRAMES, *SHAPE)
"""Each pixel's value is its place."""


def camera_run(uid, uri, mimetype, **parameters):
    return run_with_files(uid=uid, uri=uri, mimetype=mimetype, frames=FRAMES, shape=SHAPE, **parameters)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def uri(folder):
    """A server with a run of TIFF files, and one of an HDF5 file with chunks of four frames."""
    place = folder / "tiff"
    place.mkdir()
    for number, frame in enumerate(NUMBERS):
        tifffile.imwrite(place / f"{number}.tiff", frame)
    with h5py.File(folder / "one.h5", "w") as file:
        file.create_dataset("data", data=NUMBERS, chunks=(4, *SHAPE))
    runs = [
        camera_run(
            "tiff-run",
            f"file://localhost{place}/",
            "multipart/related;type=image/tiff",
            template="{:d}.tiff",
            chunk_shape=[1, *SHAPE],
            join_method="stack",
        ),
        camera_run(
            "hdf5-run",
            f"file://localhost{folder}/one.h5",
            "application/x-hdf5",
            dataset="/data",
            chunk_shape=[4],
        ),
    ]
    with serve(readable_storage=[folder], announce=False) as server:
        with TiledWriter(server, strict=True) as writer:
            for name, document in (pair for run in runs for pair in run):
                writer(name, document)
        yield server.uri


@pytest.fixture(scope="module")
def catalog(uri):
    with open_catalog(uri) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def dask_catalog(uri):
    with open_catalog(uri, structure_clients="dask") as catalog:
        yield catalog


@pytest.fixture(params=["tiff", "hdf5"])
def array(request, catalog):
    return catalog[f"{request.param}-run"]["primary"]["image"]


@pytest.fixture
def small(monkeypatch):
    """Have arrays of a kilobyte count as large, and pieces of two frames do."""
    monkeypatch.setattr(arrays, "LARGE", 1000)
    monkeypatch.setattr(arrays, "PIECE", 120)
    monkeypatch.setattr(DaskArray, "large", 1000)


@contextmanager
def noting(client):
    """Note which slice of an array each request is for; None for any other request."""
    seen, hooks = [], client.context.http_client.event_hooks

    def note(request):
        is_array = "/array/" in request.url.path
        seen.append(request.url.params.get("slice", "all") if is_array else None)

    client.context.http_client.event_hooks = {**hooks, "request": [*hooks["request"], note]}
    yield seen
    client.context.http_client.event_hooks = hooks


def test_it_says_what_it_is_without_a_request(catalog):
    tiff, hdf5 = (catalog[f"{kind}-run"]["primary"]["image"] for kind in ("tiff", "hdf5"))
    with noting(catalog) as requests:
        assert repr(tiff) == (
            "<Array 'image' of stream 'primary' of run tiff-run: (24, 6, 5) uint16, 1.4 KiB in 24 chunks of (1, 6, 5), "
            "dims: time, y, x>"
        )
        assert "6 chunks of (4, 6, 5)" in repr(hdf5)
        assert "uint16" in tiff._repr_html_()
        facts = (len(tiff), tiff.shape, tiff.ndim, tiff.dtype, tiff.nbytes, tiff.size, tiff.dims)
        assert facts == (24, (24, 6, 5), 3, np.dtype("<u2"), 1440, 720, ("time", "y", "x"))
        assert hdf5.chunks == ((4,) * 6, (6,), (5,))
    assert requests == []


def test_it_takes_one_request_to_have_it(catalog):
    stream = catalog["tiff-run"]["primary"]
    with noting(catalog) as requests:
        assert isinstance(stream["image"], Array)
    assert requests == [None]


def test_it_is_ours_whoever_opened_the_catalog(uri, catalog, dask_catalog):
    client = from_uri(uri)
    assert isinstance(client["tiff-run"]["primary"]["image"], Array)
    assert isinstance(client["tiff-run/primary/image"], ArrayClient)  # Tiled's own way there
    client.context.close()
    assert isinstance(dict(catalog["tiff-run"]["primary"].items())["image"], Array)
    assert isinstance(catalog["tiff-run"]["primary"]["x0"], Array)
    lazy = dask_catalog["tiff-run"]["primary"]["image"]
    assert type(lazy) is DaskArray
    for given_back in (lazy.read(), lazy[1:3], lazy.read(np.s_[1:3, 2]), lazy[[1, 2]]):
        assert isinstance(given_back, dask.array.Array)
    np.testing.assert_array_equal(lazy.read(np.s_[1:3, 2]).compute(), NUMBERS[1:3, 2])
    np.testing.assert_array_equal(lazy[[1, 5]].compute(), NUMBERS[[1, 5]])
    np.testing.assert_array_equal(lazy.compute(), NUMBERS)
    np.testing.assert_array_equal(np.asarray(lazy), NUMBERS)


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        (3, "3,0:6:1,0:5:1"),
        (np.int64(3), "3,0:6:1,0:5:1"),
        (-1, "23,0:6:1,0:5:1"),
        (np.s_[2:5, :3], "2:5:1,0:3:1,0:5:1"),
        (np.s_[..., 4], "0:24:1,0:6:1,4"),
        (np.s_[20:3:-8], "4:21:8,0:6:1,0:5:1"),
        (np.s_[2, 3, 4], "2,3,4"),
        (np.s_[:], "0:24:1,0:6:1,0:5:1"),
    ],
    ids=str,
)
def test_a_slice_fetches_what_it_touches(array, key, asked):
    with noting(array) as requests:
        np.testing.assert_array_equal(array[key], NUMBERS[key])
        np.testing.assert_array_equal(array.read(key), NUMBERS[key])
    assert requests == [asked, asked]
    assert array.fetch_count(key) == 1


def test_an_empty_slice_asks_nothing(array):
    with noting(array) as requests:
        assert array[5:5].shape == (0, 6, 5)
        assert array.read(np.s_[3:1:1, 2]).shape == (0, 5)
    assert requests == []
    assert array.fetch_count(np.s_[5:5]) == 0


def test_a_slice_opens_no_other_file(uri, catalog, folder):
    """Of a run whose files are gone but for one, that one can still be read."""
    place = folder / "gone"
    place.mkdir()
    tifffile.imwrite(place / "7.tiff", NUMBERS[7])
    run = camera_run(
        "gone-run",
        f"file://localhost{place}/",
        "multipart/related;type=image/tiff",
        template="{:d}.tiff",
        chunk_shape=[1],
        join_method="stack",
    )
    with TiledWriter(uri, strict=True) as writer:
        for name, document in run:
            writer(name, document)
    stream = catalog["gone-run"]["primary"]
    np.testing.assert_array_equal(stream["image"][7], NUMBERS[7])
    np.testing.assert_array_equal(stream["image"].dask()[7, 2].compute(), NUMBERS[7, 2])
    np.testing.assert_array_equal(stream.read("image")["image"][7], NUMBERS[7])


def test_what_tiled_gives(array):
    plain = ArrayClient(array.context, item=array.item, structure_clients=array.structure_clients)
    for ours, theirs in ((array.read(), plain.read()), (array[2:4, 1], plain[2:4, 1]), (array[3], plain[3])):
        np.testing.assert_array_equal(ours, theirs, strict=True)
    np.testing.assert_array_equal(np.asarray(array), NUMBERS, strict=True)
    np.testing.assert_array_equal(np.array(array, dtype=float), NUMBERS.astype(float), strict=True)
    np.testing.assert_array_equal(array.compute(), NUMBERS, strict=True)
    np.testing.assert_array_equal(array.read_block((1, 0, 0)), plain.read_block((1, 0, 0)), strict=True)
    assert [int(frame[0, 0]) for frame in array] == NUMBERS[:, 0, 0].tolist()


@pytest.mark.parametrize(
    "key", [[1, 2], None, True, np.ones(24, bool), 1.5, np.s_[0.5:2], "x", (0, [1])], ids=repr
)
def test_what_it_takes_for_no_index(array, key):
    with pytest.raises(
        InputError, match=r"takes ints, slices and \.\.\. as an index, and no .*dask\(\) takes"
    ):
        array[key]


def test_past_the_end(array):
    for key in (24, -25, (0, 6), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            array[key]


def test_dask_asks_for_the_slice_it_needs(array, small):
    lazy = array.dask()
    assert lazy.chunks[0] == ((2,) * 12 if array.chunks[0][0] == 1 else (4,) * 6)
    with noting(array) as requests:
        np.testing.assert_array_equal(lazy[9, 1:3].compute(), NUMBERS[9, 1:3])
    (asked,) = requests
    assert asked.endswith(",1:3:1,0:5:1")
    np.testing.assert_array_equal(lazy[[1, 9, 2]][:, [0, 4]].compute(), NUMBERS[[1, 9, 2]][:, [0, 4]])
    np.testing.assert_array_equal(lazy[lazy[:, 0, 0] > 300].compute(), NUMBERS[10 + 1 :])
    np.testing.assert_array_equal(lazy.compute(), NUMBERS)


def test_what_dask_may_hand_on(array):
    """Not all of its versions take lists apart themselves."""
    source = arrays._Source(array)
    for key in (np.s_[3:9, [4, 1]], ([5, 2], 3), np.s_[[7], ::2], np.s_[np.array([], int)], 4):
        np.testing.assert_array_equal(source[key], NUMBERS[key])


def test_dask_arrays_of_one_array_are_not_taken_for_each_other(array):
    one, other = array.dask(), array.dask()
    assert one.name != other.name
    assert int((one[3] - other[2]).sum().compute()) == 30 * 30


def test_dask_arrays_can_go_to_another_process(array):
    source = pickle.loads(pickle.dumps(arrays._Source(array)))
    np.testing.assert_array_equal(source[2:4], NUMBERS[2:4])
    source.client.context.close()
    assert pickle.dumps(array.dask())


@pytest.mark.parametrize(
    ("shape", "chunks", "expected"),
    [
        ((100, 2048, 2048), ((1,) * 100, (2048,), (2048,)), ((2,) * 50, (2048,), (2048,))),
        ((10, 4096, 4096), ((1,) * 10, (4096,), (4096,)), ((1,) * 10, (4096,), (4096,))),
        ((4, 512, 512), ((1,) * 4, (256,) * 2, (256,) * 2), ((4,), (512,), (512,))),
        ((2, 4096, 8192), ((1,) * 2, (1024,) * 4, (1024,) * 8), ((1,) * 2, (1024,) * 4, (8192,))),
        ((64, 2048, 2048), ((64,), (2048,), (2048,)), ((2,) * 32, (2048,), (2048,))),
    ],
)
def test_the_chunks_of_dask_are_whole_ones_of_the_files(array, shape, chunks, expected, monkeypatch):
    """Several together while they are small; only what is vast is cut."""
    for name, value in (("shape", shape), ("chunks", chunks), ("dtype", np.dtype("<u2"))):
        monkeypatch.setattr(Array, name, value)
    assert array._dask_chunks() == expected


def test_arrays_without_anything(array):
    array._structure = replace(array.structure(), shape=(0, 6, 5), chunks=((0,), (6,), (5,)))
    assert array.read().shape == array.dask().compute().shape == (0, 6, 5)
    assert "(0, 6, 5) uint16, 0 bytes in 1 chunk" in repr(array)


def test_nothing_is_said_of_what_is_small(array, capfd):
    array.read()
    assert capfd.readouterr() == ("", "")


def test_what_is_large_is_told_first(array, small, capfd):
    with noting(array) as requests:
        np.testing.assert_array_equal(array.read(), NUMBERS, strict=True)
    chunks = "24 chunks of (1, 6, 5)" if array.chunks[0][0] == 1 else "6 chunks of (4, 6, 5)"
    assert capfd.readouterr() == ("", f"image of primary: 1.4 KiB in {chunks}\n")
    assert len(requests) == array.fetch_count() == (12 if array.chunks[0][0] == 1 else 6)
    np.testing.assert_array_equal(array[::-1, 1:], NUMBERS[::-1, 1:])
    assert capfd.readouterr().err == "part of image of primary: 1.2 KiB, shape (24, 5, 5)\n"
    np.testing.assert_array_equal(array[3], NUMBERS[3])
    np.testing.assert_array_equal(array.dask().compute(), NUMBERS)
    assert capfd.readouterr() == ("", "")


def test_from_when_on_it_is_told_can_be_said(array, capfd):
    array.large = 59
    array[3]
    assert capfd.readouterr().err == "part of image of primary: 60 bytes, shape (6, 5)\n"
    array.large = math.inf
    array.read()
    assert capfd.readouterr() == ("", "")


@given(data=st.data())
def test_pieces_come_to_their_places(catalog, data):
    """Whatever is asked for in however many pieces."""
    array = catalog[data.draw(st.sampled_from(["tiff-run", "hdf5-run"]))]["primary"]["image"]
    array.large = math.inf
    sizes = st.sampled_from([None, *range(-26, 27)])
    steps = st.sampled_from([None, -7, -3, -1, 1, 2, 5])
    key = tuple(
        data.draw(st.integers(0, size - 1) | st.builds(slice, sizes, sizes, steps)) for size in array.shape
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "LARGE", 0)
        patch.setattr(arrays, "PIECE", data.draw(st.integers(1, 400)))
        np.testing.assert_array_equal(array[key], NUMBERS[key], strict=True)


def test_an_error_in_the_middle_ends_it(array, small, monkeypatch):
    fetch = array._get_slice

    def fail(piece):
        if piece[0].start == 8:
            raise OSError("no such piece")
        return fetch(piece)

    monkeypatch.setattr(array, "_get_slice", fail)
    with pytest.raises(OSError, match="no such piece"):
        array.read()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tilewright-fetch")]


SCRIPT = """
import time
from tilewright import open_catalog
from tilewright.clients import arrays

arrays.LARGE, arrays.PIECE = 1000, 120
with open_catalog({uri!r}) as catalog:
    array = catalog["tiff-run"]["primary"]["image"]
    array.large, fetch = 1000, array._get_slice
    array._get_slice = lambda piece: time.sleep({pause}) or fetch(piece)
    print("sum", array.read().sum())
"""


def on_a_terminal(script, *, interrupted):
    """Run a script whose output is a terminal; return how it ended and what was shown."""
    terminal, inside = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environment) as process:
        os.close(inside)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 1 << 16)
            except OSError:  # nobody writes to it any more
                break
            if interrupted and b"%" in shown:
                process.send_signal(signal.SIGINT)
                interrupted = False
    os.close(terminal)
    return process.returncode, shown.decode()


def test_a_bar_is_drawn_on_a_terminal(uri):
    status, shown = on_a_terminal(SCRIPT.format(uri=uri, pause=0.3), interrupted=False)
    assert status == 0, shown
    assert "image of primary: 1.4 KiB in 24 chunks of (1, 6, 5)" in shown
    assert set(re.findall(r"(\d+)%", shown)) - {"0", "100"}
    assert f"sum {NUMBERS.sum()}" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is shown again


def test_a_ctrl_c_leaves_the_terminal_sound(uri):
    status, shown = on_a_terminal(SCRIPT.format(uri=uri, pause=0.5), interrupted=True)
    assert status == -signal.SIGINT, shown
    assert "KeyboardInterrupt" in shown
    assert "sum" not in shown.splitlines()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_where_there_is_no_terminal_the_sentence_is_all(capfd):
    with announced("[bold]image[/bold] of primary", 2) as advance:
        advance()
        advance()
    assert capfd.readouterr() == ("", "[bold]image[/bold] of primary\n")


# In a process of its own: the kernel's client leaves sockets and an event loop to the end of the process.
EXECUTE = """
import sys
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

notebook = new_notebook(cells=[new_code_cell(source) for source in sys.argv[1:]])
NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
print(notebook.cells[0].outputs)
"""


@pytest.mark.slow
def test_a_bar_is_drawn_in_a_notebook():
    begin = """
        from tilewright.clients.progress import announced
        context = announced("image <of> primary", 4)
        advance = context.__enter__()
        advance()
    """
    end = "context.__exit__(None, None, None)"
    shown = [
        subprocess.run(
            [sys.executable, "-c", EXECUTE, *map(textwrap.dedent, cells)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for cells in ([begin], [begin, end])
    ]
    assert ["image &lt;of&gt; primary" in text for text in shown] == [True, True]
    assert ['<progress max="4" value="1">' in text for text in shown] == [True, False]
    assert "stderr" not in shown[0]
