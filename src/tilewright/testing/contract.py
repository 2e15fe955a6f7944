"""In comes a way to write documents and to read runs back, out comes a verdict: a suite of tests to subclass.

    class TestMyWriter(WriterContract):
        @pytest.fixture
        def write(self): ...

        @pytest.fixture
        def read(self): ...

pytest collects the subclass and runs every test of the contract with it.
"""
# ruff: noqa: D102 - the names of the tests say what they say

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from event_model import compose_run

from tilewright.errors import SetupError
from tilewright.testing.documents import START_TIME, data_key, run_of, simple_run, value_of
from tilewright.testing.expected import compare_runs
from tilewright.testing.strategies import RunOptions, interleaved, runs

try:
    import pytest
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise SetupError(
        "tilewright.testing.contract needs pytest and Hypothesis: python -m pip install pytest hypothesis"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilewright.documents import Document
    from tilewright.testing.expected import RunReading

    Write = Callable[[list[Document]], None]
    Read = Callable[[str], RunReading]

MOST_DIFFERENCES = 20
"""How many differences a failure shows."""

PROPERTY = settings(
    max_examples=15,
    deadline=None,  # a server answers when it answers
    derandomize=True,
    # No shrinking: it would write hundreds of runs more, and a failure names the values that differ anyway.
    phases=[Phase.explicit, Phase.generate],
    # Fixtures are used by all examples of a test: their runs have uids of their own, so that nothing mixes.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


class WriterContract:
    """What every writer owes: all that the documents say can be read as it was said, and nothing else."""

    options: ClassVar[RunOptions] = RunOptions()
    """What the drawn runs may have in them; a subclass restricts it where its writer's purpose is narrower."""

    @pytest.fixture
    def write(self) -> NoReturn:
        """Return a function that writes documents, and returns when they are readable."""
        raise SetupError(f"{type(self).__name__} must override the fixture `write`")

    @pytest.fixture
    def read(self) -> NoReturn:
        """Return a function that takes a run's uid and returns its `tilewright.testing.expected.RunReading`."""
        raise SetupError(f"{type(self).__name__} must override the fixture `read`")

    @pytest.fixture
    def check(self, write: Write, read: Read) -> Write:
        """Return a function that writes documents, reads their runs back and fails where they differ."""

        def write_and_compare(documents: list[Document]) -> None:
            before = copy.deepcopy(documents)
            write(documents)
            differences = changed_documents(before, documents) + compare_runs(before, read)
            if differences:
                shown = differences[:MOST_DIFFERENCES]
                more = len(differences) - len(shown)
                pytest.fail("\n".join([*shown, *([f"... and {more} more"] if more else [])]), pytrace=False)

        return write_and_compare

    def test_simple_run(self, check: Write) -> None:
        check(simple_run())

    def test_many_events(self, check: Write) -> None:
        check(simple_run(events=1000, keys=2))

    def test_every_kind_of_scalar(self, check: Write) -> None:
        columns: dict[str, list[Any]] = {
            "float": [0.1, -0.0, math.inf, -math.inf, 5e-324],
            "nan": [math.nan, 1.5, math.nan, 2.5, math.nan],
            "int": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)],
            "bool": [True, False, False, True, True],
            "str": ["", "plain", "µm 温度 \N{GRINNING FACE}", "'quoted', \"twice\"", "two\nlines"],
        }
        check(run_of(columns))

    @pytest.mark.parametrize("place", ["first", "middle", "last", "everywhere"])
    def test_none(self, check: Write, place: str) -> None:
        gone = {"first": [0], "middle": [2], "last": [4], "everywhere": range(5)}[place]
        columns: dict[str, list[Any]] = {
            "float": [row + 0.5 for row in range(5)],
            "int": [2**60 + row for row in range(5)],
            "bool": [row % 2 == 0 for row in range(5)],
            "str": [f"row {row}" for row in range(5)],
            "array": [[row, row + 0.5] for row in range(5)],
        }
        documents = run_of(columns)
        for name, doc in documents:
            if name == "event" and doc["seq_num"] - 1 in gone:
                doc["data"] = dict.fromkeys(columns)
        check(documents)

    def test_float_in_an_int_column(self, check: Write) -> None:
        check(run_of({"x": [1, 2, 2.5, 4]}, dtypes={"x": "<i8"}))

    def test_float_beside_ints_that_no_float_can_hold(self, check: Write) -> None:
        check(run_of({"x": [2**53 + 1, 0.5, -(2**63) + 1]}, dtypes={"x": "<i8"}))

    def test_int_in_a_float_column(self, check: Write) -> None:
        check(run_of({"x": [0.5, 1, 2**53 + 1]}, dtypes={"x": "<f8"}))

    def test_int_of_more_than_64_bits(self, check: Write) -> None:
        check(run_of({"x": [1, 2**70, 3]}))

    def test_string_in_a_number_column(self, check: Write) -> None:
        columns = {"x": [0.5, "out of range", 2.5], "n": ["1", 2, 3]}
        check(run_of(columns, dtypes={"x": "<f8", "n": "<i8"}))

    def test_number_in_a_string_column(self, check: Write) -> None:
        check(run_of({"name": ["a", 1, "1"]}))

    def test_short_arrays(self, check: Write) -> None:
        columns: dict[str, list[Any]] = {
            "floats": [[row, row + 0.25, math.nan] for row in range(4)],
            "ints": [[row, 2**62 + row] for row in range(4)],
            "strings": [[f"{row}", f"{row}/1"] for row in range(4)],
            "bools": [[row % 2 == 0] for row in range(4)],
            "sixteen": [[row + element / 16 for element in range(16)] for row in range(4)],
        }
        check(run_of(columns, dtypes={"floats": "<f8", "sixteen": "<f8"}))

    def test_event_page(self, check: Write) -> None:
        check(simple_run(paged=True))

    def test_events_after_a_page(self, check: Write) -> None:
        start, descriptor, page, stop = simple_run(events=4, paged=True)
        run = simple_run(events=6)
        events = [event for name, event in run if name == "event"][4:]
        for event in events:
            event["descriptor"] = descriptor[1]["uid"]
        check([start, descriptor, page, *(("event", event) for event in events), stop])

    def test_repeated_seq_num(self, check: Write) -> None:
        seq_nums = [1, 2, 3, 2, 3, 3, 4]
        check(run_of({"row": list(range(7))}, seq_nums=seq_nums))

    def test_several_streams(self, check: Write) -> None:
        check(streams_of_one_run("primary", "baseline", "det_monitor"))

    def test_two_descriptors(self, check: Write) -> None:
        check(streams_of_one_run("primary", "primary"))

    def test_interleaved_runs(self, check: Write) -> None:
        one, other = simple_run(scan_id=1), simple_run(scan_id=2, keys=2)
        check([document for pair in zip(one, other, strict=True) for document in pair])

    def test_no_events(self, check: Write) -> None:
        check(simple_run(events=0))

    def test_no_descriptor(self, check: Write) -> None:
        start, _, stop = simple_run(events=0)
        check([start, stop])

    def test_no_stop(self, check: Write) -> None:
        check(simple_run()[:-1])

    def test_columns_in_the_order_of_the_descriptor(self, write: Write, read: Read) -> None:
        documents = run_of({"zeta": [1], "Alpha": [2], "midway": [3]})
        write(documents)
        table = read(documents[0][1]["uid"]).table("primary", timestamps=True, attempts=True)
        keys = ["zeta", "Alpha", "midway"]
        assert list(table.columns) == ["seq_num", "time", *keys, *(f"ts_{key}" for key in keys)]

    @pytest.mark.parametrize("paged", [False, True])
    def test_events_in_another_order_than_the_descriptor(self, check: Write, paged: bool) -> None:  # noqa: FBT001 - pytest's
        documents = simple_run(keys=4, paged=paged)
        for name, doc in documents:
            if name.startswith("event"):
                doc["data"] = dict(reversed(doc["data"].items()))
        check(documents)

    def test_metadata(self, check: Write) -> None:
        documents = simple_run(events=1)
        documents[0][1].update(
            plan_args={"num": 3, "args": ["motor", -1.0, 1.0], "nothing": None, "empty": {}, "list": []},
            sample={"name": "Al µm", "nested": [{"a": [1, [2, {"b": True}]]}]},
            motors=("x", "y"),
        )
        check(documents)

    @PROPERTY
    @given(data=st.data())
    def test_any_run(self, check: Write, data: st.DataObject) -> None:
        check(data.draw(runs(self.options)))

    @PROPERTY
    @given(data=st.data())
    def test_any_run_with_misfits(self, check: Write, data: st.DataObject) -> None:
        check(data.draw(runs(dataclasses.replace(self.options, misfits=True))))

    @PROPERTY
    @given(data=st.data())
    def test_any_interleaved_runs(self, check: Write, data: st.DataObject) -> None:
        check(data.draw(interleaved(self.options)))


def changed_documents(before: list[Document], after: list[Document]) -> list[str]:
    """Return a sentence for each document that the writer changed."""
    return [
        f"the writer changed the {name} document it was given: {old!r} is now {new!r}"
        for (name, old), (_, new) in zip(before, after, strict=True)
        if repr(old) != repr(new)  # unlike ==, it sees types, and takes NaN for NaN
    ]


def streams_of_one_run(*names: str) -> list[Document]:
    """Return a run with a descriptor of each name in turn, and three events each; a name may come again."""
    run = compose_run(time=START_TIME, metadata={"scan_id": 1})
    documents: list[Document] = [("start", run.start_doc)]
    for turn, name in enumerate(names):
        configuration = {
            "data": {"exposure": turn},
            "timestamps": {"exposure": START_TIME},
            "data_keys": {"exposure": {"source": "simulated", "dtype": "integer", "shape": []}},
        }
        bundle = run.compose_descriptor(
            name=name,
            data_keys={"x": data_key([0.5])},
            configuration={"camera": configuration},
            object_keys={"camera": ["x"]},
            time=START_TIME + 10 * turn,
        )
        documents.append(("descriptor", bundle.descriptor_doc))
        for event in range(1, 4):
            time = START_TIME + 10 * turn + event
            doc = bundle.compose_event(data={"x": value_of(event, turn)}, timestamps={"x": time}, time=time)
            documents.append(("event", doc))
    documents.append(("stop", run.compose_stop(time=START_TIME + 10 * len(names))))
    return documents
