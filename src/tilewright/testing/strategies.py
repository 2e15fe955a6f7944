"""In come options, out come Hypothesis strategies for whole runs of documents; property tests call them.

Everything is composed by `event_model.compose_run`, which validates it against Bluesky's schemas. Uids are fresh in
every example, so that examples can be written to one and the same server.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from event_model import compose_run

from tilewright.errors import SetupError
from tilewright.testing.documents import START_TIME, value_of

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise SetupError(
        "tilewright.testing.strategies needs Hypothesis: python -m pip install hypothesis"
    ) from error

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from tilewright.documents import Document

Kind = Literal["number", "integer", "boolean", "string"]

PLAIN_KEYS = ("x", "y", "det_a", "det_b", "motor_user_setpoint", "I0", "temperature", "comment")
NASTY_KEYS = (
    "time",  # what every table has already
    "seq_num",
    "ts_x",  # the timestamp column of x
    "X",  # x again, to who folds case
    "select",  # a word of SQL
    "two words",
    "1st",
    "_hidden",
    "a-b:c[0]",
    "quote'\"`",
    "drop;--",
    "µm",
    "温度",
    "e\u0301",  # two code points that are one letter
    "long_" + 80 * "k",
)
"""Names of data keys that event-model allows and that stores stumble over."""

KINDS: tuple[Kind, ...] = ("number", "integer", "boolean", "string")
STREAMS = ("primary", "baseline", "det_a_monitor")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What runs may have in them; the default is all that is legal."""

    keys: tuple[str, ...] = PLAIN_KEYS + NASTY_KEYS
    """Names to choose data keys from."""
    kinds: tuple[Kind, ...] = KINDS
    """What values may be: of event-model's scalar dtypes."""
    largest_array: int = 16
    """Elements a short array may have; 0 for scalars only."""
    nulls: bool = True
    """Whether values may be None."""
    misfits: bool = False
    """Whether values may be of another kind than the descriptor says."""
    pages: bool = True
    """Whether there may be event_pages among the events."""
    rewinds: bool = True
    """Whether plans may be rewound, so that `seq_num` repeats."""
    incomplete: bool = True
    """Whether there may be no events, no descriptor, or no stop."""
    identifying: bool = False
    """Whether a value follows from `seq_num` and the column's number, as far as its kind can tell."""
    most_streams: int = 3
    most_keys: int = 5
    """Data keys of one stream."""
    most_steps: int = 15
    """Events, pages and further descriptors of one run."""


ANY_RUN = RunOptions()
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
"""Without NUL, which PostgreSQL does not take: our writer escapes or rejects it."""
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SCALARS: dict[Kind, SearchStrategy[Any]] = {
    "number": st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0]),
    "integer": st.integers(-10, 10) | INTEGERS,
    "boolean": st.booleans(),
    "string": TEXTS,
}
NUMPY_DTYPES: dict[Kind, str] = {"number": "<f8", "integer": "<i8", "boolean": "|b1", "string": "<U12"}
METADATA = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdé"), inner, max_size=3),
    max_leaves=6,
)


METADATA_DICT = st.dictionaries(st.sampled_from("abcdé"), METADATA, max_size=3)


@dataclass(frozen=True, slots=True)
class Column:
    """One data key as it is drawn."""

    number: int
    kind: Kind
    length: int | None
    """Elements of an array; None for a scalar."""
    declared: bool
    """Whether the descriptor gives `dtype_numpy` too."""

    def data_key(self) -> dict[str, Any]:
        """Return the descriptor's entry."""
        entry: dict[str, Any] = {
            "source": "hypothesis",
            "shape": [] if self.length is None else [self.length],
        }
        entry["dtype"] = self.kind if self.length is None else "array"
        # The elements of an array have no other declaration.
        return entry | ({"dtype_numpy": NUMPY_DTYPES[self.kind]} if self.declared or self.length else {})

    def values(self, seq_num: int, options: RunOptions) -> SearchStrategy[Any]:
        """Return what one event may have here."""
        if options.identifying:
            values = st.just(self._identifying(seq_num))
        elif self.length is None:
            values = SCALARS[self.kind]
        else:
            values = st.lists(SCALARS[self.kind], min_size=self.length, max_size=self.length)
        if options.misfits:
            values |= st.one_of(*SCALARS.values())
        return (values | st.none()) if options.nulls else values

    def _identifying(self, seq_num: int) -> Any:
        if self.length is None:
            return identifying_value(self.kind, seq_num, self.number)
        return [
            identifying_value(self.kind, seq_num, self.number + element) for element in range(self.length)
        ]


def identifying_value(kind: Kind, seq_num: int, column: int) -> float | int | bool | str:
    """Return the value that says where it belongs.

    >>> [identifying_value(kind, 7, 12) for kind in KINDS]
    [7.012, 7012, True, '7/12']
    """
    match kind:
        case "number":
            return value_of(seq_num, column)
        case "integer":
            return seq_num * 1000 + column
        case "boolean":
            return bool((seq_num + column) % 2)
        case "string":
            return f"{seq_num}/{column}"


@dataclass(slots=True)
class _Run:
    """A run under composition: what was emitted, and what the next document follows from."""

    draw: DrawFn
    options: RunOptions
    documents: list[Document] = field(default_factory=list)
    bundle: Any = None
    """What `compose_run` gave."""
    counters: dict[str, int] = field(default_factory=dict)
    """The `seq_num` of the next event of each stream: event-model counts here."""
    columns: dict[str, dict[str, Column]] = field(default_factory=dict)
    """Of each stream, by data key."""
    descriptors: dict[str, Any] = field(default_factory=dict)
    """What the latest `compose_descriptor` of each stream gave."""

    def now(self) -> float:
        """Return a time that no other document has."""
        return START_TIME + len(self.documents)

    def start(self) -> None:
        metadata = self.draw(
            st.fixed_dictionaries({"scan_id": st.integers(1, 10**6)}, optional={"sample": METADATA_DICT})
        )
        self.bundle = compose_run(
            uid=str(uuid4()), time=self.now(), metadata=metadata, event_counters=self.counters
        )
        self.documents.append(("start", self.bundle.start_doc))

    def describe(self, stream: str) -> None:
        """Emit the stream's first descriptor, or a further one with another configuration."""
        if stream not in self.columns:
            self.columns[stream] = self.draw(_columns(self.options))
        now = self.now()
        configuration = {
            "data": {"exposure": now},
            "timestamps": {"exposure": now},
            "data_keys": {"exposure": {"source": "hypothesis", "dtype": "number", "shape": []}},
        }
        self.descriptors[stream] = self.bundle.compose_descriptor(
            name=stream,
            data_keys={key: column.data_key() for key, column in self.columns[stream].items()},
            configuration={"camera": configuration},
            object_keys={"camera": list(self.columns[stream])},
            time=now,
        )
        self.documents.append(("descriptor", self.descriptors[stream].descriptor_doc))

    def event(self, stream: str, *, rewind: bool = False) -> None:
        """Emit one event; after a rewind it has a `seq_num` that was there before."""
        seq_num = self.counters[stream]
        if rewind:
            seq_num = self.draw(st.integers(1, seq_num))
        data, timestamps = self._row(stream, seq_num, self.now())
        event = self.descriptors[stream].compose_event(
            data=data, timestamps=timestamps, seq_num=seq_num, time=self.now()
        )
        self.documents.append(("event", event))

    def page(self, stream: str) -> None:
        """Emit one page of events."""
        first = self.counters[stream]
        numbers = list(range(first, first + self.draw(st.integers(1, 4))))
        times = [self.now() + place / 16 for place in range(len(numbers))]
        rows = [self._row(stream, number, time) for number, time in zip(numbers, times, strict=True)]
        data, timestamps = (
            {key: [row[part][key] for row in rows] for key in rows[0][part]} for part in (0, 1)
        )
        page = self.descriptors[stream].compose_event_page(
            data=data, timestamps=timestamps, seq_num=numbers, time=times
        )
        self.documents.append(("event_page", page))

    def stop(self) -> None:
        status = self.draw(st.sampled_from(["success", "abort", "fail"]))
        self.documents.append(("stop", self.bundle.compose_stop(exit_status=status, time=self.now())))

    def _row(self, stream: str, seq_num: int, time: float) -> tuple[dict[str, Any], dict[str, float]]:
        """Return data and timestamps of one event, their keys in any order, as devices come in."""
        columns = self.columns[stream]
        order = self.draw(st.permutations(list(columns)))
        data = {key: self.draw(columns[key].values(seq_num, self.options)) for key in order}
        return data, {key: time + columns[key].number / 1024 for key in reversed(order)}


def runs(options: RunOptions = ANY_RUN) -> SearchStrategy[list[Document]]:
    """Return a strategy for one run, as the documents a RunEngine would emit.

    Several streams whose events alternate; further descriptors with the same data keys and another
    configuration; events and event_pages; values as `options` allow. Times and timestamps are all different.
    """
    return _runs(options)


def interleaved(options: RunOptions = ANY_RUN, *, most_runs: int = 3) -> SearchStrategy[list[Document]]:
    """Return a strategy for two runs or more, whose documents come mixed, each run's in order."""
    return st.lists(runs(options), min_size=2, max_size=most_runs).flatmap(_mixed)


def _mixed(several: list[list[Document]]) -> SearchStrategy[list[Document]]:
    turns = [number for number, run in enumerate(several) for _ in run]

    def deal(order: list[int]) -> list[Document]:
        remaining = [iter(run) for run in several]
        return [next(remaining[number]) for number in order]

    return st.permutations(turns).map(deal)


@st.composite
def _columns(draw: DrawFn, options: RunOptions) -> dict[str, Column]:
    """Draw the data keys of one stream."""
    keys = draw(st.lists(st.sampled_from(options.keys), min_size=1, max_size=options.most_keys, unique=True))
    lengths: SearchStrategy[int | None] = st.none()
    if options.largest_array:
        lengths |= st.integers(1, options.largest_array)
    return {
        key: Column(number, draw(st.sampled_from(options.kinds)), draw(lengths), draw(st.booleans()))
        for number, key in enumerate(keys)
    }


@st.composite
def _runs(draw: DrawFn, options: RunOptions) -> list[Document]:
    """Draw one run, step by step."""
    least = 0 if options.incomplete else 1
    run = _Run(draw, options)
    run.start()
    streams = draw(
        st.lists(st.sampled_from(STREAMS), min_size=least, max_size=options.most_streams, unique=True)
    )
    actions = ["event", "describe"] + ["page"] * options.pages + ["rewind"] * options.rewinds
    steps = [] if options.incomplete else [("event", stream) for stream in streams]
    if streams:
        step = st.tuples(st.sampled_from(actions), st.sampled_from(streams))
        number = draw(st.integers(0, options.most_steps))  # lists alone would be short
        steps += draw(st.lists(step, min_size=number, max_size=number))
    for action, stream in steps:
        _emit(run, action, stream)
    if not options.incomplete or draw(st.booleans()):
        run.stop()
    return run.documents


def _emit(run: _Run, action: str, stream: str) -> None:
    """Make one step of a run; a stream is described when something is first done with it."""
    if action == "describe" or stream not in run.columns:
        run.describe(stream)
    if action == "page":
        run.page(stream)
    elif action != "describe":
        run.event(stream, rewind=action == "rewind")
