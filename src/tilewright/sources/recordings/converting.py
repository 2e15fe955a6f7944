"""Recordings that are converted while they are recorded: files come in, their samples lie in a store a stream. `run_documents` calls it.

Each file is compared with what the store gives back before any document promises it. Which file is being written stands beside the
store, so that whoever carries on after a crash writes that one first, in its place.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.audio import probe, read
from tilewright.documents.resources import file_uri
from tilewright.errors import InputError
from tilewright.sources.recordings.stored import Form
from tilewright.sources.recordings.stores import STORES

if TYPE_CHECKING:
    import os

    from tilewright.sources.recordings.facts import Recorded, Shape
    from tilewright.sources.recordings.stored import StoredArray

_WRITING = ".writing"
"""End of the name of the file beside a store that says which recording is being written to it."""


class Conversion:
    """The stores of one run, a directory each, in a folder that has the run's uid in its name.

    Parameters
    ----------
    kind
        Such as `"zarr"`.
    folder
        Of the stores of all runs.
    deployment, run
        Its name, and the run's uid.
    """

    def __init__(self, kind: str, folder: Path, deployment: str, run: str) -> None:
        self._kind = kind
        self._store = STORES[kind]
        self._folder = folder / run
        self._about = {"deployment": deployment, "run": run}
        self._open: dict[str, StoredArray] = {}

    @property
    def mimetype(self) -> str:
        """Of the stores."""
        return self._store.mimetype

    def resource(self, stream: str, shape: Shape, rate: int) -> tuple[str, dict[str, Any]]:
        """Return the URI of a stream's store, and the parameters of its StreamResource."""
        form = Form.of(shape.dtype, shape.channels, rate)
        return file_uri("", str(self._path(stream))), self._store.parameters_of(form)

    def begun(self, stream: str) -> str | None:
        """Return the name of the file that was being written to a stream's store; None if none was."""
        try:
            return self._note(stream).read_text("utf-8")
        except FileNotFoundError:
            return None

    def write(self, stream: str, recorded: Recorded, first: int, rate: int) -> None:
        """Have the samples of a file in a stream's store, from an index on, and check that they are. May be repeated.

        Raises
        ------
        InputError
            If the file is not any longer what it was.
        SetupError
            If the disk does not take them, or gives others back.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._note(stream).write_text(recorded.found.name, "utf-8")
        store = self._opened(stream, recorded.shape, rate)
        facts = probe(recorded.found.place)
        if facts.frames != recorded.samples:
            raise InputError(f"{recorded.found.place} has changed while it was recorded; repeat the command")
        done = 0
        while done < recorded.samples:
            at = first + done
            count = min(recorded.samples - done, store.form.piece - at % store.form.piece)
            samples = read(recorded.found.place, done, done + count, facts)
            store.append(samples, at)
            store.check(at, samples)
            done += count

    def finish(self) -> None:
        """Take away the notes of what was being written: the documents have it all."""
        for stream in self._open:
            self._note(stream).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the stores; the run may be carried on."""
        with ExitStack() as ending:
            for store in self._open.values():
                ending.callback(store.close)
        self._open.clear()

    def _opened(self, stream: str, shape: Shape, rate: int) -> StoredArray:
        if stream not in self._open:
            about = {**self._about, "stream": stream}
            self._open[stream] = self._store.open(
                self._path(stream), shape.dtype, shape.channels, rate, about
            )
        return self._open[stream]

    def _path(self, stream: str) -> Path:
        return self._folder / f"{stream}.{self._kind}"

    def _note(self, stream: str) -> Path:
        return self._folder / f"{stream}{_WRITING}"


def store_folder(kind: str | None, path: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder of stores, made absolute; None if nothing is converted.

    Raises
    ------
    InputError
        If there is no such kind, or it is not said where.
    """
    if kind is None:
        return None
    if kind not in STORES:
        raise InputError(f"there is no store {kind!r}: expected {' or '.join(STORES)}")
    if path is None:
        raise InputError(f"say where the store is to be: store_path= (--store-path) beside store={kind!r}")
    return Path(path).expanduser().absolute()
