"""A source of files comes in, its documents go into a catalog while a bar shows how far it is; `record`'s commands call this.

What was recorded before is carried on with; what is finished and has nothing new is left alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import typer

from tilewright.cli.common import counted, writable
from tilewright.cli.delivering import deliver, heed
from tilewright.clients.carrying_on import SoFar, so_far
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from tilewright.documents import Document

LISTED = 10
"""How many problems are printed; the run has them all."""
_HOUR = 3600


class Tally(Protocol):
    """What has been recorded of one kind of source, for the summary."""

    files: int
    """Those that were recorded."""
    rejected: int
    """What could not be recorded: files, or parts of them."""

    def add(self, stream: str, data: Mapping[str, Any]) -> None:
        """Count an event."""

    def add_page(self, stream: str, rows: int) -> None:
        """Count a page of events."""


@dataclass(slots=True)
class OfRecordings:
    """Files of units, and hours."""

    files: int = 0
    rejected: int = 0
    units: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, stream: str, data: Mapping[str, Any]) -> None:
        """Count an event."""
        if "samples" in data:
            self.files += 1
            self.units.add(stream)
            self.seconds += data["samples"] / data["rate"]
        elif "reason" in data:
            self.rejected += 1

    def add_page(self, stream: str, rows: int) -> None:
        """Count nothing: there are none."""

    def __str__(self) -> str:
        files, units = counted(self.files, "file"), counted(len(self.units), "unit")
        return f"{files} of {units}, {self.seconds / _HOUR:,.2f} h"


@dataclass(slots=True)
class OfEmbeddings:
    """Files of embeddings, and rows."""

    files: int = 0
    rejected: int = 0
    rows: int = 0

    def add(self, stream: str, data: Mapping[str, Any]) -> None:  # noqa: ARG002 - one stream has single events
        """Count a file."""
        self.files += 1
        self.rejected += data["rejections"]

    def add_page(self, stream: str, rows: int) -> None:
        """Count rows."""
        self.rows += rows * (stream == "embeddings")

    def __str__(self) -> str:
        return f"{counted(self.files, 'file')}, {counted(self.rows, 'embedding')}"


@dataclass(slots=True)
class OfCables:
    """Files of a cable, and how long they are."""

    files: int = 0
    rejected: int = 0
    seconds: float = 0.0

    def add(self, stream: str, data: Mapping[str, Any]) -> None:  # noqa: ARG002 - their keys tell them apart
        """Count an event."""
        if "samples" in data:
            self.files += 1
            self.seconds += data["samples"] * data["step_numerator"] / data["step_denominator"]
        else:
            self.rejected += 1

    def add_page(self, stream: str, rows: int) -> None:
        """Count nothing: there are none."""

    def __str__(self) -> str:
        is_long = self.seconds >= _HOUR
        span = f"{self.seconds / _HOUR:,.2f} h" if is_long else f"{self.seconds:,.2f} s"
        return f"{counted(self.files, 'file')}, {span}"


@dataclass(slots=True)
class OfTiles:
    """Pictures."""

    files: int = 0
    rejected: int = 0

    def add(self, stream: str, data: Mapping[str, Any]) -> None:  # noqa: ARG002 - there is one stream, of tiles
        """Count a tile."""
        self.files += 1

    def add_page(self, stream: str, rows: int) -> None:
        """Count nothing: there are none."""

    def __str__(self) -> str:
        return counted(self.files, "tile")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is said of a kind of source."""

    tally: Callable[[], Tally]
    looking: str
    """What is under way while the source tells its progress."""
    has_events: bool
    """Whether that is before its documents come, an event a file, which are shown by a bar of their own."""


RECORDINGS = Kind(OfRecordings, "looking at files", has_events=True)
EMBEDDINGS = Kind(OfEmbeddings, "reading records", has_events=False)
CABLES = Kind(OfCables, "looking at files", has_events=True)
TILES = Kind(OfTiles, "making tiles", has_events=False)


class Session:
    """One call of the command.

    Parameters
    ----------
    source
        Such as `Recordings`.
    kind
        What it is.
    stop
        Ends it.
    watch, finish
        Whether to go on until then, and whether the run is finished then.
    """

    def __init__(
        self, source: Any, kind: Kind, stop: threading.Event, *, watch: bool = False, finish: bool = False
    ) -> None:
        self._source = source
        self._kind = kind
        self._stop = stop
        self._watch = watch
        self._finish = finish
        self._all, self._new = kind.tally(), kind.tally()
        self._start: Mapping[str, Any] | None = None
        self._streams: dict[str, str] = {}
        """By descriptor."""
        self._so_far = SoFar()
        self._is_stopped = False
        self._failed: dict[str, str] = {}
        self._printed = 0
        """Problems that were printed."""

    def record(self, catalog: str, path_map: dict[str, str] | None) -> None:
        """Give the source's documents to a writer, and wait until the server has them.

        Raises
        ------
        KeyboardInterrupt
            If it is stopped and does not watch: journals and server are closed in good order first.
        TransientError
            If the server cannot be reached.
        """
        with writable(catalog, readable=self._source.readable) as target:
            self.record_into(target, path_map)

    def record_into(self, target: Any, path_map: dict[str, str] | None) -> None:
        """Do so with a server, or an address, of which the caller sees to it that it can read the files; raises the same."""
        from rich.console import Console  # noqa: PLC0415 - slow to import

        from tilewright.writer import TiledWriter  # noqa: PLC0415 - slow to import

        console = Console(stderr=True)
        writer = TiledWriter(target, on_stop="return", strict=True, path_map=path_map)
        try:
            with _bar(console) as progress:
                self._so_far = so_far(self._source, writer.journal, target)
                for name, doc in self._documents(progress):
                    writer(name, doc)
                deliver(writer, progress, threading.Event() if self._watch else self._stop)
            self._failed = writer.status().failed
        finally:
            writer.close(timeout=0)  # what still waits is in the journals

    def report(self) -> None:
        """Print what is odd, and one line of what was recorded.

        Raises
        ------
        Exit
            With status 1, if a file could not be recorded.
        InputError
            If the server refused the run.
        """
        self._print_problems()
        if (more := len(self._source.problems) - LISTED) > 0:
            typer.echo(f"… and {counted(more, 'problem')} more, all of them in the run", err=True)
        if self._failed:
            uid, reason = next(iter(self._failed.items()))
            raise InputError(f"run {uid}: {reason}")
        typer.echo(self._summary())
        if self._new.rejected:
            raise typer.Exit(1)

    def _documents(self, progress: Progress) -> Iterator[Document]:
        """Yield the documents, and show and count them."""
        task = progress.add_task(self._kind.looking, total=None)

        def looked(done: int, of: int) -> None:
            if not self._watch:
                heed(self._stop)
            progress.update(task, completed=done, total=of)

        self._source.progress = looked
        known, number = self._so_far.count, 0
        recording: TaskID | None = None
        for number, (name, doc) in enumerate(self._from_source(), start=1):
            if not self._watch:
                heed(self._stop)
            yield name, doc
            self._count(name, doc, is_new=number > known)
            if self._watch:  # for hours, maybe
                self._print_problems()
            if number <= known or name != "event" or not self._kind.has_events:
                continue
            if recording is None:
                total = None if self._watch else progress.tasks[task].total
                recording = progress.add_task("recording", total=total)
            progress.update(recording, completed=self._new.files + self._new.rejected)

    def _from_source(self) -> Iterator[Document]:
        before, earlier = self._so_far.before, self._so_far.earlier
        if not self._watch:
            yield from self._source.documents(before, earlier)
            return
        typer.echo(f"Watching {', '.join(map(str, self._source.readable))}. Stop it with Ctrl-C.", err=True)
        yield from self._source.watch(self._stop, before, earlier, finish=self._finish)

    def _count(self, name: str, doc: Mapping[str, Any], *, is_new: bool) -> None:
        if name == "start":
            self._start = doc
        elif name == "descriptor":
            self._streams[doc["uid"]] = doc["name"]
        elif name == "stop":
            self._is_stopped = True
        for tally in (self._all, self._new) if is_new else (self._all,):
            if name == "event":
                tally.add(self._streams[doc["descriptor"]], doc["data"])
            elif name == "event_page":
                tally.add_page(self._streams[doc["descriptor"]], len(doc["seq_num"]))

    def _print_problems(self) -> None:
        """Print the problems that were not printed, unless they are too many."""
        problems, first = self._source.problems, self._printed
        self._printed = len(problems)
        for problem in problems[first : max(first, LISTED)]:
            typer.echo(problem, err=True)

    def _summary(self) -> str:
        name = self._source.name
        if self._start is None:
            finished = [doc["uid"][:8] for kind, doc in self._so_far.earlier if kind == "start"]
            return (
                f"{name}: nothing new; run {', '.join(finished)} is finished"
                if finished
                else f"{name}: no files"
            )
        new = f" ({self._new.files:,} new)" if self._so_far.count else ""
        state = "finished" if self._is_stopped else "open, to be carried on"
        after = f", continues {self._start['continues'][:8]}" if "continues" in self._start else ""
        problems = counted(len(self._source.problems), "problem")
        return f"{name}: {self._all}{new}; run {self._start['uid'][:8]} is {state}{after}; {problems}"


def _bar(console: Console) -> Progress:
    """Return a bar with files, files a second and the time that is left; nothing is shown where it is no terminal."""
    from rich.progress import (  # noqa: PLC0415 - slow to import
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Any:
            return "" if task.speed is None else f"{task.speed:,.0f}/s"

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)
