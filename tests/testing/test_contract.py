"""The contract accepts writers that keep it, and refuses each that breaks it in one thing."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tilewright.testing.contract import WriterContract

REFERENCE = Path(__file__).with_name("reference_writer.py")
_spec = importlib.util.spec_from_file_location("reference_writer", REFERENCE)
reference_writer = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference_writer)

SUITE = """
import pytest
import reference_writer
from tilewright.testing.contract import WriterContract

class TestIt(WriterContract):
    @pytest.fixture
    def write(self):
        return reference_writer.{name}()

    @pytest.fixture
    def read(self, write):
        return write.runs.__getitem__
"""


class TestReference(WriterContract):
    @pytest.fixture(params=reference_writer.RIGHT.values())
    def write(self, request):
        return request.param()

    @pytest.fixture
    def read(self, write):
        return write.runs.__getitem__


@pytest.fixture
def outcome(pytester):
    """Return a function that runs tests in a pytest of its own: their reports, by the name of the test."""

    def run(suite, tests="not test_any"):
        shutil.copy(REFERENCE, pytester.path)
        pytester.makepyfile(suite)
        result = pytester.inline_run("-p", "no:cacheprovider", "-k", tests)
        passed, _, failed = result.listoutcomes()
        return {report.nodeid.split("::")[-1]: report for report in [*passed, *failed]}

    return run


@pytest.mark.parametrize("fault", reference_writer.FAULTS, ids=lambda fault: fault.__name__)
def test_a_broken_writer_fails(outcome, fault):
    reports = outcome(SUITE.format(name=fault.__name__))
    found_by = reference_writer.FAULTS[fault]
    assert any(report.failed for name, report in reports.items() if name.startswith(found_by))
    assert reports["test_no_descriptor"].passed or fault in {
        reference_writer.MutatesDocuments,
        reference_writer.ForgetsStop,
    }


@pytest.mark.parametrize(
    "fault", ["TrustsTheOrderOfKeys", "LosesNone", "LosesAttempts", "LosesPages", "ForgetsStop"]
)
def test_drawn_runs_find_faults_too(outcome, fault):
    reports = outcome(SUITE.format(name=fault), "test_any_run")
    assert any(report.failed for report in reports.values())


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("DropsARow", "stream 'primary': the row with seq_num 3 at time 1700000003.0 is missing"),
        ("ChangesAValue", "stream 'primary': seq_num 3, 'x0': expected 3.0, found 3.000000001"),
        ("MutatesDocuments", "the writer changed the start document it was given"),
        ("ForgetsStop", "expected {'uid'"),
    ],
)
def test_a_failure_says_what_differs(outcome, fault, sentence):
    assert sentence in str(outcome(SUITE.format(name=fault))["test_simple_run"].longrepr)


def test_fixtures_must_be_given(outcome):
    reports = outcome(SUITE[: SUITE.index("    @pytest.fixture")] + "    pass", "test_simple_run")
    report = reports["test_simple_run"]
    assert report.failed
    assert "TestIt must override the fixture `write`" in str(report.longrepr)
