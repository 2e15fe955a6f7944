"""Event pages that are no tables."""

import numpy as np

from .base import MISSING, Run, case, number


@case(Run(x=[1, 2, 3, 4, 5]), server=False)
def pages_without_rows(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.page()
    yield doc.page(1, 2)
    yield doc.page()
    yield doc.event(3)
    yield doc.page(4, 5)
    yield doc.stop()


@case(Run(rows={"primary": 0}), server=False)
def nothing_but_a_page_without_rows(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.page()
    yield doc.stop()


@case(
    Run(
        x=[1, 2, 3, None, None, 6],
        columns={"primary": {"y": [None] * 6, "seq_num": [1, 2, 3, 4, 5, 6]}},
        rejected={"primary": [(4, "x", [4.0]), (4, "y", [14.0, 15.0, 16.0]), (4, "time", [0.5])]},
    ),
    server=False,
)
def columns_of_different_lengths(doc):
    """The rows are those of `seq_num`; a column that has others stands whole beside the first."""
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "y": number()})
    yield doc.page(1, 2, 3)
    yield doc.page(4, 5, data={"x": [4.0], "y": [14.0, 15.0, 16.0]}, time=[0.5])
    yield doc.page(6)
    yield doc.stop()


@case(
    Run(
        x=[None, None, 3, 4, 5, 6, None, None],
        columns={"primary": {"seq_num": [1, 2, 3, 4, 5, 6, 7, 8]}},
        notes=[
            r"\(event_page\) set aside: its seq_num is None",
            r"\(event_page\) set aside: its descriptor is None",
        ],
        verified=False,
    ),
    server=False,
)
def pages_without_a_field(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.page(1, 2, data=MISSING)
    yield doc.page(3, 4, timestamps=MISSING, filled=MISSING, uid=MISSING)
    yield doc.page(5, 6, time=MISSING)
    yield doc.page(7, 8, data={})
    yield doc.page(9, seq_num=MISSING)
    yield doc.page(9, descriptor=MISSING)
    yield doc.stop()


@case(
    Run(
        x=[1, 2, None, None, None, None, 7],
        rejected={
            "primary": [
                (3, "x", "text"),
                (4, "x", 5),
                (5, "data", [1.0]),
                (6, "x", {"0": 1.0}),
                (7, "timestamps", 5),
                (7, "filled", 5),
                (7, "time", "noon"),
            ]
        },
        notes=[r"\(event_page\) set aside: its seq_num is", r"set aside: it has no rows, and yet 'x'"],
        verified=False,
    ),
    server=False,
)
def columns_of_wrong_types(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.page(1, 2, data={"x": np.array([1.0, 2.0])}, seq_num=np.array([1, 2]), time=(1.0, 2.0))
    yield doc.page(3, data={"x": "text"})
    yield doc.page(4, data={"x": 5})
    yield doc.page(5, data=[1.0])
    yield doc.page(6, data={"x": {"0": 1.0}})
    yield doc.page(7, timestamps=5, filled=5, time="noon")
    yield doc.page(8, seq_num=8)
    yield doc.page(8, seq_num=np.array(8))
    yield doc.page(8, seq_num="12345678")
    yield doc.page(data={"x": [1.0]})
    yield doc.stop()


@case(
    Run(
        x=[1, 2, 3],
        rejected={
            "primary": [(1, "stray", "a"), (2, "stray", [1]), (2, "stray_too", 7), (3, "ts_stray", 1.5)]
        },
    ),
    server=False,
)
def columns_that_are_not_in_the_descriptor(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.page(1, 2, data={"x": [1.0, 2.0], "stray": ["a", [1]], "stray_too": [None, 7]})
    yield doc.page(3, timestamps={"x": [1.0], "stray": [1.5]})
    yield doc.stop()


@case(Run(x=[1, 2, 3], columns={"primary": {"seq_num": [1, 2, 3]}}), server=False)
def a_page_before_its_descriptor(doc):
    yield doc.start()
    yield doc.page(1, 2)
    yield doc.descriptor()
    yield doc.page(3)
    yield doc.stop()
