"""A journal that tests write to and deliver, and the catalog's requests."""

import dataclasses

import pytest

from tilewright.delivery import Outcome, RunDelivery, target
from tilewright.delivery.failures import FateUnknownError
from tilewright.delivery.remote import Remote
from tilewright.errors import TransientError
from tilewright.journal import Header, JournalReader, JournalWriter, encode


@pytest.fixture
def remote(catalog):
    return target(catalog).connect()


@dataclasses.dataclass(frozen=True, slots=True)
class Failing(Remote):
    """Fails at every so many requests, before or after it was carried out."""

    first: int = 0
    every: int = 1
    when: str = "before"
    count: list = dataclasses.field(default_factory=lambda: [0])

    @property
    def failures(self):
        return (self.count[0] - self.first) // self.every + 1

    def _send(self, *args, **kwargs):
        self.count[0] += 1
        fails = self.count[0] % self.every == self.first
        if fails and self.when == "before":
            raise FateUnknownError("the connection broke before")
        answer = Remote._send(self, *args, **kwargs)
        if fails:
            raise FateUnknownError("the connection broke after")
        return answer


@pytest.fixture
def make_failing(remote):
    """Return a function that makes a connection which fails."""
    fields = {field.name: getattr(remote, field.name) for field in dataclasses.fields(Remote)}
    return lambda first, every, when: Failing(**fields, first=first, every=every, when=when)


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

    @staticmethod
    def step_on(delivery):
        """Step once, and return the outcome; None if a request failed."""
        try:
            return delivery.step()
        except TransientError:
            return None

    def close(self):
        self.writer.close()
        for reader in self.readers:
            reader.close()


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "run.twj")
    yield journal
    journal.close()
