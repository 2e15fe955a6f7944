"""Data keys, streams and uids that no column, no path and no file can have for a name."""

from .base import CASES, Case, Run, case, number

KEYS = [
    "a/b",
    "a_b",
    "quo'te",
    'dou"ble',
    "back`tick",
    "a.b",
    "a b",
    " a ",
    "a\nb",
    "a\tb",
    "\0",
    "A",
    "a",
    "aA",
    "AA",
    "Aa",
    "ts_a",
    "ts_A",
    "ts_time",
    "time",
    "Time",
    "seq_num",
    "rejected",
    "internal",
    "internal_0",
    "_dataset_id",
    "_partition_id",
    "rowid",
    "oid",
    "select",
    "from",
    "order",
    "'; DROP TABLE table_x; --",
    '"; DELETE FROM nodes; --',
    "1); SELECT 1",
    "-- comment",
    "/* comment */",
    "",
    " ",
    "1",
    "1e5",
    "%",
    "%2F",
    "?",
    "#",
    "&",
    "{0}",
    "{",
    "..",
    ".",
    "\\",
    "a\\b",
    "a=b",
    "a+b",
    "a,b",
    "[a]",
    "naïve",
    "NAÏVE",
    "é",
    "e\u0301",
    "İ",
    "\u0131",
    "i",
    "I",
    "K",
    "k",
    "\u212a",
    "ß",
    "ss",
    "Ω",
    "😀",
    "\u202e right to left",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\x7f",
    "\ud800",
    "\ud801",
    "k" * 63,
    "K" * 63,
    "long " * 1000,
    "ü" * 40,
    "İ" * 30,
    "None",
    "nan",
    "tilewright",
]


@case(
    Run(
        in_order={"primary": [[n, 1000 + n] for n in range(len(KEYS))]},
        notes=[
            r"data key 'a/b' of stream 'primary' is the column 'a_b'",
            "data key 'time' .* is the column 'time_'",
        ],
    )
)
def data_keys_that_no_table_takes(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={key: number() for key in KEYS})
    for row in (0, 1):
        data = {key: 1000.0 * row + n for n, key in enumerate(KEYS)}
        yield doc.event(row + 1, data=data, timestamps=data)
    yield doc.stop()


@case(
    Run(
        in_order={"primary": [[1, 11], [2, 12], [3, 13], [4, None]]},
        notes=["data key 1 .* is the column 'k_1'"],
    ),
    server=False,
)
def data_keys_that_are_no_texts(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={1: number(), "1": number(), None: number(), (1, 2): number()})
    yield doc.event(1, data={1: 1.0, "1": 2.0, None: 3.0, (1, 2): 4.0}, timestamps={})
    yield doc.event(2, data={1: 11.0, "1": 12.0, None: 13.0}, timestamps={})
    yield doc.stop()


STREAMS = ["../up", "a?b=c%2F", "", "A", "a", "naïve \ud800"]
MORE_STREAMS = [
    " a ",
    "%2F",
    "😀",
    "\ud800",
    "a/b",
    "..",
    "#",
    "x" * 300,
    "a_b",
    ".",
    "/",
    "//",
    "%2e%2e",
    "?",
    "{0}",
    " ",
    "Primary",
    "PRIMARY",
    "internal",
    "rejected",
    "streams",
    "a\nb",
    "\0",
    "é",
    "e\u0301",
    "\ud801",
    "\\",
    "quo'te\"",
    "select * from nodes; --",
    "x" * 100_000,
]


def _streams(doc, names):
    yield doc.start()
    for n, name in enumerate(names):
        yield doc.descriptor(uid=f"d{n}", name=name)
        yield doc.event(n, descriptor=f"d{n}")
    yield doc.stop()


@case(
    Run(
        streams=len(STREAMS),
        each_stream=[[n] for n in range(len(STREAMS))],
        notes=[r"stream '\.\./up' is the node '\.\._up'", r"stream '' is the node '_+\d?'"],
    )
)
def streams_that_no_path_holds(doc):
    yield from _streams(doc, STREAMS)


@case(
    Run(
        streams=len(STREAMS + MORE_STREAMS),
        each_stream=[[n] for n in range(len(STREAMS + MORE_STREAMS))],
        notes=["is the node"],
    ),
    server=False,
)
def more_streams_that_no_path_holds(doc):
    yield from _streams(doc, STREAMS + MORE_STREAMS)


UIDS = {
    "slashes": "day 1/run 2",
    "slashes_at_the_ends": "/run/",
    "dots": "..",
    "a_space": " ",
    "what_addresses_are_made_of": "a?b=c#d&e%2F{f}",
    "controls": "a\n\tb\0",
    "unicode": "naïve 😀 \u202e",
    "300_characters": "u" * 300,
    "quotes": "'\"`; DROP TABLE nodes; --\\",
}
for _what, _uid in UIDS.items():
    CASES.append(
        Case(
            f"a_uid_of_{_what}",
            lambda doc, uid=_uid: _of_uid(doc, uid),
            (
                Run(
                    uid=".+",
                    x=[1, 2],
                    notes=[] if _what == "unicode" else [r"is the node '.+-[0-9a-f]{16}'"],
                ),
            ),
            server=_what in ("slashes", "what_addresses_are_made_of"),
        )
    )


def _of_uid(doc, uid):
    yield doc.start(uid=uid)
    yield doc.descriptor(run_start=uid)
    yield from doc.events(1, 2)
    yield doc.stop(run_start=uid)
