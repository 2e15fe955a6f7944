"""Files of embeddings come in, the documents of a dataset's run go out; users, `as_flyer` and `tilewright record tfrecord` call it.

    scan ─▶ fingerprint ─▶ read each file that is new ─▶ documents
            known?         `reading`, `storing`          `run_documents`

The files are not altered. Whatever is odd about one is said in `problems`, and in the documents.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from tilewright.documents import quoted
from tilewright.documents.times import SECOND
from tilewright.errors import InputError
from tilewright.sources.composing import rebuilt, replayed, run_uid, states_of
from tilewright.sources.embeddings.names import NamePattern
from tilewright.sources.embeddings.reading import Reader
from tilewright.sources.embeddings.run_documents import NAMESPACE, RunDocuments
from tilewright.sources.embeddings.run_state import EMBEDDINGS, FILES, REJECTED, RunState
from tilewright.sources.embeddings.storing import DTYPES, checked, place_of
from tilewright.sources.scan import Places, scan
from tilewright.tfrecords import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tilewright.documents import Document
    from tilewright.sources.embeddings.facts import Contents
    from tilewright.sources.embeddings.storing import Place
    from tilewright.sources.scan import Found
    from tilewright.sources.zones import Zone

WINDOW = 5.0
"""Seconds of sound of a vector."""
_NAMES = re.compile(r"\.tfrecords?$|-\d{5}-of-\d{5}$", re.IGNORECASE)
"""Of the files that are taken from folders."""
_LISTED = 10
"""Problems of a file that are told one by one; the run has them all."""
_FIXED = ("pattern", "window", "store", "dtype", "model")
"""What cannot change while a dataset is carried on."""


class Embeddings:
    """The embeddings of a dataset, as the documents of one run.

    Parameters
    ----------
    places
        TFRecord files; and folders, which are searched with all below them for names like `x.tfrecord` and `x-00000-of-00374`.
    dataset
        Its name: whatever is recorded under one name is one dataset. Default: the name of the first folder, and the dataset is that
        of these folders.
    model
        What made the vectors: those of different models are not compared with each other.
    pattern
        A regular expression with named groups, which are columns: see `names.NamePattern`. Default: `names.PATTERN`.
    zone
        The time zone of recordings whose names do not tell it.
    window
        Seconds of sound of a vector, and from one to the next of a record.
    store
        `"register"`: the vectors stay in their files, and are read there. `"npy"` or `"zarr"`: they are written out.
    store_path
        Folder for that.
    dtype
        `"float32"` or `"float16"`, of what is written out.
    strict
        Whether what is damaged ends it.
    progress
        Called with the records read, and of all there are.

    Raises
    ------
    InputError
        If something is not there, or a setting cannot be.

    Examples
    --------
    >>> source = Embeddings("one_percent/", model="perch")       # doctest: +SKIP
    >>> for name, document in source.documents():                # doctest: +SKIP
    ...     writer(name, document)
    """

    def __init__(  # noqa: PLR0913 - each is one thing to say of a dataset
        self,
        places: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        dataset: str | None = None,
        model: str | None = None,
        pattern: str | None = None,
        zone: Zone | None = None,
        window: float = WINDOW,
        store: str = "register",
        store_path: str | os.PathLike[str] | None = None,
        dtype: str = "float32",
        strict: bool = False,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        given = [places] if isinstance(places, (str, os.PathLike)) else places
        self._places = Places.of(given, lambda name: _NAMES.search(name) is not None, "TFRecords")
        self.dataset = dataset or self._places.root.name or "dataset"
        self._identity = [] if dataset else self._places.identity
        self._pattern = NamePattern(pattern, zone)
        if not 0 < window < float("inf"):
            raise InputError(f"A window of {window!r} seconds: expected a number above 0")
        self._window = float(window)
        self._folder = checked(store, store_path, dtype)
        self._store, self._dtype, self._strict = store, dtype, strict
        self._settings = {
            "dataset": self.dataset,
            "model": model,
            "pattern": self._pattern.text,
            "window": self._window,
            "store": store,
            "dtype": dtype,
        }
        self.problems: list[str] = []
        """What is odd about the files, a sentence each."""
        self.progress = progress
        """Called with the records read, and of all there are."""

    @property
    def name(self) -> str:
        """What a flyer of it is called."""
        return self.dataset

    @property
    def readable(self) -> list[Path]:
        """The directories that a server has to be allowed to read: the folders, or the store."""
        return self._places.readable if self._folder is None else [self._folder]

    def uid(self, part: int = 1) -> str:
        """Return the uid of the dataset's run, or of a further one, for what came after it was finished."""
        return run_uid(NAMESPACE, self.dataset, self._identity, part)

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
            Those of the dataset's runs that are finished; pages of events need not be among them. What is new is a run of its own,
            which says what it `continues`. Nothing is yielded if nothing is new.

        Raises
        ------
        InputError
            If there is no file; if the run was begun with other settings; with `strict`, if anything is not as it should be.
        """
        finished = states_of(earlier, RunState)
        uid = self.uid(len(finished) + 1)
        run = RunDocuments(uid, self._settings, self._pattern, self._window, DTYPES[self._dtype])
        known = {print_: name for state in finished for print_, name in state.files.items()}
        cut: list[Document] = []
        for name, doc in replayed(run.state, before, cut):
            if name == "start":
                self._check(doc)
            yield name, doc
        new = self._new(run, known | run.state.files, cut)
        yield from self._recorded(run, new, finished[-1].start["uid"] if finished else None)
        if run.state.start:
            yield from run.stop()
        elif not finished:
            places = ", ".join(map(str, self._places.readable))
            raise InputError(f"there are no TFRecords in {places}: names end in .tfrecord or -00000-of-00374")

    def rebuilt_from(self, stream: str) -> bool:
        """Say whether what the catalog has of a stream is needed for `rebuilt`: of the files, and not of a million rows."""
        return stream == FILES

    def rebuilt(
        self, start: Mapping[str, Any], streams: Any, stop: Mapping[str, Any] | None
    ) -> list[Document]:
        """Return the documents of a run out of what a catalog has of it, without its pages: see `composing.rebuilt`."""
        return rebuilt(start, streams, stop)

    def _check(self, start: Mapping[str, Any]) -> None:
        """Refuse to carry on what was begun otherwise."""
        for name in _FIXED:
            if start.get(name) != self._settings[name]:
                raise InputError(
                    f"the dataset {self.dataset!r} was begun with {name} {quoted(start.get(name))}, and cannot be carried on with "
                    f"{quoted(self._settings[name])}: give the same, or another name for the dataset"
                )

    def _new(
        self, run: RunDocuments, known: Mapping[str, str], cut: list[Document]
    ) -> list[tuple[Found, str, int]]:
        """Return the files whose content is not known, each with its fingerprint and how many records it seems to have.

        That which was being recorded when the run was cut off comes first.

        Raises
        ------
        InputError
            If that one is not there.
        """
        new: list[tuple[Found, str, int]] = []
        names = {name: print_ for print_, name in known.items()}
        seen = dict(known)
        for found in scan(self._places):
            look = fingerprint(found.path)
            if (other := seen.get(look.digest)) is not None:
                if other != found.name and found.name not in names:
                    self.problems.append(f"{found.name}: it is the same as {other}, and is not repeated")
            elif found.name in names:
                self.problems.append(
                    f"{found.name}: it has changed since it was recorded; what is new in it is not taken: record it as another dataset"
                )
            else:
                seen[look.digest] = found.name
                new.append((found, look.digest, look.records))
        if not cut:
            return new
        first = [each for each in new if run.is_part_of(each[1], cut)]
        if not first and run.are_of_a_file(cut):
            raise InputError(
                f"the file that was being recorded when the dataset {self.dataset!r} was cut off is not there, or has changed: put it back"
            )
        return [*first, *(each for each in new if each not in first)]

    def _recorded(
        self, run: RunDocuments, new: list[tuple[Found, str, int]], continues: str | None
    ) -> Iterator[Document]:
        """Yield the documents of files, with the start of the run if it has none yet."""
        reader = Reader(self._pattern, run.state.dimension, strict=self._strict)
        place = place_of(self._store, (self._folder or self._places.root) / run.uid, self._dtype)
        done, of = 0, sum(records for _, _, records in new)
        for found, print_, _ in new:
            contents = self._read(reader, place, run, found, partial(self._tell_progress, done, of))
            done += contents.records
            if not run.state.start:
                yield from run.start(_time_of(found, contents), continues)
            self._tell(found, contents)
            lies = place.finish(found.path, contents) if contents.rows else None
            yield from run.add(found, print_, contents, lies)

    def _read(
        self, reader: Reader, place: Place, run: RunDocuments, found: Found, tell: Callable[[int], None]
    ) -> Contents:
        place.begin(run.state.counts.get(FILES, 0), run.state.counts.get(EMBEDDINGS, 0))
        try:
            return reader.read(found.path, place.take, tell)
        except OSError as error:
            raise InputError(f"{found.path} cannot be read: {error.strerror or error}") from error

    def _tell_progress(self, before: int, of: int, records: int) -> None:
        self.progress(before + records, of)

    def _tell(self, found: Found, contents: Contents) -> None:
        self.problems += [
            f"{found.name}, byte {each.record:,}: {each.reason}" for each in contents.rejected[:_LISTED]
        ]
        if (more := len(contents.rejected) - _LISTED) > 0:
            self.problems.append(
                f"{found.name}: {more:,} more problems, all of them in the stream {REJECTED!r}"
            )
        if contents.overflowed:
            self.problems.append(
                f"{found.name}: {contents.overflowed:,} vectors have values that are too large for float16, and are infinite there"
            )


def _time_of(found: Found, contents: Contents) -> float:
    """Return when the first recording of a file began, in seconds since 1970; if none tells it, when the file was written."""
    starts = [named.start for _, named in contents.names[:1] if named.start is not None]
    return (starts[0] if starts else found.modified) / SECOND
