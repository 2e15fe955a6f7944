"""An image sequence, a file and a StreamDatum for each picture: what one more file costs when there are n already.

Real TIFF files (16 x 16, 16 bits), and the documents that ophyd-async's detectors emit. When n files are registered and
nothing is under way, so many more are announced, one StreamDatum each, and the time runs until the server has them all:
`flush()` of ours, the call itself of the peers, whose `batch_size` is 1, as their documentation recommends for what is to
be seen live. Divided by the number of files that is the cost of one, and its reciprocal the rate of files that can be kept
up with. Tilewright gets 100 files so, because what has gathered goes out in one request, as it does at a detector's pace;
for a peer, which sends a request a file, the number makes no difference, and it gets 5. What a lone file waits in the
0.2 s rhythm of the delivery is not in it: that is the waiting time which `live` measures.

Each n has a run of its own. On the way to it, Tilewright gets one StreamDatum a file as well; the peers get one StreamDatum for all of them, or they
would take hours. They are not asked beyond 1,000 files.
After each step the server is asked for the array's length and the pixels of its last picture, outside the time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.cases import MARKS
from bench.documents import CAMERA, PICTURE, Sequence, run, write_files
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.reader import Reader
from bench.writers import LIVE_WRITERS, Place, Writer

if TYPE_CHECKING:
    from pathlib import Path

BURST, PEER_BURST = 100, 5
PEER_MOST = 1_000
"""Files up to which the peers are asked."""
MILLI = 1e3


def measure(name: str, place: Place, folder: Path, marks: list[int]) -> Figures:
    """Return milliseconds a file."""
    with LIVE_WRITERS[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        return {f"images-{mark}": _record(name, write, Sequence(folder), place, mark) for mark in marks}


def _record(name: str, write: Writer, sequence: Sequence, place: Place, there: int) -> float:
    """Record a run of some more files than so many; return the milliseconds that each of those more took."""
    for document in sequence.opening:
        write(*document)
    if name == OURS:
        _announce(write, sequence, 0, there)
    else:
        write(*sequence.datum(0, there))
    more = BURST if name == OURS else PEER_BURST
    began = time.perf_counter()
    _announce(write, sequence, there, there + more)
    seconds = time.perf_counter() - began
    reader = Reader.at(place.uri)
    found = reader.files(sequence.uid, CAMERA)
    assert found == there + more, f"{found} files of {there + more}"
    assert reader.picture(sequence.uid, CAMERA, found - 1) == PICTURE.tobytes()
    write(*sequence.stop())
    return seconds / more * MILLI


def _announce(write: Writer, sequence: Sequence, start: int, stop: int) -> None:
    """Tell of files one by one, and wait until the server knows them."""
    for number in range(start, stop):
        write(*sequence.datum(number, number + 1))
    if hasattr(write, "flush"):
        assert write.flush(), "files were refused"


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, LIVE_WRITERS)
    most = options.size(MARKS[-1], least=MARKS[0])
    marks = {name: [mark for mark in MARKS if mark <= _most(name, most)] for name in options.names}
    with served() as place:
        folder = place.folder / "pictures"
        write_files(folder, most + BURST)
        results = in_turn(options, lambda name: alone(measure, name, place, folder, marks[name]))
        show(lines(results, {name: f"up to {marks[name][-1]:,} files" for name in results}))


def _most(name: str, most: int) -> int:
    return most if name == OURS else min(most, PEER_MOST)


if __name__ == "__main__":
    main()
