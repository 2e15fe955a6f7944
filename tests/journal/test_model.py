"""A model of a journal and of everybody around it, played against real files by Hypothesis.

The model is a list of numbers: the documents that were acknowledged, in order. Whatever happens, a reader in the
acquiring process sees exactly these, one in another process a first part of them; a killed process costs none that
the file took, a power failure none that was synced.
"""

import errno
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tilewright.errors import SetupError
from tilewright.journal import Budget, Header, JournalDirectory, JournalReader, encode
from tilewright.journal.disk import let_go
from tilewright.journal.names import NAMES
from tilewright.journal.records import RECORD
from tilewright.testing.disk import FaultyDisk

HEADER = Header("run", "http://catalog", 0.0, "test")
LIMIT = 3000
"""Bytes of memory: little, so that it is used up now and then."""


class Journal(RuleBasedStateMachine):
    """One run: its writer, a reader beside the writer, a reader in another process, and an unkind world."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches = [  # nobody here gives back a lock while another waits
            patch("tilewright.journal.file.LOCK_SECONDS", 0),
            patch("tilewright.journal.directory.RETRY_SECONDS", 0),
        ]
        for each in self.patches:
            each.start()
        self.next = 0
        self.acknowledged = []
        self.ends = []
        """Where the record of each ends."""
        self.in_file = 0
        """How many of them a killed process leaves for sure."""
        self.on_disk = 0
        """How many of them a power failure leaves for sure."""
        self.writer = self.inside = self.outside = None
        self.given = {"inside": [], "outside": []}
        """What each reader has given since it began."""

    def teardown(self):
        self.forget_writer()
        self.forget_outside()
        for each in self.patches:
            each.stop()
        self.folder.cleanup()

    @initialize()
    def begin(self):
        self.new_process()
        self.record()

    # --- the acquiring process

    def new_process(self):
        self.faults = FaultyDisk()
        self.directory = JournalDirectory(Path(self.folder.name), Budget(LIMIT), self.faults.disk)

    @precondition(lambda self: self.writer is None and len(list(self.directory.path.glob("*.twj"))) < NAMES)
    @rule()
    def record(self):
        """Begin the run, or go on with it, as the recorder does; beside files that were cut off in the header."""
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is None:
            assert not self.in_file
            self.acknowledged, self.ends, self.in_file, self.on_disk = [], [], 0, 0
            self.writer = self.directory.create(HEADER)
            self.end = len(HEADER.encode())
            self.forget_outside()
        else:
            self.writer = self.directory.reopen(path)
            self.end = self.writer.tail.end if self.writer.tail else self.writer._file.position()
        self.inside = self.writer.reader()
        self.given["inside"] = []
        self.ended = False

    @precondition(lambda self: self.writer is not None and not self.ended)
    @rule(size=st.integers(0, 400))
    def append(self, size):
        payload = encode("event", {"number": self.next, "filler": "x" * size})
        try:
            self.writer.append(payload)
        except SetupError:
            assert self.directory.budget.used + len(payload) + RECORD.size > LIMIT
            assert self.writer.lost
        else:
            self.end += RECORD.size + len(payload)
            self.ends.append(self.end)
            self.acknowledged.append(self.next)
        if self.writer.tail is None:
            self.in_file = len(self.acknowledged)
        else:
            assert self.writer.trouble
        self.next += 1

    @precondition(lambda self: self.writer is not None)
    @rule()
    def sync(self):
        self.writer.sync()
        works = self.faults.room is None and self.faults.refuses is None
        if self.writer.tail is None:
            self.in_file = self.on_disk = len(self.acknowledged)
            assert not works or self.writer.trouble is None
        else:
            assert not works
            assert self.writer.trouble
        if self.ended:
            self.forget_a_closed_writer()

    @precondition(lambda self: self.writer is not None)
    @rule()
    def stop(self):
        """End the run in good order; what the disk does not take waits, and the writer with it."""
        self.ended = True
        self.writer.close()
        self.sync()

    @precondition(lambda self: self.writer is not None)
    @rule()
    def begin_twice(self):
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is not None:
            with pytest.raises(SetupError, match="being written by another process"):
                JournalDirectory(self.directory.path).reopen(path)

    # --- the world

    @rule(room=st.integers(0, 600))
    def disk_full(self, room):
        self.faults.room = room

    @rule(number=st.sampled_from([errno.EROFS, errno.EIO]), cuts=st.booleans())
    def disk_fails(self, number, cuts):
        self.faults.refuses, self.faults.cuts = number, cuts

    @rule()
    def disk_works_again(self):
        self.faults.room, self.faults.refuses, self.faults.cuts = None, None, True

    @precondition(lambda self: self.writer is not None)
    @rule()
    def kill(self):
        """Kill the acquiring process: what was only in memory is gone."""
        self.forget_writer()
        self.new_process()
        self.look_what_is_left(self.in_file)

    @rule(share=st.floats(0, 1), zeros=st.booleans())
    def power_failure(self, share, zeros):
        """Keep some of what was not on the disk yet, or zeros in its place."""
        path = self.directory.find(HEADER.run, HEADER.catalog)
        synced = self.faults.synced(path) if path is not None else 0
        self.forget_writer()
        self.forget_outside()
        self.new_process()
        if path is not None:
            size = path.stat().st_size
            least = min(size, max([synced, *self.ends[: self.on_disk]]))
            kept = least + round(share * (size - least))
            data = path.read_bytes()[:kept]
            path.write_bytes(data + bytes(size - kept) * zeros)
        self.look_what_is_left(self.on_disk)

    @precondition(lambda self: self.writer is None)
    @rule(size=st.integers(1, 500))
    def cut_the_tail(self, size):
        """Somebody makes the file shorter; others that read it begin anew."""
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is None:
            return
        left = max(len(HEADER.encode()), path.stat().st_size - size)
        path.write_bytes(path.read_bytes()[:left])
        self.forget_outside()
        self.look_what_is_left(sum(end <= left for end in self.ends))

    @precondition(lambda self: self.writer is not None and self.in_file)
    @rule(move=st.booleans())
    def remove_the_file(self, move):
        """Somebody cleans up; the next sync writes it again."""
        self.disk_works_again()
        path = self.writer.path
        if not path.exists():
            return
        path.rename(path.with_suffix(".moved")) if move else path.unlink()
        self.sync()

    @rule()
    def deliver_by_two(self):
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is None:
            return
        claim = self.directory.claim(path)
        assert JournalDirectory(self.directory.path).claim(path) is None
        assert self.directory.claimant(path) is not None
        claim.release()
        assert self.directory.claimant(path) is None

    @rule(verified=st.booleans())
    def archive(self, verified):
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is not None and path.parent == self.directory.path:
            assert self.directory.archive(path, verified=verified) == (self.writer is None)

    # --- readers

    @precondition(lambda self: self.outside is None)
    @rule()
    def another_process_reads(self):
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is not None:
            self.outside = JournalReader(path)
            self.given["outside"] = []

    @rule(size=st.integers(1, 1000), who=st.sampled_from(["inside", "outside"]))
    def deliver_a_step(self, size, who):
        if (reader := getattr(self, who)) is not None:
            self.given[who] += [doc["number"] for _, doc in reader.read(size)]
            assert self.given[who] == self.acknowledged[: len(self.given[who])]

    @rule(who=st.sampled_from(["inside", "outside"]))
    def fail_a_step(self, who):
        """Whoever delivers begins again from the first document."""
        if (reader := getattr(self, who)) is not None:
            reader.rewind()
            self.given[who] = []

    @invariant()
    def the_acquiring_process_has_everything(self):
        if self.writer is not None:
            with self.writer.reader() as reader:
                assert self.read_all(reader) == self.acknowledged
                assert reader.size() == self.end

    @invariant()
    def others_have_what_is_in_the_file(self):
        path = self.directory.find(HEADER.run, HEADER.catalog)
        if path is None:
            assert self.in_file == 0
            return
        with JournalReader(path) as reader:
            found = self.read_all(reader)
        assert found == self.acknowledged[: len(found)]
        assert len(found) >= self.in_file
        assert self.directory.is_recording(path) == (self.writer is not None)

    # --- what the rules have in common

    def read_all(self, reader, who=None):
        found = [doc["number"] for _, doc in reader]
        if who is None:
            return found
        self.given[who] += found
        assert self.given[who] == self.acknowledged
        return found

    def look_what_is_left(self, at_least):
        """Begin again with what a crash has left: the first documents, of those that must be there none is missing."""
        path = self.directory.find(HEADER.run, HEADER.catalog)
        found = []
        if path is not None:
            with JournalReader(path) as reader:
                found = self.read_all(reader)
        assert found == self.acknowledged[: len(found)]
        assert len(found) >= at_least
        assert self.given["outside"] == found[: len(self.given["outside"])]
        del self.acknowledged[len(found) :], self.ends[len(found) :]
        self.in_file, self.on_disk = len(found), min(self.on_disk, len(found))

    def forget_a_closed_writer(self):
        assert self.writer.closed == (self.in_file == len(self.acknowledged) and self.writer.tail is None)
        if self.writer.closed:
            self.read_all(self.inside, "inside")
            self.forget_writer()

    def forget_writer(self):
        if self.writer is not None:
            self.inside.close()
            if self.writer._file.fd >= 0:
                let_go(self.writer._file.fd)  # as the end of the process does: nothing more is written
        self.writer = self.inside = None

    def forget_outside(self):
        if self.outside is not None:
            self.outside.close()
        self.outside = None
        self.given["outside"] = []


TestJournal = Journal.TestCase
TestJournal.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
