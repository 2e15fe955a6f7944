"""Registering many files at once: one StreamDatum for all of them, or one for each in one burst.

From the first document until the stop document's call has returned and the server says that the array has them all. Each
writer has its defaults; the peers' `batch_size` of 10,000 is what their documentation recommends here. They get
10,000 files, because 50,000 take them minutes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.documents import CAMERA, PICTURE, Sequence, run, write_files
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.reader import Reader
from bench.writers import WRITERS, Place

if TYPE_CHECKING:
    from pathlib import Path

FILES, PEER_FILES = 50_000, 10_000
MILLI = 1e3


def measure(name: str, place: Place, folder: Path, files: int) -> Figures:
    """Return milliseconds a file."""
    return {
        "register-one": record(name, place, folder, files, step=files),
        "register-burst": record(name, place, folder, files, step=1),
    }


def record(name: str, place: Place, folder: Path, files: int, step: int) -> float:
    """Return the milliseconds a file, where each StreamDatum has so many files."""
    sequence, reader = Sequence(folder), Reader.at(place.uri)
    data = [sequence.datum(start, start + step) for start in range(0, files, step)]
    documents = [*sequence.opening, *data, sequence.stop()]
    with WRITERS[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        began = time.perf_counter()
        for document in documents:
            write(*document)
        if hasattr(write, "flush"):
            assert write.flush(), "files were refused"
        found = reader.files(sequence.uid, CAMERA)
        seconds = time.perf_counter() - began
    assert found == files, f"{found} files of {files}"
    assert reader.picture(sequence.uid, CAMERA, files - 1) == PICTURE.tobytes()
    return seconds / files * MILLI


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    files = {name: options.size(FILES if name == OURS else PEER_FILES, least=2) for name in options.names}
    with served() as place:
        folder = place.folder / "pictures"
        write_files(folder, max(files.values()))
        results = in_turn(options, lambda name: alone(measure, name, place, folder, files[name]))
        show(lines(results, {name: f"{files[name]:,} files" for name in results}))


if __name__ == "__main__":
    main()
