"""The corpus without a server: what is recorded, planned and built of every case."""

import pytest

from tilewright.documents import NOTE
from tilewright.journal import JournalDirectory

from .corpus import CASES, check
from .offline import documents_of, read, record


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "journal")


def test_it_ends_in_readable_runs(case, directory):
    paths, refused = record(case, directory)
    check(case, [read(path) for path in paths])
    assert refused == case.errors


REPEATED = {"the_same_run_again", "the_same_uid_again", "the_same_run_with_another_event"}
"""Cases of documents that are in a journal already, and are not written twice."""


@pytest.mark.parametrize(
    "one",
    [case for case in CASES if case.errors == 0 and case.name not in REPEATED],
    ids=lambda case: case.name,
)
def test_no_document_is_silently_gone(one, directory):
    """Each is in a journal, whatever became of it afterwards."""
    paths, _ = record(one, directory)
    recorded = [name for path in paths for name, _ in documents_of(path) if name != NOTE]
    assert len(recorded) >= len(list(one))
