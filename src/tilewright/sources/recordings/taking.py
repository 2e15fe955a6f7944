"""Files that are ready come in, the documents of a run go out, in the order of their starts; `source` calls it for each batch.

Here it is decided what becomes of a file: whether it is known, a part of the recording, the same as another one, or a question to
the user.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tilewright.documents.clocks import TiePoint
from tilewright.documents.times import duration_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.facts import Recorded, Rejected, Unanswered
from tilewright.sources.recordings.looking import GPS, TABLE, gps_log
from tilewright.sources.recordings.metadata import question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tilewright.documents import Document
    from tilewright.sources.recordings.facts import Answer, Asked
    from tilewright.sources.recordings.gps import GpsLog
    from tilewright.sources.recordings.run_documents import RunDocuments
    from tilewright.sources.recordings.run_state import KnownFile, UnitStream
    from tilewright.sources.scan import Found

LISTED = 10
"""How many files of one kind a message names."""
HEADER_BYTES = 1 << 20
"""By how much a file may be larger than its samples: headers and metadata."""
_ASKED: dict[Asked, tuple[str, str]] = {
    "unit": (
        "whose unit neither their headers nor their names tell",
        "name the units in a table with the columns unit and file (--units TABLE.csv; in Python units=)",
    ),
    "zone": (
        "whose times have no zone",
        "say which zone the recorders' clocks were set to (--zone +09:30, --zone Europe/Berlin; in Python zone=)",
    ),
    "time": (
        "that do not tell when they were made",
        "give their starts in a table with the columns unit, file and start (--units TABLE.csv; in Python units=)",
    ),
}


class Taking:
    """One pass over a run: from the files that are there to its documents.

    Parameters
    ----------
    documents
        Of the run, from its beginning.
    earlier
        Files of runs of the same deployment that are finished, by name.
    continues
        uid of the finished run that this one goes on from.
    look
        Looks at one file.
    units
        What the user's table says of each unit.
    clocks
        Tie points of each unit, from the user's table.
    progress
        Called with the number of files looked at, and of all that are to be.
    problems
        Gets a sentence for each thing that is odd.
    """

    def __init__(
        self,
        documents: RunDocuments,
        *,
        earlier: Mapping[str, KnownFile],
        continues: str | None,
        look: Callable[[Found], Answer],
        units: Mapping[str, Mapping[str, Any]],
        clocks: Mapping[str, Sequence[TiePoint]],
        progress: Callable[[int, int], None],
        problems: list[str],
    ) -> None:
        self.state = documents.state
        self.earlier = earlier
        self._documents = documents
        self._continues = continues
        self._look = look
        self._units = units
        self._clocks = clocks
        self._progress = progress
        self._problems = problems
        self._told = set(problems)
        self._logs: set[str] = set()
        """Files whose logs have been read."""
        self._taken: dict[tuple[str, int, int], list[Found]] = {}
        """By unit, start and samples: those that a file may be the same as."""

    def replayed(self, before: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents of the run so far, and learn from them.

        Raises
        ------
        InputError
            If they are those of a run that is finished.
        """
        for name, doc in before:
            if name == "start":
                self._documents.uid = doc["uid"]
            self.state.learn(name, doc)
            yield name, doc
        if self.state.stopped:
            raise InputError(f"run {self.state.uid} is finished: what is new is a run of its own (earlier=)")

    def close(self) -> None:
        """Let go of what is open; the run may be carried on."""
        self._documents.close()

    def unknown(self, found: Iterable[Found]) -> list[Found]:
        """Return the files that are not part of a run already, and say which of those that are have changed."""
        new = []
        for each in found:
            known = self.state.files.get(each.name) or self.earlier.get(each.name)
            if known is None:
                new.append(each)
            else:
                self._check(each, known)
        return new

    def answers(self, found: Sequence[Found]) -> list[Answer]:
        """Look at files."""
        answers = []
        for number, each in enumerate(found, start=1):
            answers.append(self._look(each))
            self._progress(number, len(found))
        return answers

    def ended(self) -> Iterator[Document]:
        """Yield what comes at the end: tie points of the user's table, and the stop."""
        for unit, points in self._clocks.items():
            if not self.state.streams_of(unit):
                self._tell(f"the table of clocks has a unit {unit}, of which there are no recordings")
            for number, stream in enumerate(self.state.streams_of(unit)):
                for point in points:
                    yield from self._tie_in_table(stream, point, is_first=not number)
        yield from self._documents.stop()

    def _tie_in_table(self, stream: UnitStream, point: TiePoint, *, is_first: bool) -> Iterator[Document]:
        """Yield a tie point of the user's table; its samples are those of the unit's first stream."""
        if point.sample is None:
            yield from self._documents.tie(stream.name, point, TABLE)
        elif is_first:
            nominal = stream.time(point.sample)
            if nominal is None:
                self._tell(
                    f"the table of clocks has sample {point.sample} of unit {stream.unit}, which has {stream.samples} samples"
                )
                return
            yield from self._documents.tie(stream.name, replace(point, nominal=nominal), TABLE)

    def documents(
        self, answers: Sequence[Answer], there: Sequence[Found], *, asks: bool = True
    ) -> Iterator[Document]:
        """Yield the documents of a batch of files.

        Parameters
        ----------
        answers
            Of the files that are new.
        there
            All that are there now: a log may have come beside a file that is known.
        asks
            Whether somebody is there to be asked; otherwise files that do not tell are set aside, unless the run has yet to begin.

        Raises
        ------
        InputError
            If files do not tell whose they are, or when they were made.
        """
        answers = self._answered(answers, asks=asks)
        recorded = [answer for answer in answers if isinstance(answer, Recorded)]
        rejected = [answer for answer in answers if isinstance(answer, Rejected)]
        recorded.sort(
            key=lambda each: (not self._documents.is_begun(each), each.start, each.unit, each.found.name)
        )
        by_name = {each.name: each for each in there}
        own = []
        for each in recorded:
            twin = self._twin(each, by_name)
            if twin is None:
                own.append(each)
            else:
                rejected.append(Rejected(each.found, f"it is the same as {twin}"))
        if own and not self.state.started:
            yield from self._documents.start(own[0].start, self._units_of(own), self._continues)
        yield from self._late_logs(there)
        for each in own:
            yield from self._recorded(each)
        for refused in rejected if self.state.started else ():
            documents = self._documents.reject(refused)
            if documents:
                self._tell(f"{refused.found.name}: {refused.reason}")
            yield from documents

    def _check(self, found: Found, known: KnownFile) -> None:
        """Say it if a file is not any longer as large as it was when it was recorded."""
        if not known.least_bytes:
            return
        if found.size < known.least_bytes:
            self._tell(
                f"{found.name}: it has become shorter since it was recorded: a part of its samples is gone"
            )
        elif found.size > known.least_bytes + HEADER_BYTES:
            self._tell(
                f"{found.name}: it has become longer since it was recorded: what came later is not in the run"
            )

    def _answered(self, answers: Sequence[Answer], *, asks: bool) -> list[Recorded | Rejected]:
        """Return the answers without questions, which are asked, or set the file aside; no question is asked after it did.

        Raises
        ------
        InputError
            With all questions in one message.
        """
        settled: list[Recorded | Rejected] = []
        questions = []
        for each in answers:
            if not isinstance(each, Unanswered):
                settled.append(each)
                continue
            aside = Rejected(each.found, _why(each, "it"))
            settled.append(aside)
            if (each.found.name, each.found.size, aside.reason) not in self.state.rejected:
                questions.append(each)
        if questions and (asks or not self.state.started):
            raise InputError(_question(questions))
        return settled

    def _units_of(self, recorded: Sequence[Recorded]) -> dict[str, dict[str, Any]]:
        """Return what is known of each unit: the user's table comes first."""
        said: dict[str, dict[str, Any]] = {}
        for each in recorded:
            said.setdefault(each.unit, each.about_unit)
        order = [*self._units, *sorted(unit for unit in said if unit not in self._units)]
        return {unit: {**said.get(unit, {}), **self._units.get(unit, {})} for unit in order}

    def _recorded(self, each: Recorded) -> Iterator[Document]:
        for document in self._documents.add(each, self._units.get(each.unit, {})):
            yield document
        remark = document[1]["data"]["remark"]  # of the event, which is the last one
        if remark:
            self._tell(f"{each.found.name}: {remark}")
        if each.log is not None:
            yield from self._ties(each.found, each.log)

    def _late_logs(self, there: Sequence[Found]) -> Iterator[Document]:
        """Yield tie points of files that are known: the run was cut off before them, or the log came later."""
        for found in there:
            if found.log is None or found.name in self._logs or found.name not in self.state.files:
                continue
            log = gps_log(found.log, int(self.state.files[found.name].span.rate))
            if log is not None:
                yield from self._ties(found, log)

    def _ties(self, found: Found, log: GpsLog) -> Iterator[Document]:
        """Yield the tie points of a file's log that have a sample in it."""
        self._logs.add(found.name)
        for remark in log.remarks:
            self._tell(remark)
        known = self.state.files[found.name]
        span, stream = known.span, self.state.streams[known.stream]
        for tie in log.ties:
            if tie.sample > span.samples:
                continue
            nominal = span.start + duration_ns(tie.sample, span.rate)
            point = TiePoint(nominal, tie.utc_ns, span.first + tie.sample, tie.uncertainty_ns)
            yield from self._documents.tie(stream.name, point, GPS)

    def _twin(self, each: Recorded, there: Mapping[str, Found]) -> str | None:
        """Return the name of a file that is part already and has the same bytes; None if there is none."""
        if not self._taken:
            for known in (*self.earlier.values(), *self.state.files.values()):
                if (found := there.get(known.name)) is not None:
                    key = (known.unit, known.span.start, known.span.samples)
                    self._taken.setdefault(key, []).append(found)
        like = self._taken.setdefault((each.unit, each.start, each.samples), [])
        for other in like:
            if other.size == each.found.size and _same_bytes(other, each.found):
                return other.name
        like.append(each.found)
        return None

    def _tell(self, sentence: str) -> None:
        """Take note of a problem, once."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._problems.append(sentence)


def refused(answers: Sequence[Answer]) -> str:
    """Return what files there are that are no recordings, as a clause."""
    names = [f"{each.found.name} ({each.reason})" for each in answers if isinstance(each, Rejected)]
    return f"; there are {_listed(names)}" if names else ""


def _same_bytes(one: Found, other: Found) -> bool:
    """Say whether two files have the same content; of one that cannot be read any more it is not known."""
    try:
        return _digest(one) == _digest(other)
    except OSError:
        return False


def _digest(found: Found) -> bytes:
    with found.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _why(unanswered: Unanswered, name: str) -> str:
    """Return what has to be asked about one file."""
    asked = [question(what, name, unanswered.local) for what in unanswered.asked if what != "other"]
    return " ".join([*asked, unanswered.why]).strip()


def _files(names: Sequence[str]) -> str:
    return "1 file" if len(names) == 1 else f"{len(names):,} files"


def _question(unanswered: Sequence[Unanswered]) -> str:
    """Return what has to be asked, about all files in one message."""
    if len(unanswered) == 1:
        (only,) = unanswered
        return _why(only, only.found.name)
    parts = []
    for asked, (what, option) in _ASKED.items():
        names = [each.found.name for each in unanswered if asked in each.asked]
        if names:
            parts.append(f"{_files(names)} {what}: {_listed(names)}. To go on, {option}.")
    return " ".join([*parts, *(each.why for each in unanswered[:LISTED] if each.why)])


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
