"""Missing fields, fields of wrong types, documents that are none, odd numbers of events."""

import math
import uuid

import numpy as np

from .base import CASES, MISSING, ODD_TYPES, Case, Run, case, number


def _run(doc, start=None, descriptor=None, stop=None):
    yield doc.start(**(start or {}))
    yield doc.descriptor(**(descriptor or {}))
    yield from doc.events(1, 2)
    yield doc.stop(**(stop or {}))


UNNAMED = Run(uid=r"unnamed-[0-9a-f]{16}", x=[1, 2], notes=["the uid of its start document is"])
SOUND = Run(x=[1, 2])

_UIDS = {
    "missing": (MISSING, UNNAMED),
    "none": (None, UNNAMED),
    "empty": ("", UNNAMED),
    "a_list": ([1], UNNAMED),
    "a_float": (1.5, UNNAMED),
    "true": (True, UNNAMED),
    "bytes": (b"uid", UNNAMED),
    "an_array": (np.arange(3), UNNAMED),
    "a_huge_integer": (10**6000, UNNAMED),
    "numpys_integer": (np.int64(7022), Run(uid="7022", x=[1, 2], notes=["7022.*; it is recorded as '7022'"])),
    "a_huge_numpys_integer": (
        np.uint64(2**64 - 1),
        Run(uid="18446744073709551615", x=[1, 2], notes=["it is recorded"]),
    ),
    "a_duration": (np.timedelta64(5, "s"), UNNAMED),
    "an_integer": (7021, Run(uid="7021", x=[1, 2], notes=["7021; it is recorded as '7021'"])),
    "a_uuid": (
        uuid.UUID(int=5),
        Run(uid=str(uuid.UUID(int=5)), x=[1, 2], notes=["it is recorded as"]),
    ),
    "numpys_text": (np.str_("numpy's text"), Run(uid="numpy's text", x=[1, 2])),
    "a_lone_surrogate": (
        "\ud800 alone",
        Run(uid=r"\\ud800 alone", x=[1, 2], notes=["is recorded as", "is the node '_ud800 alone-"]),
    ),
}
for _what, (_uid, _expected) in _UIDS.items():
    # Its other documents call the run as its start does; a surrogate is escaped in all of them alike.
    CASES.append(
        Case(
            f"a_uid_that_is_{_what}",
            lambda doc, uid=_uid: _run(doc, {"uid": uid}, {"run_start": uid}, {"run_start": uid}),
            (_expected,),
            server=_what in ("missing", "a_lone_surrogate"),
        )
    )


@case(Run(uid=UNNAMED.uid, x=[1, 2], notes=UNNAMED.notes), server=False)
def no_uid_in_the_start_but_in_the_others(doc):
    yield from _run(doc, {"uid": MISSING})


@case(Run(x=[1, 2], start={"time": None}), server=False)
def no_time_in_the_start(doc):
    yield from _run(doc, {"time": MISSING})


@case(
    Run(
        x=[1, 2],
        start={"scan_id": "seven", "time": "noon"},
        notes=["start: .*a set is written", "tiled_access_tags are 5"],
    )
)
def start_fields_of_wrong_types(doc):
    odd = {
        "time": "noon",
        "scan_id": "seven",
        "plan_name": {"a": [1]},
        "hints": {1, 2},
        "tiled_access_tags": 5,
        "plan_args": "none",
        "num_points": math.nan,
    }
    yield from _run(doc, odd, stop={"num_events": ["many"], "time": "later", "exit_status": 5})


@case(Run(x=[1, 2], notes=["a descriptor has no name; its stream is 'primary'"]), server=False)
def no_name_in_the_descriptor(doc):
    yield from _run(doc, descriptor={"name": MISSING})


@case(Run(x=[1, 2]), server=False)
def no_run_start_in_the_descriptor(doc):
    yield from _run(doc, descriptor={"run_start": MISSING})


@case(Run(x=[1, 2]), server=False)
def no_time_in_the_descriptor(doc):
    yield from _run(doc, descriptor={"time": MISSING})


@case(
    Run(
        rows={"primary": 2},
        rejected={"primary": [(1, "x", 1.0), (2, "x", 2.0)]},
        notes=["a descriptor of stream 'primary' has no data keys: they are None"],
    ),
    server=False,
)
def no_data_keys_in_the_descriptor(doc):
    yield from _run(doc, descriptor={"data_keys": MISSING})


@case(
    Run(
        rows={"primary": 0},
        notes=[r"\(descriptor\) set aside: its uid is None", r"2 documents \(event\) set aside"],
        verified=False,
    )
)
def no_uid_in_the_descriptor(doc):
    yield from _run(doc, descriptor={"uid": MISSING})


@case(Run(x=[1, 2], notes=["a stop document names no run"]), server=False)
def no_run_start_in_the_stop(doc):
    yield from _run(doc, stop={"run_start": MISSING})


@case(Run(x=[1, 2]), server=False)
def nothing_in_the_stop_but_its_run(doc):
    yield from _run(doc, stop={"uid": MISSING, "time": MISSING, "exit_status": MISSING})


@case(
    Run(
        x=[1, None, 3, 4, 5, 6, 7],
        columns={
            "primary": {
                "seq_num": [1, 2, 3, None, 5, 6, 7],
                "time": [*[1_700_000_001] * 4, None, *[1_700_000_001] * 2],
            }
        },
        notes=[r"\(event\) set aside: its descriptor is None"],
        verified=False,
    ),
    server=False,
)
def events_without_a_field(doc):
    fields = (None, "data", "timestamps", "seq_num", "time", "uid", "filled", "descriptor")
    yield doc.start()
    yield doc.descriptor()
    for seq_num, name in enumerate(fields, start=1):
        yield doc.event(seq_num, **({name: MISSING} if name else {}))
    yield doc.stop()


@case(Run(rows={"primary": 3 * len(ODD_TYPES)}, rejected_count=32), server=False)
def parts_of_an_event_of_wrong_types(doc):
    """Each of `data`, `timestamps` and `filled` is everything; ten are no mappings, and one has a stray key."""
    yield doc.start()
    yield doc.descriptor()
    for part in ("data", "timestamps", "filled"):
        for seq_num, value in enumerate(ODD_TYPES, start=1):
            yield doc.event(seq_num, **{part: value})
    yield doc.stop()


@case(
    Run(
        x=[0.5] * 2 * len(ODD_TYPES),
        columns={"primary": {"seq_num": [None, 5, None, 1, *[None] * 9, *[1] * 13]}},
        rejected_count=10 + 8,
    ),
    server=False,
)
def numbers_of_an_event_of_wrong_types(doc):
    yield doc.start()
    yield doc.descriptor()
    for value in ODD_TYPES:
        yield doc.event(value, data={"x": 0.5})
    for value in ODD_TYPES:
        yield doc.event(1, time=value, data={"x": 0.5})
    yield doc.stop()


@case(
    Run(
        x=[1, 2], notes=["set aside: its descriptor is", "set aside: it names the descriptor"], verified=False
    ),
    server=False,
)
def references_of_an_event_of_wrong_types(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    for value in ODD_TYPES:
        yield doc.event(9, descriptor=value)
    yield doc.event(2)
    yield doc.stop()


KINDS = (
    "descriptor",
    "event",
    "event_page",
    "stream_resource",
    "stream_datum",
    "stop",
    "resource",
    "datum",
    "start",
)


@case(Run(x=[1, 2], notes=["not a mapping"], verified=False), server=False)
def documents_that_are_no_mappings(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    for name in KINDS:
        for value in (None, 5, "text", [], [("uid", 1)], b"", object()):
            yield name, value
    yield doc.event(2)
    yield doc.stop()


@case(Run(x=[1, 2], streams=1, notes=["set aside", "data keys"], verified=False), server=False)
def empty_documents(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    for name in ("event", "event_page", "stream_resource", "stream_datum", "datum", "resource", "datum_page"):
        yield name, {}
    yield "descriptor", {}
    yield doc.event(2)
    yield doc.stop()


DESCRIPTIONS = [
    None,
    5,
    "number",
    [],
    {},
    {"dtype": None},
    {"dtype": 5},
    {"dtype": []},
    {"dtype": "rubbish"},
    {"dtype": 10**6000},
    {"dtype": "number", "shape": "wide"},
    {"dtype": "array", "shape": [[1]]},
    {"dtype": "array", "shape": [1] * 100},
    {"dtype": "array", "shape": {"a": 1}},
    {"dtype": "array", "shape": np.array([2])},
    {"dtype": "number", "dtype_numpy": 5},
    {"dtype": "number", "dtype_numpy": "rubbish" * 100},
    {"dtype": "number", "dtype_numpy": "f8,(2"},
    {"dtype": "number", "dtype_numpy": "|O"},
    {"dtype": "number", "dtype_numpy": "<M8[ns]"},
    {"dtype": "number", "dtype_numpy": "<c16"},
    {"dtype": "number", "dtype_numpy": np.dtype("<f8")},
    {"dtype": "number", "dtype_descr": [["a", "<f8"], ["b", 5]]},
    {"dtype": "number", "dtype_descr": {"a": 1}},
    {"dtype": "number", "external": None},
    {"dtype": "rubbish", "external": "STREAM:"},
]


@case(
    Run(
        rows={"primary": 3},
        accounted=[f"k{n}" for n in range(len(DESCRIPTIONS))],
        notes=["is taken for text"],
    )
)
def descriptions_of_data_keys_of_wrong_types(doc):
    """Whatever a descriptor says of a data key, its values are there."""
    keys = {f"k{n}": description for n, description in enumerate(DESCRIPTIONS)}
    yield doc.start()
    yield doc.descriptor(data_keys=keys)
    for seq_num, value in enumerate((1.5, [1.0, 2.0], {"a": 1}), start=1):
        yield doc.event(seq_num, data=dict.fromkeys(keys, value), timestamps={})
    yield doc.stop()


@case(
    Run(
        streams=len(ODD_TYPES),
        each_stream=[[n] for n in range(len(ODD_TYPES))],
        notes=["a descriptor has no name", r"stream '\{1, 2\}' is the node '_1, 2_'"],
    ),
    server=False,
)
def names_of_streams_of_wrong_types(doc):
    yield doc.start()
    for n, name in enumerate(ODD_TYPES):
        yield doc.descriptor(uid=f"d{n}", name=name)
        yield doc.event(n, descriptor=f"d{n}")
    yield doc.stop()


@case(Run(rows={"primary": len(ODD_TYPES)}, rejected_count=2 * len(ODD_TYPES), notes=["has no data keys"]))
def data_keys_of_wrong_types(doc):
    yield doc.start()
    for n, data_keys in enumerate(ODD_TYPES):
        yield doc.descriptor(uid=f"d{n}", data_keys=data_keys)
        yield doc.event(n, descriptor=f"d{n}", data={"x": n, "y": n}, timestamps={})
    yield doc.stop()


@case(
    Run(
        x=list(range(10)),
        columns={"primary": {"seq_num": [-5, 0, 2**63 - 1, None, None, 3, 3, 1, 1, None]}},
        rejected={"primary": [(None, "seq_num", 2**63), (None, "seq_num", 1.5), (None, "seq_num", "ten")]},
    )
)
def odd_seq_nums(doc):
    """Negative, zero, huge, past 64 bits, a fraction, repeated, falling, a float that is whole, True, a text."""
    yield doc.start()
    yield doc.descriptor()
    for x, seq_num in enumerate([-5, 0, 2**63 - 1, 2**63, 1.5, 3, 3, 1.0, True, "ten"]):
        yield doc.event(seq_num, data={"x": float(x)})
    yield doc.stop()


@case(
    Run(
        rejected={
            "primary": [(1, "stray", {"any": [1, "thing"]}), (1, "ts_stray_too", 2.5), (2, "stray", 7)]
        },
        columns={"primary": {"y": [None, None], "x": [1, None]}},
    ),
    server=False,
)
def keys_that_are_not_in_the_descriptor_and_the_reverse(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "y": number()})
    yield doc.event(
        1, data={"x": 1.0, "stray": {"any": [1, "thing"]}}, timestamps={"stray": 1.5, "stray_too": 2.5}
    )
    yield doc.event(2, data={"stray": 7})
    yield doc.stop()
