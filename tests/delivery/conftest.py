"""A journal that tests write to and deliver, and the catalog's requests."""

import pytest

from tilewright.delivery import Outcome, RunDelivery, target
from tilewright.errors import TransientError
from tilewright.journal import Header, JournalReader, JournalWriter, encode


@pytest.fixture
def remote(catalog):
    return target(catalog).connect()


class Journal:
    """A journal that a test writes to and delivers."""

    def __init__(self, path):
        self.path = path
        self.writer = JournalWriter(path, Header("run", None, 0.0, "test"))
        self.readers = []

    def another(self, name):
        """Return a journal beside this one."""
        return Journal(self.path.with_name(name))

    def append(self, documents):
        for document in documents:
            self.writer.append(encode(*document))

    def delivery(self, remote):
        self.readers.append(JournalReader(self.writer.path))
        return RunDelivery(self.readers[-1], remote)

    @staticmethod
    def deliver(delivery, *, ended=False, tries=20):
        """Step until the server is level, as the worker does, and return the outcome."""
        for _ in range(tries):
            try:
                outcome = delivery.step(ended=ended)
            except TransientError:
                continue
            if outcome is not Outcome.MORE:
                return outcome
        raise AssertionError("delivery does not come to an end")

    def close(self):
        self.writer.close()
        for reader in self.readers:
            reader.close()


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "run.twj")
    yield journal
    journal.close()
