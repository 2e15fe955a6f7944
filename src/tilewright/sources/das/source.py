"""Files of a cable come in, the documents of an acquisition's run go out; users, `as_flyer` and `tilewright record das` call it.

    scan ─▶ look at each file that is new ─▶ sort by start ─▶ documents
            `looking`                                         `run_documents`

The files are not altered, and are read where they are. Whatever is odd about one is said in `problems`, and in the documents.
"""

from __future__ import annotations

import os
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tilewright.das import checked, is_store, is_url
from tilewright.errors import InputError
from tilewright.sources.composing import rebuilt, replayed, run_uid, states_of
from tilewright.sources.das.looking import Looked, check_order, in_order, look, same
from tilewright.sources.das.run_documents import NAMESPACE, RunDocuments
from tilewright.sources.das.run_state import RunState
from tilewright.sources.recordings.settling import SETTLE_SECONDS, Settling
from tilewright.sources.scan import Found, Places, scan, with_extension

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tilewright.das import Facts
    from tilewright.documents import Document

EXTENSIONS = ("h5", "hdf5", "hdf")
"""Of files that are taken from folders, in any case of letters; a file that is named itself may have any."""
POLL_SECONDS = 2.0
"""How often a folder that is being filled is looked through."""


class Cable:
    """The files of a fibre-optic cable, as the documents of one run.

    Parameters
    ----------
    places
        HDF5 files and Zarr stores, these also at URLs; and folders, which are searched with all below them.
    acquisition
        Its name: whatever is recorded under one name is one acquisition. Default: the name of the folder, or of the only file or
        store, and the acquisition is that of this place.
    spacing
        Metres from one channel to the next, for files that do not tell.
    progress
        Called with the number of files looked at, and of those to be looked at.

    Raises
    ------
    InputError
        If something is not there, or the spacing is not above 0; if a URL is one of an HDF5 file, or has a password in it.

    Examples
    --------
    >>> source = Cable("south_2021-11/", acquisition="OOI RAPID")      # doctest: +SKIP
    >>> for name, document in source.documents():                      # doctest: +SKIP
    ...     writer(name, document)
    """

    def __init__(
        self,
        places: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        acquisition: str | None = None,
        spacing: float | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        given = [os.fspath(each) for each in ([places] if isinstance(places, (str, os.PathLike)) else places)]
        urls = [checked(each) for each in given if is_url(each)]
        paths = [each for each in given if not is_url(each)]
        self._places = Places.of(paths, with_extension(EXTENSIONS), "files of a cable", is_store, urls)
        if spacing is not None and not 0 < spacing < float("inf"):
            raise InputError(f"A spacing of {spacing!r} metres: expected a number above 0")
        self.acquisition = acquisition or self._default_name() or "acquisition"
        self._identity = [] if acquisition else self._places.identity
        self._spacing = None if spacing is None else float(spacing)
        self.problems: list[str] = []
        """What is odd about the files, a sentence each."""
        self.progress = progress
        """Called with the number of files looked at, and of those to be looked at."""

    @property
    def name(self) -> str:
        """What a flyer of it is called."""
        return self.acquisition

    @property
    def readable(self) -> list[Path]:
        """The directories that a server has to be allowed to read; none for URLs, which it reads with credentials of its own."""
        return self._places.readable

    def uid(self, part: int = 1) -> str:
        """Return the uid of the acquisition's run, or of a further one, for what came after it was finished."""
        return run_uid(NAMESPACE, self.acquisition, self._identity, part)

    def documents(
        self, before: Iterable[Document] = (), earlier: Iterable[Document] = ()
    ) -> Iterator[Document]:
        """Yield the documents of the run, its stop included.

        Parameters
        ----------
        before
            Those of the run so far, if it was begun before and cut off anywhere: they are yielded again first, but for those of a file
            that was not recorded to its end, which are made anew and are the same.
        earlier
            Those of the acquisition's runs that are finished: their files are not repeated. What is new is a run of its own, which
            says what it `continues`. Nothing is yielded if nothing is new.

        Raises
        ------
        InputError
            If there is no file of a cable; if there are several whose time is the second dimension; if the file that was being recorded
            when the run was cut off is gone.
        SetupError, TransientError
            If a URL needs credentials, or cannot be reached; if a package is needed that is not installed.
        """
        run, states = self._begun(earlier)
        cut: list[Document] = []
        yield from replayed(run.state, before, cut)
        looked = self._look_at(self._new(states))
        yield from self._recorded(run, states, looked, cut)
        if run.state.start:
            yield from run.stop()
        elif len(states) == 1:
            reasons = "".join(f"; {each.found.name}: {each.reason}" for each in looked)
            places = ", ".join([*map(str, self.readable), *self._places.urls])
            raise InputError(f"there are no files of a cable in {places}{reasons}")

    def watch(
        self,
        until: threading.Event,
        before: Iterable[Document] = (),
        earlier: Iterable[Document] = (),
        *,
        finish: bool = False,
        poll: float = POLL_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> Iterator[Document]:
        """Yield the documents of a folder that is being filled, as its HDF5 files become complete.

        It is looked through again and again, since network disks tell nobody of new files. A file that comes late, with an
        earlier start, is appended: its `gap` is negative. Zarr stores are left alone: none tells when it is complete.

        Parameters
        ----------
        until
            Ends it when set: what is complete by then is yielded first.
        before, earlier
            As of `documents`.
        finish
            Whether the acquisition is over then: all files are taken as they are, and the run is stopped. Otherwise it stays open, to be
            carried on.
        poll
            Seconds from one look to the next.
        settle
            Seconds that a file does not change that is complete; twice as long if it cannot be read.

        Raises
        ------
        InputError
            As of `documents`; if a store was named.
        """
        if stores := [*(str(path) for path in self._places.files if path.is_dir()), *self._places.urls]:
            raise InputError(
                f"{stores[0]} is a Zarr store, which is not watched: record it when it is complete"
            )
        run, states = self._begun(earlier)
        cut: list[Document] = []
        yield from replayed(run.state, before, cut)
        settling, done = Settling(settle), set[Found]()
        while True:
            is_last, now = until.is_set(), time.monotonic()
            new = [found for found in self._new(states) if found not in done and not found.path.is_dir()]
            settled = set(settling.settled(new, now))
            ready = [
                each for each in new if each in settled or (is_last and finish) or run.is_part_of(each, cut)
            ]
            looked = [
                each
                for each in self._look_at(ready)
                if each.facts is not None or (is_last and finish) or settling.is_given_up(each.found, now)
            ]
            yield from self._recorded(run, states, looked, cut)
            cut.clear()
            if run.state.start:
                done.update(each.found for each in looked)
            if is_last:
                break
            until.wait(poll)
        if finish and run.state.start:
            yield from run.stop()

    def rebuilt_from(self, stream: str) -> bool:  # noqa: ARG002 - of both
        """Say whether what the catalog has of a stream is needed for `rebuilt`."""
        return True

    def rebuilt(
        self, start: Mapping[str, Any], streams: Any, stop: Mapping[str, Any] | None
    ) -> list[Document]:
        """Return the documents of a run out of what a catalog has of it: see `composing.rebuilt`."""
        return rebuilt(start, streams, stop)

    def _default_name(self) -> str:
        """Return the name of the folder; of a file or a store, if that is all that was given."""
        only = [*map(str, self._places.files), *self._places.urls]
        if not self._places.folders and len(only) == 1:
            return PurePath(only[0]).stem
        return self._places.root.name

    def _begun(self, earlier: Iterable[Document]) -> tuple[RunDocuments, list[RunState]]:
        """Return what makes the documents of the run that comes after these, and the states of all runs, its own behind."""
        finished = states_of(earlier, RunState)
        run = RunDocuments(self.uid(len(finished) + 1), self.acquisition, self._spacing)
        run.state.rejected.update(*(state.rejected for state in finished))  # said once
        return run, [*finished, run.state]

    def _new(self, states: list[RunState]) -> list[Found]:
        """Return the files that are not known by name."""
        known = {name for state in states for name in state.files}
        return [found for found in scan(self._places) if found.name not in known]

    def _look_at(self, files: list[Found]) -> list[Looked]:
        """Look at files, and tell how far it is."""
        looked = []
        for number, found in enumerate(files, start=1):
            looked.append(look(found))
            self.progress(number, len(files))
        return looked

    def _recorded(
        self, run: RunDocuments, states: list[RunState], looked: list[Looked], cut: list[Document]
    ) -> Iterator[Document]:
        """Yield the documents of files, with the start of the run before the first that is part of the array."""
        ordered = in_order(run, looked, cut)
        check_order(run, ordered)
        finished, waiting = states[:-1], list[Looked]()
        earlier = finished[-1].start["cable"] if finished else {}
        taken = {
            (file.span.start, file.span.samples): file.name
            for state in states
            for file in state.files.values()
        }
        for each in ordered:
            reason = each.reason
            if each.facts is not None:
                reason = same(each.facts, taken) or run.differs(each.facts, earlier)
            if each.facts is None or reason:
                waiting.append(Looked(each.found, None, reason))
                continue
            if not run.state.start:
                yield from run.start(each.facts, finished[-1].start["uid"] if finished else None)
            yield from self._added(run, each.found, each.facts)
            taken[each.facts.start, each.facts.samples] = each.found.name
        for each in waiting:
            yield from self._rejected(run, each)

    def _rejected(self, run: RunDocuments, looked: Looked) -> Iterator[Document]:
        if run.is_told(looked.found, looked.reason):
            return
        problem = f"{looked.found.name}: {looked.reason}"
        if problem not in self.problems:  # whoever watches comes here again until the run has begun
            self.problems.append(problem)
        if run.state.start:
            yield from run.reject(looked.found, looked.reason)

    def _added(self, run: RunDocuments, found: Found, facts: Facts) -> Iterator[Document]:
        for name, doc in run.add(found, facts):
            if name == "event" and doc["data"]["remark"]:
                self.problems.append(f"{found.name}: {doc['data']['remark']}")
            yield name, doc
