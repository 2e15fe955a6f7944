"""A cable comes in, the documents of a run of pictures go out, and their files; `das_images` and `tilewright process das-images` call it.

    grids ─▶ tiles that are missing ─▶ tasks ─▶ pictures ─▶ files, and three documents each
    `grid`                             `workers`, `pictures`  `files`     `tile_documents`

The run is known by what is processed and how, so that the same job started again carries on: it makes the tiles that are missing, and
nothing if none is. Of an acquisition that still goes on it makes the tiles that are complete, and leaves its run open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.clients.recordings.moments import text, window
from tilewright.errors import InputError
from tilewright.processing.acquisition import stretches
from tilewright.processing.base import whole
from tilewright.processing.files import name_of, write_picture
from tilewright.processing.grid import Grid
from tilewright.processing.pictures import OWN_SCALE, Drawing, Scale, Task, drawn
from tilewright.processing.scales import measured, spread
from tilewright.processing.spans import Span
from tilewright.processing.tile_documents import NAMESPACE, About, TileDocuments, TileState
from tilewright.processing.tiles import Tiling, chunks_of
from tilewright.processing.workers import Threads, in_order
from tilewright.sources.composing import rebuilt, replayed, run_uid, states_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tilewright.clients.cables import Cable
    from tilewright.documents import Document
    from tilewright.processing.grid import Area
    from tilewright.processing.pictures import Picture
    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.workers import Workers

    Known = Mapping[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Tiles of a stretch that follow each other in time."""

    grid: Grid
    span: Span

    @property
    def tiles(self) -> int:
        """How many there are."""
        return len(self.span) * self.grid.columns

    def task(self, drawing: Drawing) -> Task:
        """Return what is to be done to make them."""
        return Task(drawing, self.grid.stretch.signal(self.grid.needed(self.span)), self.span)

    def one_by_one(self) -> list[Rows]:
        """Return each row by itself."""
        return [Rows(self.grid, span) for span in chunks_of(self.span, 1)]

    def __str__(self) -> str:
        first, last = self.grid.area(self.span.start, 0), self.grid.area(self.span.stop - 1, 0)
        return f"{text(first.start)} to {text(last.stop)}"


class DasImages:
    """Pictures of a cable's samples, as the documents of one run.

    Parameters
    ----------
    cable
        Whose samples are processed.
    pipeline
        What is done to them.
    folder
        Where the pictures are written; made if need be. The server reads them there.
    tile
        Seconds that a tile is long.
    parts
        Into how many tiles the cable is cut, side by side; the last one may be narrower.
    scale
        Which values are black and white: the same for all pictures; `OWN_SCALE` for each its own. None: as measured in tiles from all over
        the acquisition, before the first is made; the run tells it.
    time, distance
        Which of it, as of `Cable.select`: the tiles that touch such a time, the channels that are there. None for all.
    workers
        Who computes; None for threads of this process.
    at_once
        Tiles that follow each other in a task; None for about 15 s. Memory depends on it. Pictures do not, but where a rounding decides
        between two steps of grey.

    Raises
    ------
    InputError
        If the pipeline does not fit the cable, or nothing of it is meant.
    """

    def __init__(  # noqa: PLR0913 - what a job is
        self,
        cable: Cable,
        pipeline: Pipeline,
        folder: Path,
        *,
        tile: float = 15.0,
        parts: int = 10,
        scale: Scale | None = None,
        time: Any = None,
        distance: Any = None,
        workers: Workers | None = None,
        at_once: int | None = None,
    ) -> None:
        whole(parts, 1, "the number of tiles side by side")
        if at_once is not None:
            whole(at_once, 1, "the number of tiles a task")
        self._cable, self._pipeline, self._scale = cable, pipeline, scale
        self._folder = folder.absolute()
        self._workers = workers or Threads()
        self._channels = cable.channels(distance)
        self._window = None if time is None else window(time)
        self._is_over = cable.run.stop is not None
        self._grids = self._cut(float(tile), parts, distance)
        self._at_once = at_once or self._grids[0].tiling.at_once
        self._wanted = [self._wanted_of(grid) for grid in self._grids]
        if self._is_over and not self.tiles:
            raise InputError(f"nothing was recorded of {cable.name} in that time: see cable.files")
        self.problems: list[str] = []
        """What could not be made, a sentence each; the rest goes on."""
        self.progress: Callable[[int, int], None] = lambda _done, _all: None
        """Called with the number of tiles that there are, and of all."""

    @property
    def name(self) -> str:
        """What it is called."""
        return f"pictures of {self._cable.name}"

    @property
    def readable(self) -> list[Path]:
        """What the server has to be allowed to read."""
        return [self._folder]

    @property
    def tiles(self) -> int:
        """How many tiles there are to be, in all."""
        counts = (len(wanted) * grid.columns for grid, wanted in zip(self._grids, self._wanted, strict=True))
        return sum(counts)

    def uid(self, part: int = 1) -> str:
        """Return the uid of the run; or of that which has what so many finished ones lack."""
        scale = None if self._scale is None else [self._scale.low, self._scale.high]
        tiling = self._grids[0].tiling
        how = [self._pipeline.to_json(), [tiling.seconds, tiling.channels], scale]
        return run_uid(NAMESPACE, self._cable.run.uid, [json.dumps([*how, self._selection])], part)

    def rebuilt_from(self, stream: str) -> bool:  # noqa: ARG002 - of the one there is
        """Say whether what the catalog has of a stream is needed for `rebuilt`."""
        return True

    def rebuilt(
        self, start: Mapping[str, Any], streams: Any, stop: Mapping[str, Any] | None
    ) -> list[Document]:
        """Return the documents of a run out of what a catalog has of it: see `composing.rebuilt`."""
        return rebuilt(start, streams, stop)

    def documents(
        self, before: Iterable[Document] = (), earlier: Iterable[Document] = ()
    ) -> Iterator[Document]:
        """Yield the documents of the run, each tile's when its file is written.

        Parameters
        ----------
        before
            Those that there are of it: tiles in them whose files are there are not made again.
        earlier
            Those of the runs before it that are finished. It has what these lack; if that is nothing, there are no documents.

        Raises
        ------
        InputError
            If the pictures that there are lie in another folder.
        SetupError
            If the folder cannot be written to.
        """
        self.problems.clear()
        finished = states_of(earlier, TileState)
        in_metres = self._cable.facts.get("spacing") is not None
        run = TileDocuments(self.uid(len(finished) + 1), self._folder, in_metres=in_metres)
        yield from replayed(run.state, before, [])
        states = [state for state in (*finished, run.state) if state.start]
        self._check_folder(states)
        known = {key: file for state in states for key, file in state.files.items()}
        missing = list(self._missing(known))
        if missing:
            drawing = Drawing(self._pipeline, self._grids[0].tiling, self._scale_of(states))
            about = self._about(drawing, finished[-1].start["uid"] if finished else None)
            for area, picture in self._drawn(drawing, missing):
                file = known.get(area.key) or name_of(area)
                self._write(picture.png, file)
                if area.key not in known:
                    yield from run.start(about) if not run.state.start else ()
                    yield from run.add(area, picture.summary, file)
        if run.state.start and self._is_over and not self.problems:
            yield from run.stop()

    @property
    def _selection(self) -> dict[str, Any]:
        return {
            "channels": [self._channels.start, self._channels.stop],
            "time": None if self._window is None else list(self._window),
        }

    def _about(self, drawing: Drawing, continues: str | None) -> About:
        """Return what the start document tells."""
        began = self._grids[0].stretch.time(0)
        return About(began, drawing, self._cable.run.start, self._selection, continues)

    def _cut(self, seconds: float, parts: int, distance: Any) -> list[Grid]:
        """Return the tiles of each stretch."""
        if self._channels.start >= self._channels.stop:
            raise InputError(f"{self._cable.name} has no channels at distance={distance!r}: see cable.facts")
        found = [each for each in stretches(self._cable, self._channels) if each.shape.samples]
        if not found:
            raise InputError(f"nothing was recorded of {self._cable.name}")
        outputs = self._pipeline.shape(found[0].shape)
        tiling = Tiling(seconds, -(-outputs.channels // parts))
        distances = self._cable.distances
        return [Grid(each, self._pipeline, tiling, self._channels, distances) for each in found]

    def _wanted_of(self, grid: Grid) -> Span:
        """Return which tiles of a stretch are meant, in time; while the acquisition goes on, those that will not change, of whole tasks.

        A gap may be filled by a file that comes late: what reaches into it waits for the end.
        """
        rows = grid.rows(is_over=self._is_over)
        rows -= 0 if self._is_over else rows % self._at_once
        return Span(0, rows) if self._window is None else grid.between(*self._window, rows)

    def _check_folder(self, states: Sequence[TileState]) -> None:
        for state in states:
            if state.start["folder"] != str(self._folder):
                raise InputError(
                    f"run {state.start['uid'][:8]} has such pictures in {state.start['folder']}, not in {self._folder}: give that folder"
                )

    def _missing(self, known: Known) -> Iterator[Rows]:
        """Yield the tasks of which a tile is not there, or its file is gone."""
        for grid, wanted in zip(self._grids, self._wanted, strict=True):
            for span in chunks_of(wanted, self._at_once):
                if not all(self._is_whole(grid, row, known) for row in range(span.start, span.stop)):
                    yield Rows(grid, span)

    def _is_whole(self, grid: Grid, row: int, known: Known) -> bool:
        """Say whether all tiles of a row are there."""
        files = [known.get(grid.key(row, column)) for column in range(grid.columns)]
        return all(file is not None and (self._folder / file).is_file() for file in files)

    def _scale_of(self, states: Sequence[TileState]) -> Scale:
        """Return the scale of the tiles that there are; of the first ones, what was given, or is measured."""
        if states:
            return Scale(**states[0].start["scale"])
        if self._scale is not None:
            return self._scale
        drawing = Drawing(self._pipeline, self._grids[0].tiling, OWN_SCALE)
        rows = [
            Rows(grid, Span(row, row + 1))
            for grid, wanted in zip(self._grids, self._wanted, strict=True)
            for row in range(wanted.start, wanted.stop)
        ]
        return measured((rows[place].task(drawing) for place in spread(len(rows))), self._workers)

    def _drawn(self, drawing: Drawing, missing: list[Rows]) -> Iterator[tuple[Area, Picture]]:
        """Yield pictures, and what they are of; what cannot be made becomes a problem, and the rest goes on."""
        done = self.tiles - sum(rows.tiles for rows in missing)
        self.progress(done, self.tiles)
        for rows, found in self._results(drawing, missing):
            for picture in found:
                yield rows.grid.area(picture.place.row, picture.place.column), picture
            done += rows.tiles
            self.progress(done, self.tiles)

    def _results(self, drawing: Drawing, missing: Iterable[Rows]) -> Iterator[tuple[Rows, list[Picture]]]:
        """Yield what tasks make; of one that fails, row by row what can be made."""
        tasks = ((rows, rows.task(drawing)) for rows in missing)
        for rows, task in in_order(self._workers, drawn, tasks):
            try:
                found = task.result()
            except InputError as error:
                if len(rows.span) > 1:
                    yield from self._results(drawing, rows.one_by_one())
                else:
                    self.problems.append(f"{rows}: {error}")
                continue
            yield rows, found

    def _write(self, content: bytes, name: str) -> None:
        """Write a picture, unless it is there."""
        path = self._folder / name
        if not path.is_file():
            write_picture(path, content)
