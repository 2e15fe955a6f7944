"""`TiledWriter`, the callback a RunEngine is given: documents come in and reach a Tiled server.

Each document goes to a journal, and a deliverer takes it from there. Here the two meet, and nowhere else.
"""

from __future__ import annotations

import _thread
import atexit
import logging
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args
from urllib.parse import quote

from tilewright.delivery import Deliverer, Status, Where, target
from tilewright.documents import ALL_IN_TABLE, MAX_ARRAY_SIZE, PathMap, Translator, path_rules
from tilewright.documents.corrections import Corrections
from tilewright.errors import InputError, SetupError
from tilewright.journal import JournalDirectory, Recorder, default_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tilewright.journal import OpenRun

logger = logging.getLogger(__name__)

STOP_TIMEOUT = 30.0
"""Seconds that `stop` waits at most until the run is readable."""
DELIVER_VARIABLE = "TILEWRIGHT_DELIVER"
"""Environment variable: who delivers, for writers that were not told."""


class TiledWriter:
    """Writes Bluesky documents into a Tiled server; subscribe it to a RunEngine, or call it yourself.

    A call encodes the document and appends it to the run's journal, and that is all the acquisition thread
    does. A process of its own delivers the journals; whether the server is slow or away makes no difference to the
    plan. Where the journals cannot be written, documents are kept in memory, and the log says so.

    Parameters
    ----------
    catalog
        Where to: the URI of a Tiled server (with its key, `?api_key=…`, unless `TILED_API_KEY` is set), a Tiled
        client (a node of it is the place to write to), or what `tilewright.serve` returned.
    journal
        Folder of the journals. Default: beside the data of an embedded server, else `TILEWRIGHT_JOURNAL`, else
        the platform's user state folder.
    on_stop
        `"wait"`: the call for a stop document returns when the run is readable, but after `stop_timeout` at the
        latest, or when the server turns out not to be there. `"return"`: it returns at once.
    stop_timeout
        Seconds.
    deliver
        Who delivers: `"process"`, a child process (the default, or what `TILEWRIGHT_DELIVER` says); `"thread"`, a
        thread of this process, which takes a little from the plan; `"elsewhere"`, `tilewright deliver --watch`.
        A Tiled client whose tokens cannot be handed on has a thread in place of a process.
    strict
        Whether a document that cannot be recorded raises. Otherwise it is logged, and the plan goes on.
    patches, spec_to_mimetype, normalizer
        As in Bluesky's writer: functions by document name that correct documents; mimetypes of Resource specs;
        a class that takes the place of the translation of earlier schemas (None: no translation).
    path_map
        Rules for the paths of files that the server has elsewhere, from prefix → to prefix: `{"/mnt/det": "/data/det"}`.
        They are kept in the journals, for whoever delivers them. Default: the rules in the YAML or JSON file that the
        environment variable `TILEWRIGHT_PATH_MAP` names.
    backup_directory
        As `journal`, under the name it has in Bluesky's writer.
    max_array_size
        How many elements an array in an event may have to stay in the table; larger ones become arrays beside it. -1:
        all stay in the table.
    batch_size, validate
        Taken so that changing the import is enough; they change nothing: rows go out by age and size, and every run
        is checked at its end.

    Raises
    ------
    InputError
        If `catalog` is none of these, or `path_map` has no absolute paths.
    SetupError
        If the journal folder cannot be used, and `strict`; if the file of path rules cannot be read or understood.
    """

    def __init__(  # noqa: PLR0913 - Bluesky's arguments, and ours
        self,
        catalog: Any,
        *,
        journal: str | os.PathLike[str] | None = None,
        on_stop: Literal["wait", "return"] = "wait",
        stop_timeout: float = STOP_TIMEOUT,
        deliver: Where | None = None,
        strict: bool = False,
        patches: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
        spec_to_mimetype: Mapping[str, str] | None = None,
        normalizer: Any = Translator,
        path_map: Mapping[str, str] | None = None,
        backup_directory: str | os.PathLike[str] | None = None,
        batch_size: int | None = None,  # noqa: ARG002 - see the docstring
        max_array_size: int = MAX_ARRAY_SIZE,
        validate: bool | None = None,  # noqa: ARG002
    ) -> None:
        if on_stop not in ("wait", "return"):
            raise InputError(f"on_stop is {on_stop!r}; expected 'wait' or 'return'")
        rules = path_rules(path_map)
        by = _checked(deliver or os.environ.get(DELIVER_VARIABLE) or "process")
        where = target(catalog)
        directory = JournalDirectory(_journal_path(catalog, journal or backup_directory).absolute())
        if directory.problem is not None:
            if strict:
                raise SetupError(directory.problem)
            logger.error("%s Until then, documents are kept in memory.", directory.problem)
        self._stop_timeout = stop_timeout if on_stop == "wait" else None
        self._strict = strict
        self._directory = directory
        self._catalog = where.name
        # For a journal that is taken up again, and has other rules, or none.
        self._deliverer = Deliverer(directory, where, by, path_map=PathMap.of(rules) if rules else None)
        self._recorder = Recorder(
            directory,
            where.name,
            opened=self._deliverer.watch,
            ended=self._deliverer.ended,
            held=self._deliverer.hold,
            settings={
                "spec_to_mimetype": dict(spec_to_mimetype or {}),
                "path_map": rules,
                "max_array_size": _checked_size(max_array_size),
            },
            strict=strict,
        )
        self._corrections = None
        if patches or not (
            normalizer is Translator or getattr(normalizer, "__name__", "") == "RunNormalizer"
        ):
            ours = Translator if getattr(normalizer, "__name__", "") == "RunNormalizer" else normalizer
            self._corrections = Corrections(self._record, ours, patches or {}, spec_to_mimetype or {})
        self._closing = _Closing(self._recorder, self._deliverer, stop_timeout)
        # Last registered runs first: before an embedded server closes.
        atexit.register(self._closing)
        self._collected = weakref.finalize(self, self._closing.begin)
        self._collected.atexit = False

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Record one document."""
        if self._closing.begun:
            self._refuse(name)
            return
        try:
            if self._corrections is None:
                self._record(getattr(name, "name", name), doc)
            else:
                self._correct(getattr(name, "name", name), doc)
        except Exception as error:
            if self._strict:
                raise
            logger.error("A document (%s) was not recorded: %s", name, error)  # noqa: TRY400 - no traceback: see strict

    def _record(self, name: str, doc: dict[str, Any]) -> None:
        ended = self._recorder.record(name, doc)
        if ended is not None:
            self._finish(ended)

    def _correct(self, name: str, doc: dict[str, Any]) -> None:
        assert self._corrections is not None, "asked by the caller"
        try:
            self._corrections(name, doc)
        except Exception as error:
            if self._strict:
                raise
            logger.error("A document (%s) could not be corrected, and is recorded as it is: %r", name, error)  # noqa: TRY400
            self._record(name, doc)

    @property
    def journal(self) -> Path:
        """The folder of the journals."""
        return self._directory.path

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has every document given so far.

        False if it has not within `timeout` seconds (None: for ever), if it refused a run (see `status`), or if another
        process delivers a run being recorded here, which does not tell how far it is.
        """
        return self._deliverer.flush(timeout)

    def status(self) -> Status:
        """Return whether the server can be reached, what waits for it, and why."""
        return self._deliverer.status()

    def renew_key(self, api_key: str) -> None:
        """Use another key from now on: the old one has expired, say. What waits is tried again at once."""
        self._deliverer.renew_key(api_key)

    def end_runs(self) -> None:
        """Take the runs being recorded for ended: their stop documents will not come, as in a file cut short."""
        self._recorder.end_runs()

    def close(self, timeout: float | None = STOP_TIMEOUT) -> bool:
        """Deliver what there is, within `timeout` seconds, and end the threads; False if something still waits.

        Runs without a stop document are marked as interrupted. What still waits is delivered by the next writer
        with the same journal folder and catalog. May be repeated.
        """
        self._collected.detach()
        return self._closing.close(timeout)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        return f"<TiledWriter to {self.status()} Journals: {self.journal}>"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()

    @classmethod
    def from_uri(cls, uri: str, *, api_key: str | None = None, **kwargs: Any) -> Self:
        """Return a writer to the Tiled server at a URI, as Bluesky's `from_uri` does."""
        if api_key is not None:
            uri = f"{uri}{'&' if '?' in uri else '?'}api_key={quote(api_key, safe='')}"
        return cls(uri, **kwargs)

    @classmethod
    def from_profile(cls, profile: str, **kwargs: Any) -> Self:
        """Return a writer to the server of a Tiled profile, as Bluesky's `from_profile` does."""
        from tiled.client import from_profile  # noqa: PLC0415 - slow to import, rarely used

        return cls(target(from_profile(profile), owned=True), **kwargs)

    def _finish(self, run: OpenRun) -> None:
        """Wait until the run is readable, if wanted; say where it is if it is not."""
        if run.journal.trouble is not None:
            logger.error("Run %s is not on the disk: %s", run.uid, run.journal.trouble)
        if self._stop_timeout is not None and not self._deliverer.wait(run.path, self._stop_timeout):
            safe = "" if run.journal.trouble is not None else f"is safe in {run.path} and "
            reason = self._deliverer.why_not(run.path)
            logger.warning("Run %s %sis not readable yet (%s); delivery goes on.", run.uid, safe, reason)

    def _refuse(self, name: str) -> None:
        """Say, once for a run, that a closed writer records nothing."""
        reason = "the writer is closed: unsubscribe it, or make a new one"
        if self._strict:
            raise InputError(f"a document ({name}) was not recorded: {reason}")
        if getattr(name, "name", name) == "start":
            logger.error("A run is not recorded: %s", reason)


def _checked(deliver: str) -> Where:
    """Return who delivers, if it is one there is."""
    for known in get_args(Where):
        if deliver == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"deliver is {deliver!r}; expected one of {', '.join(map(repr, get_args(Where)))}")


def _checked_size(most: Any) -> int:
    """Return how many elements of an array stay in the table, if that is what it is."""
    if type(most) is not int or most < ALL_IN_TABLE:
        raise InputError(f"max_array_size is {most!r}; expected a number of elements, or -1 for no limit")
    return most


def _journal_path(catalog: Any, given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given)
    data = getattr(catalog, "directory", None)
    return default_directory(data if isinstance(data, Path) else None)


class _Closing:
    """The end of a writer, once: when it is closed, when the process ends, or when nobody holds it any more."""

    def __init__(self, recorder: Recorder, deliverer: Deliverer, timeout: float | None) -> None:
        self._recorder = recorder
        self._deliverer = deliverer
        self._timeout = timeout
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._done = False
        self.begun = False
        """Whether the writer takes no documents any more."""

    def __call__(self) -> None:
        """Close, waiting as long as the writer waits for a run."""
        self.close(self._timeout)

    def close(self, timeout: float | None) -> bool:
        """Deliver what there is and end the threads, if that is not done; False if something still waits."""
        self.begun = True
        if (
            os.getpid() != self._process
        ):  # a fork inherits the writer, but must not end what its parent delivers with
            return False
        with self._lock:
            if self._done:
                return self._deliverer.flush(0)
            self._recorder.end_runs()
            delivered = self._deliverer.flush(timeout, patient=False)
            self._recorder.close()  # not before: what is in memory may find its way to the disk meanwhile
            self._deliverer.close()
            self._done = True
        atexit.unregister(self)
        return delivered

    def begin(self) -> None:
        """Do so in a thread of its own.

        The garbage collector calls this in whatever thread it runs, under any lock and in the middle of an acquisition:
        it must not wait, nor take a lock, as `threading.Thread` does.
        """
        _thread.start_new_thread(self, ())
