"""Folders of recordings come in, the documents of a deployment's run go out; users, `as_flyer` and `tilewright record wav` call it.

    scan ─▶ look at each file ─▶ sort by start ─▶ documents
            `scan`               `looking`          `taking`     `run_documents`

The files are not altered. Whatever is odd about one is said in `problems`, and in the documents.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.sources.composing import run_uid, states_of
from tilewright.sources.recordings.clock_tables import read_clocks
from tilewright.sources.recordings.converting import Conversion, store_folder
from tilewright.sources.recordings.looking import Looking
from tilewright.sources.recordings.rebuilding import rebuilt
from tilewright.sources.recordings.run_documents import NAMESPACE, RunDocuments
from tilewright.sources.recordings.run_state import RunState
from tilewright.sources.recordings.settling import SETTLE_SECONDS, Settling
from tilewright.sources.recordings.taking import Taking, refused
from tilewright.sources.scan import Found, Places, scan, with_extension

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tilewright.documents import Document
    from tilewright.sources.composing import Kept
    from tilewright.sources.recordings.run_documents import Place

logger = logging.getLogger(__name__)

EXTENSIONS = ("wav", "flac")
"""Of files that are taken for recordings, in any case of letters; a file that is named itself may have any."""
POLL_SECONDS = 2.0
"""How often a folder that is being filled is looked through. Network disks tell nobody of new files, so asking is what works
everywhere; the names, sizes and times of 10,000 files are read in a tenth of a second."""


class Recordings:
    """The recordings of a deployment of audio units, as the documents of one run.

    Parameters
    ----------
    places
        Folders, which are searched with all below them, and files.
    deployment
        Its name. Default: that of the first folder.
    units
        What the files do not tell: a table (CSV file, DataFrame or list of dicts) of the units, and of files.
    zone
        The time zone that the recorders' clocks were set to, for files that do not tell.
    clocks
        A table of what the units' clocks said and what the time was.
    store
        `"zarr"` or `"tiledb"`: the samples are converted into arrays there, compressed. None: the files stay as they are, and are
        read where they are.
    store_path
        Folder of these arrays.
    extensions
        Of the files to take from the folders, in any case of letters.
    progress
        Called with the number of files looked at, and of those to be looked at.

    Raises
    ------
    InputError
        If there is no such folder, or a table or the zone cannot be used.

    Examples
    --------
    >>> source = Recordings("deployment_1/", zone="+09:30")      # doctest: +SKIP
    >>> for name, document in source.documents():                # doctest: +SKIP
    ...     writer(name, document)
    """

    def __init__(  # noqa: PLR0913 - each is one thing to say of a deployment
        self,
        places: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        deployment: str | None = None,
        units: Any = None,
        zone: Any = None,
        clocks: Any = None,
        store: str | None = None,
        store_path: str | os.PathLike[str] | None = None,
        extensions: Iterable[str] = EXTENSIONS,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        given = [places] if isinstance(places, (str, os.PathLike)) else places
        self._places = Places.of(given, with_extension(extensions))
        self.deployment = deployment or self._places.root.name or "deployment"
        self.problems: list[str] = []
        """What is odd about the files, a sentence each."""
        self._looking = Looking(zone=zone, units=units)
        self._clocks = {} if clocks is None else read_clocks(clocks)
        self._store = store
        self._folder = store_folder(store, store_path)
        self.progress = progress
        """Called with the number of files looked at, and of those to be looked at."""

    @property
    def name(self) -> str:
        """What a flyer of it is called."""
        return self.deployment

    @property
    def readable(self) -> list[Path]:
        """The directories that a server has to be allowed to read: the folders, or the store."""
        return self._places.readable if self._folder is None else [self._folder]

    def uid(self, part: int = 1) -> str:
        """Return the uid of the deployment's run, or of a further one, for what came after it was finished."""
        return run_uid(NAMESPACE, self.deployment, self._places.identity, part)

    def documents(
        self, before: Iterable[Document] = (), earlier: Iterable[Document] = ()
    ) -> Iterator[Document]:
        """Yield the documents of the run, its stop included.

        Parameters
        ----------
        before
            Those of the run so far, if it was begun before and cut off anywhere: they are yielded again first, and their files are
            not repeated.
        earlier
            Those of the deployment's runs that are finished: their files are not repeated either. What is new is a run of its own,
            which says what it `continues`. Nothing is yielded if nothing is new.

        Raises
        ------
        InputError
            If files do not tell whose they are or when they were made (all in one message, with what to say), or there is none.
        """
        with closing(self._taking(earlier)) as run:
            yield from run.replayed(before)
            found = scan(self._places)
            answers = run.answers(run.unknown(found))
            yield from run.documents(answers, found)
            if run.state.started:
                yield from run.ended()
            elif not run.earlier:
                places = ", ".join(map(str, self._places.readable))
                raise InputError(f"there are no recordings in {places}{refused(answers)}")

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
        """Yield the documents of a folder that is being filled, as its files become complete.

        It is looked through again and again, since network disks tell nobody of new files. A file that comes late, with an
        earlier start, is appended: its `gap` is negative.

        Parameters
        ----------
        until
            Ends it when set: what is complete by then is yielded first.
        before, earlier
            As of `documents`.
        finish
            Whether the deployment is over then: files that are not complete are taken as they are, and the run is stopped.
            Otherwise it stays open, to be carried on.
        poll
            Seconds from one look to the next.
        settle
            Seconds that a file does not change that is complete; twice as long if its header promises more than is there.

        Raises
        ------
        InputError
            As of `documents`, of the files that the run begins with. Those that come later are set aside in `rejected_files`, until
            it is carried on with an answer.
        """
        with closing(self._taking(earlier)) as run:
            yield from run.replayed(before)
            settling, done = Settling(settle), set[Found]()
            found = scan(self._places)
            while True:
                is_last, now = until.is_set(), time.monotonic()
                ready = settling.settled((each for each in run.unknown(found) if each not in done), now)
                answers = run.answers(ready)
                answers = [a for a in answers if not a.may_grow or settling.is_given_up(a.found, now)]
                yield from run.documents(answers, found, asks=False)
                if run.state.started:
                    done.update(answer.found for answer in answers)
                if is_last:
                    break
                until.wait(poll)
                found = self._scan_again()
            if finish:
                found = scan(self._places)
                yield from run.documents(run.answers(run.unknown(found)), found, asks=False)
                if run.state.started:
                    yield from run.ended()

    def rebuilt_from(self, stream: str) -> bool:  # noqa: ARG002 - of all
        """Say whether what the catalog has of a stream is needed for `rebuilt`."""
        return True

    def rebuilt(
        self, start: Mapping[str, Any], streams: Iterable[Kept], stop: Mapping[str, Any] | None
    ) -> list[Document]:
        """Return the documents of a run out of what a catalog has of it: for `before` or `earlier`, where its journal is gone."""
        root = str(self._places.root)
        return list(rebuilt(start, streams, stop, root=root, place=self._place(start["uid"])))

    def _scan_again(self) -> list[Found]:
        """Look through the folders; that they cannot be listed at the moment ends nothing."""
        try:
            return scan(self._places)
        except InputError as error:
            if str(error) not in self.problems:
                logger.warning("%s; it is tried again", error)
                self.problems.append(str(error))
            return []

    def _taking(self, earlier: Iterable[Document]) -> Taking:
        """Return what takes the files of the run that comes after these."""
        finished = states_of(earlier, RunState)
        uid = self.uid(len(finished) + 1)
        documents = RunDocuments(uid, self.deployment, self._place(uid))
        documents.state.rejected.update(*(state.rejected for state in finished))  # said once
        return Taking(
            documents,
            earlier={name: file for state in finished for name, file in state.files.items()},
            continues=finished[-1].uid if finished else None,
            look=self._looking.look,
            units=self._looking.units,
            clocks=self._clocks,
            progress=self.progress,
            problems=self.problems,
        )

    def _place(self, run: str) -> Place | None:
        """Return where the samples of a run are converted to; None if they stay where they are."""
        if self._store is None or self._folder is None:
            return None
        return Conversion(self._store, self._folder, self.deployment, run)
