"""Too much, too many."""

from .base import Run, case, number

MEGABYTE = 1_000_000
WIDE = 2000
MANY = 10_000


@case(Run(in_order={"primary": [[float(n), 1000.0 + n] for n in range(WIDE)]}))
def columns_by_the_thousand(doc):
    keys = [f"k{n}" for n in range(WIDE)]
    yield doc.start()
    yield doc.descriptor(data_keys={key: number() for key in keys})
    for row in (0, 1):
        data = {key: 1000.0 * row + n for n, key in enumerate(keys)}
        yield doc.event(row + 1, data=data, timestamps=data)
    yield doc.stop()


@case(
    Run(
        columns={"primary": {"s": ["x" * 10 * MEGABYTE, "short"], "x": [None, 2]}},
        rejected={"primary": [(1, "x", "y" * MEGABYTE)]},
        start={"comment": "z" * MEGABYTE},
    )
)
def texts_of_megabytes(doc):
    yield doc.start(comment="z" * MEGABYTE)
    yield doc.descriptor(data_keys={"s": number(dtype="string"), "x": number()})
    yield doc.event(1, data={"s": "x" * 10 * MEGABYTE, "x": "y" * MEGABYTE})
    yield doc.event(2, data={"s": "short", "x": 2.0})
    yield doc.stop()


@case(Run(x=[1, 2], rejected_count=MANY, start={"k7": 7}))
def keys_by_the_thousand(doc):
    """In a start document, in an event, and as many events each of another key."""
    many = {f"k{n}": n for n in range(MANY // 2)}
    yield doc.start(**many)
    yield doc.descriptor()
    yield doc.event(1, data={"x": 1.0, **many}, timestamps={})
    yield doc.event(2, data={"x": 2.0, **many}, timestamps={})
    yield doc.stop()


@case(Run(rows={"primary": MANY // 2}, rejected_count=MANY // 2), server=False)
def events_each_with_a_key_of_its_own(doc):
    yield doc.start()
    yield doc.descriptor()
    for n in range(MANY // 2):
        yield doc.event(n, data={"x": float(n), f"k{n}": n}, timestamps={})
    yield doc.stop()


@case(Run(x=[1], notes=["more notes are left out"], verified=False), server=False)
def documents_that_cannot_be_understood_by_the_thousand(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    for n in range(MANY // 2):
        yield f"surprise {n}", {"text": "x" * 100}
    yield doc.stop()
