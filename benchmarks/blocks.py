"""Blocks of sound: into the journal, and back by time from a folder and from a catalog, beside plain files.

A block is a second of 16 bits at 44.1 kHz. *Plain files* get the same bytes and promise the same: they are appended to one file, which a
thread puts on the disk once a second; and they are read by opening each file and reading it. Those of the folder are sparse but
for the ones that are read, and all of it is in the page cache.

    journal    from the iterator of blocks until the writer has taken the last one: in the kernel, and on the disk within a second
    folder     `AudioStore.fetch`, from two times to 10 s of samples, which lie in 11 blocks; 20,000 blocks in the folder
    catalog    the same through a server in a process of its own
    …-many     both, with an index of 2,000,000 blocks; what is there is as before
    listing    the paths of 20,000 blocks in a folder; and which of them are at a time, by the index
    live       blocks of 4,096 frames at the pace of their sound: how long after its last frame each can be read
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn, median_seconds
from bench.processes import served
from bench.writers import Place, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLAIN = "plain files"
RATE, BLOCKS, MANY = 44_100, 20_000, 2_000_000
BLOCK_BYTES = 2 * RATE
SESSION = 1_700_000_000_000
"""Milliseconds."""
FROM, SECONDS = 100, 10
"""Which blocks are read: from half way into this one on, so many seconds."""
LIVE_FRAMES, LIVE_BLOCKS = 4096, 200
REPEATS = 201
MILLI = 1e3


def milliseconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median of the milliseconds that a call takes."""
    return median_seconds(call, repeats) * MILLI


def block(number: int) -> bytes:
    """Return the bytes of a block, which say which it is."""
    return (np.arange(number * RATE, (number + 1) * RATE) % 32_749).astype("<i2").tobytes()


def span(first: int = FROM) -> tuple[np.datetime64, np.datetime64]:
    """Return the times of what is read, from block `first` on."""
    begin = np.datetime64(SESSION, "ms") + np.timedelta64(first * 1000 + 500, "ms")
    return begin, begin + np.timedelta64(SECONDS, "s")


def expected() -> np.ndarray[Any, Any]:
    """Return the samples that are read."""
    first = FROM * RATE + RATE // 2
    return (np.arange(first, first + SECONDS * RATE) % 32_749).astype("<i2")


def measure(name: str, place: Place, folder: Path, blocks: int) -> Figures:
    """Return the figures of one run."""
    if name == PLAIN:
        return {"blocks-journal": _appended(place, blocks), "blocks-folder": _read_plainly(folder)}
    return {
        "blocks-journal": _recorded(place, blocks),
        **_from_folder(folder, blocks),
        **_from_catalog(place, blocks),
        **_live(place),
    }


def _appended(place: Place, blocks: int) -> float:
    data, done = block(0), threading.Event()
    path = place.folder / "plain"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)

    def put_on_disk() -> None:
        while not done.wait(1.0):
            os.fdatasync(file)

    thread = threading.Thread(target=put_on_disk)
    thread.start()
    began = time.perf_counter()
    for _ in range(blocks):
        os.write(file, data)
    took = time.perf_counter() - began
    done.set()
    thread.join()
    os.close(file)
    path.unlink()
    return blocks / took


def _recorded(place: Place, blocks: int) -> float:
    """Return how many blocks a second the journal takes; nobody delivers them."""
    from tilewright.sources.blocks import Blocks, Pcm  # noqa: PLC0415 - each process imports what it measures

    data = block(0)
    stream = ((SESSION, number * BLOCK_BYTES, data) for number in range(blocks))
    with ours(place, deliver="elsewhere", on_stop="return") as write:
        began = time.perf_counter()
        for name, document in Blocks(stream, Pcm(RATE), unit="ms").documents():
            if name == "stop":  # which waits until the disk has all of it
                took = time.perf_counter() - began
            write(name, document)
        return blocks / took


def _read_plainly(folder: Path) -> float:
    names = [
        folder / str(SESSION) / f"{number * BLOCK_BYTES:014d}" for number in range(FROM, FROM + SECONDS + 1)
    ]
    paths = [str(name) for name in names]

    def read() -> None:
        for path in paths:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - the quickest way
                file.read()

    return milliseconds(read)


def _from_folder(folder: Path, blocks: int) -> Figures:
    from tilewright.stores import Blocks, audio_store  # noqa: PLC0415 - each process imports what it measures

    began = time.perf_counter()
    paths = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    listing = (time.perf_counter() - began) * MILLI
    assert len(paths) == blocks
    store = audio_store(folder, rate=RATE)
    np.testing.assert_array_equal(store.fetch(*span()).samples, expected())
    figures = {
        "blocks-folder": milliseconds(lambda: store.fetch(*span())),
        "blocks-listing": listing,
        "blocks-index": milliseconds(lambda: store.sessions(*span())),
    }
    offsets = np.arange(MANY) * BLOCK_BYTES
    many = Blocks(store.layout, np.full(MANY, SESSION), offsets, np.full(MANY, BLOCK_BYTES))
    store._sensors = {"": many}  # noqa: SLF001 - an index of blocks that are not there
    np.testing.assert_array_equal(store.fetch(*span()).samples, expected())
    return figures | {"blocks-folder-many": milliseconds(lambda: store.fetch(*span()))}


def _from_catalog(place: Place, blocks: int) -> Figures:
    from tilewright.stores import Blocks, audio_store  # noqa: PLC0415 - each process imports what it measures
    from tilewright.stores.tracks import Track  # noqa: PLC0415

    there = min(blocks, 2 * FROM)
    name = f"blocks {time.monotonic_ns()}"
    with audio_store(place.uri, rate=RATE, name=name) as store:
        for number in range(there):
            store[SESSION, number * BLOCK_BYTES] = block(number)
    with audio_store(place.uri, rate=RATE, name=name) as store:
        np.testing.assert_array_equal(store.fetch(*span()).samples, expected())
        figures = {"blocks-catalog": milliseconds(lambda: store.fetch(*span()), REPEATS // 4)}
        # As if the array had many more blocks, the same ones over and over.
        offsets = np.arange(MANY) * BLOCK_BYTES
        sessions, lengths = np.full(MANY, SESSION), np.full(MANY, BLOCK_BYTES)
        firsts = np.arange(MANY) % there * RATE
        tracks = {("", SESSION): Track(np.stack([offsets, lengths, firsts, np.zeros(MANY, np.int64)]))}
        store.source._tracks = tracks  # type: ignore[attr-defined]  # noqa: SLF001
        store._sensors = {"": Blocks(store.layout, sessions, offsets, lengths)}  # noqa: SLF001
        far = span(MANY // 2 // there * there + FROM)
        np.testing.assert_array_equal(store.fetch(*far).samples, expected())
        return figures | {"blocks-catalog-many": milliseconds(lambda: store.fetch(*far), REPEATS // 4)}


def _live(place: Place) -> Figures:
    """Return how long blocks wait, in seconds; a client in another thread asks again 20 ms after each answer how much there is."""
    from tilewright import open_catalog  # noqa: PLC0415 - each process imports what it measures
    from tilewright.errors import TilewrightError  # noqa: PLC0415
    from tilewright.sources.blocks import Blocks, Pcm  # noqa: PLC0415

    due: list[float] = []
    seen: list[float] = []
    uids: list[str] = []

    def sound() -> Iterator[tuple[float, int, bytes]]:
        began = time.time()
        data = block(0)[: 2 * LIVE_FRAMES]
        for number in range(LIVE_BLOCKS):
            when = began + (number + 1) * LIVE_FRAMES / RATE
            time.sleep(max(0.0, when - time.time()))
            due.append(when)
            yield began, number * 2 * LIVE_FRAMES, data

    def watch() -> None:
        stream: Any = None
        while len(seen) < LIVE_BLOCKS:
            time.sleep(0.02)
            try:
                stream = stream or runs[uids[-1]]["microphone"]
                count = stream["audio"].shape[0] // LIVE_FRAMES
            except (TilewrightError, LookupError):
                continue
            seen.extend([time.time()] * (count - len(seen)))

    with ours(place) as write, open_catalog(place.uri) as runs:
        first = [(time.time(), 0, block(0))]
        for document in Blocks(
            first, Pcm(RATE)
        ).documents():  # connections are open, and whoever delivers is up
            write(*document)
        assert runs[-1]["microphone"]["audio"].shape == (RATE,)
        thread = threading.Thread(target=watch)
        for name, document in Blocks(sound(), Pcm(RATE)).documents():
            write(name, document)
            if name == "start":
                uids.append(document["uid"])
                thread.start()
        thread.join()
    waits = [after - when for after, when in zip(seen, due, strict=True)]
    return {"blocks-live-median": statistics.median(waits), "blocks-live-worst": max(waits)}


def prepared(folder: Path, options: Options) -> int:
    """Write the folder's blocks; return how many they are."""
    blocks = options.size(BLOCKS, least=2 * FROM)
    session = folder / str(SESSION)
    session.mkdir(parents=True)
    for number in range(blocks):
        path = session / f"{number * BLOCK_BYTES:014d}"
        if FROM <= number <= FROM + SECONDS:
            path.write_bytes(block(number))
        else:
            with path.open("wb") as file:
                file.truncate(BLOCK_BYTES)
    return blocks


def main() -> None:
    """Measure both in turn, several times."""
    options = Options(__doc__, (OURS, PLAIN))
    with served() as place:
        folder = place.folder / "blocks"
        blocks = prepared(folder, options)
        results = in_turn(options, lambda name: alone(measure, name, place, folder, blocks))
        show(lines(results, dict.fromkeys(results, f"{blocks:,} blocks")))


if __name__ == "__main__":
    main()
