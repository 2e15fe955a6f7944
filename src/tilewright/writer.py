"""`TiledWriter`, the callback a RunEngine is given: documents come in and reach a Tiled server.

Each document goes to a journal, and a worker delivers the journals. Here the two meet, and nowhere else.
"""

from __future__ import annotations

import atexit
import logging
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import quote

from tilewright.delivery import Options, Status, Worker, target
from tilewright.documents import Translator
from tilewright.errors import InputError
from tilewright.journal import JournalDirectory, Recorder, default_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

STOP_TIMEOUT = 30.0
"""Seconds that `stop` waits at most until the run is readable."""


class TiledWriter:
    """Writes Bluesky documents into a Tiled server; subscribe it to a RunEngine, or call it yourself.

    A call encodes the document and appends it to the run's journal, and that is all the acquisition thread
    does. A thread delivers the journals; whether the server is slow or away makes no difference to the plan.

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
    strict
        Whether a document that cannot be recorded raises. Otherwise it is logged, and the plan goes on.
    patches, spec_to_mimetype, normalizer
        As in Bluesky's writer: functions by document name that correct documents; mimetypes of Resource specs;
        a class that takes the place of the translation of earlier schemas (None: no translation).
    backup_directory
        As `journal`, under the name it has in Bluesky's writer.
    batch_size, max_array_size, validate
        Taken so that changing the import is enough; they change nothing: rows go out by age and size, arrays
        in events are kept whole, and every run is checked at its end.

    Raises
    ------
    InputError
        If `catalog` is none of these.
    SetupError
        If the journal folder cannot be used.
    """

    def __init__(  # noqa: PLR0913 - Bluesky's arguments, and ours
        self,
        catalog: Any,
        *,
        journal: str | os.PathLike[str] | None = None,
        on_stop: Literal["wait", "return"] = "wait",
        stop_timeout: float = STOP_TIMEOUT,
        strict: bool = False,
        patches: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] | None = None,
        spec_to_mimetype: Mapping[str, str] | None = None,
        normalizer: Any = Translator,
        backup_directory: str | os.PathLike[str] | None = None,
        batch_size: int | None = None,  # noqa: ARG002 - see the docstring
        max_array_size: int | None = None,  # noqa: ARG002
        validate: bool | None = None,  # noqa: ARG002
    ) -> None:
        if on_stop not in ("wait", "return"):
            raise InputError(f"on_stop is {on_stop!r}; expected 'wait' or 'return'")
        where = target(catalog)
        directory = JournalDirectory(_journal_path(catalog, journal or backup_directory))
        options = Options(patches or {}, spec_to_mimetype or {}, _translator(normalizer))
        self._stop_timeout = stop_timeout if on_stop == "wait" else None
        self._strict = strict
        self._directory = directory
        self._catalog = where.name
        self._worker = Worker(directory, where, options)
        self._recorder = Recorder(directory, where.name, self._worker.watch, self._worker.ended)
        # Also when the process ends, or nobody holds the writer any more.
        self._close_at_exit = weakref.finalize(self, _close, self._recorder, self._worker, stop_timeout)
        atexit.register(self._close_at_exit)  # last registered runs first: before an embedded server closes

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Record one document."""
        if not self._close_at_exit.alive:
            self._refuse(name)
            return
        try:
            ended = self._recorder.record(getattr(name, "name", name), doc)
        except Exception as error:
            if self._strict:
                raise
            logger.error("A document (%s) was not recorded: %s", name, error)  # noqa: TRY400 - no traceback: see strict
            return
        if ended is not None:
            self._finish(ended.path)

    @property
    def journal(self) -> Path:
        """The folder of the journals."""
        return self._directory.path

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has every document given so far.

        False if it has not within `timeout` seconds, or if it refused a run (see `status`).
        """
        return self._worker.flush(timeout)

    def status(self) -> Status:
        """Return whether the server can be reached, and what waits for it."""
        return self._worker.status()

    def end_runs(self) -> None:
        """Take the runs being recorded for ended: their stop documents will not come, as in a file cut short."""
        self._recorder.end_runs()

    def close(self, timeout: float | None = STOP_TIMEOUT) -> bool:
        """Deliver what there is, within `timeout` seconds, and end the threads; False if something still waits.

        Runs without a stop document are marked as interrupted. What still waits is delivered by the next writer
        with the same journal folder and catalog. May be repeated.
        """
        atexit.unregister(self._close_at_exit)
        if not self._close_at_exit.detach():
            return self._worker.flush(0)
        return _close(self._recorder, self._worker, timeout)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        status = self.status()
        reached = {None: "not contacted yet", True: "reachable", False: "not reachable"}[status.reachable]
        return f"<TiledWriter to {self._catalog} ({reached}), {len(status.waiting)} runs waiting in {self.journal}>"

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

    def _finish(self, path: Path) -> None:
        if self._stop_timeout is not None and not self._worker.wait(path, self._stop_timeout):
            reason = self.status().last_error or f"the server is slow, {self._stop_timeout:g} s are over"
            logger.warning("The run is safe in %s and not readable yet (%s); delivery goes on.", path, reason)

    def _refuse(self, name: str) -> None:
        """Say, once for a run, that a closed writer records nothing."""
        reason = "the writer is closed: unsubscribe it, or make a new one"
        if self._strict:
            raise InputError(f"a document ({name}) was not recorded: {reason}")
        if getattr(name, "name", name) == "start":
            logger.error("A run is not recorded: %s", reason)


def _journal_path(catalog: Any, given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given)
    if isinstance(getattr(catalog, "directory", None), Path):
        return Path(catalog.directory) / "journal"
    return default_directory()


def _close(recorder: Recorder, worker: Worker, timeout: float | None) -> bool:
    recorder.end_runs()
    recorder.close()
    done = worker.flush(timeout)
    worker.close()
    return done


def _translator(normalizer: Any) -> Callable[[Options], Any] | None:
    """Return what makes a translator out of a Bluesky normalizer class; None for our own."""
    if normalizer is Translator or getattr(normalizer, "__name__", "") == "RunNormalizer":
        return None
    return lambda options: _Normalized(normalizer, options)


class _Normalized:
    """A Bluesky normalizer, or none, in the place of the translation."""

    def __init__(self, normalizer: Any, options: Options) -> None:
        self._collected: list[tuple[str, dict[str, Any]]] = []
        self._normalizer = None
        self.notes: list[str] = []
        if normalizer is not None:
            self._normalizer = normalizer(
                patches=dict(options.patches), spec_to_mimetype=dict(options.spec_to_mimetype)
            )
            self._normalizer.subscribe(self._collect)

    def translate(self, name: str, doc: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Return what the normalizer makes of a document."""
        if self._normalizer is None:
            return [(name, doc)]
        self._normalizer(name, doc)
        collected, self._collected = self._collected, []
        return collected

    def finish(self) -> list[tuple[str, dict[str, Any]]]:
        """Return nothing: a normalizer gives all it has at the stop document."""
        return []

    def _collect(self, name: Any, doc: dict[str, Any]) -> None:
        self._collected.append((getattr(name, "name", name), doc))
