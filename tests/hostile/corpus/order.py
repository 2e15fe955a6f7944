"""Sound documents out of order, twice, too early, too late, of another run, of no run, altered afterwards."""

from .base import Run, case, number

ASIDE = r"set aside"


@case(Run(x=[1, 2, 3]), server=False)
def events_before_their_descriptor(doc):
    yield doc.start()
    yield from doc.events(1, 2)
    yield doc.descriptor()
    yield doc.event(3)
    yield doc.stop()


@case(Run(x=[1, 3, 2, 4], columns={"primary": {"y": [None, None, 12, 14]}}), server=False)
def events_before_the_second_descriptor_of_their_stream(doc):
    later = "another descriptor"
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.event(2, descriptor=later, data={"x": 2.0, "y": 12.0})
    yield doc.event(3)
    yield doc.descriptor(uid=later, data_keys={"x": number(), "y": number()})
    yield doc.event(4, descriptor=later, data={"x": 4.0, "y": 14.0})
    yield doc.stop()


@case(
    Run(
        x=[1],
        notes=[r"2 documents \(event\) set aside: it names the descriptor 'unheard of'"],
        verified=False,
    ),
    server=False,
)
def a_descriptor_that_never_comes(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield from doc.events(2, 3, descriptor="unheard of")
    yield doc.stop()


@case(Run(x=[1], notes=[r"\(stop\) set aside: it is a second one"], verified=False), server=False)
def stop_twice(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.stop()
    yield doc.stop()


@case(Run(x=[1, 2], notes=[r"\(start\) set aside: it is a second one"], verified=False), server=False)
def start_twice(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.start()
    yield doc.event(2)
    yield doc.stop()


@case(
    Run(x=[1, 2], notes=[r"\(start\) set aside: it is a second one"], verified=False, start={"scan_id": 1}),
    server=False,
)
def another_start_with_the_uid_of_an_open_run(doc):
    yield doc.start(scan_id=1)
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.start(scan_id=2)
    yield doc.event(2)
    yield doc.stop()


@case(Run(x=[1, 2]), server=False)
def the_same_run_again(doc):
    for _ in range(2):
        yield doc.start()
        yield doc.descriptor()
        yield from doc.events(1, 2)
        yield doc.stop()


@case(
    Run(x=[1, 2]),
    Run(
        uid=r"the_same_uid_again-[0-9a-f]{8}",
        x=[3],
        start={"scan_id": 2},
        notes=["another run 'the_same_uid_again' was recorded before"],
    ),
)
def the_same_uid_again(doc):
    yield doc.start()
    yield doc.descriptor()
    yield from doc.events(1, 2)
    yield doc.stop()
    yield doc.start(scan_id=2)
    yield doc.descriptor()
    yield doc.event(3)
    yield doc.stop()


@case(
    Run(x=[1, 2]),
    Run(uid=r"the_same_run_with_another_event-[0-9a-f]{8}", x=[1, 7, 8], notes=["was recorded before"]),
    server=False,
)
def the_same_run_with_another_event(doc):
    yield doc.start()
    yield doc.descriptor()
    yield from doc.events(1, 2)
    yield doc.stop()
    for _ in range(2):  # and the other one again
        yield doc.start()
        yield doc.descriptor()
        yield from doc.events(1, 7, 8)
        yield doc.stop()


@case(Run(x=[1, 2, 3], streams=2, rows={"late": 1}, notes=[r"\(event\) came after the stop document"]))
def documents_after_the_stop(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.stop()
    yield from doc.events(2, 3)
    yield doc.descriptor(uid="late d", name="late")
    yield doc.event(4, descriptor="late d")


@case(
    Run(x=[1]),
    Run(uid="documents_after_the_stop_of_one_of_two 2", x=[1, 2], notes=["came after the stop"]),
    server=False,
)
def documents_after_the_stop_of_one_of_two(doc):
    other = doc.of_another_run()
    yield doc.start()
    yield other.start()
    yield doc.descriptor()
    yield other.descriptor()
    yield other.event(1)
    yield other.stop()
    yield doc.event(1)
    yield other.event(2)
    yield doc.stop()


@case(Run(x=[1, 2]), errors=2, server=False)
def documents_before_the_start(doc):
    yield doc.event(1)
    yield doc.descriptor()
    yield doc.start()
    yield doc.event(2)
    yield doc.stop()


@case(
    Run(
        x=[1],
        notes=[r"no document is called 'surprise'", r"no document is called ''", "no document is called '5'"],
        verified=False,
    ),
    server=False,
)
def unknown_names(doc):
    yield doc.start()
    yield doc.descriptor()
    yield "surprise", {"uid": "x"}
    yield "surprise", {"uid": "y", "run_start": doc.uid}
    yield "", {}
    yield 5, {"a": 1}
    yield ("start",), {"uid": "tuple"}
    yield doc.event(1)
    yield doc.stop()


@case(errors=2, server=False)
def documents_of_no_run_at_all(doc):
    yield doc.event(1)
    yield doc.event(2)
    yield "surprise", {"uid": "x"}
    yield "another surprise", None


NO_DESCRIPTOR = Run(x=[1, 2], notes=["set aside: it names the descriptor 'unheard of'"], verified=False)


@case(
    NO_DESCRIPTOR,
    Run(uid="of_neither_of_two_runs 2", x=[1, 2], notes=NO_DESCRIPTOR.notes, verified=False),
    server=False,
)
def of_neither_of_two_runs(doc):
    other = doc.of_another_run()
    for each in (doc, other):
        yield each.start()
        yield each.descriptor()
        yield each.event(1)
    yield doc.event(9, descriptor="unheard of")
    for each in (doc, other):
        yield each.event(2)
        yield each.stop()


@case(
    Run(
        x=[1, 2],
        notes=[
            r"\(descriptor\) set aside: it names another run, 'not recorded'",
            r"\(stop\) set aside: it names another run",
            r"\(event\) set aside: it names the descriptor 'not recorded d'",
        ],
        verified=False,
    ),
    server=False,
)
def documents_of_a_run_whose_start_was_missed(doc):
    missed = type(doc)("not recorded")
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield missed.descriptor()
    yield missed.event(7)
    yield missed.stop()
    yield doc.event(2)
    yield doc.stop()


@case(
    Run(x=[1, 2], columns={"primary": {"y": [None, 12]}}, notes=["came again with another content"]),
    server=False,
)
def the_same_descriptor_with_other_data_keys(doc):
    yield doc.start()
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.descriptor(data_keys={"x": number(), "y": number()})
    yield doc.event(2, data={"x": 2.0, "y": 12.0})
    yield doc.stop()


@case(Run(x=[1, 2], streams=2, columns={"other": {"x": [3]}}), server=False)
def the_same_descriptor_uid_for_another_stream(doc):
    yield doc.start()
    yield doc.descriptor()
    yield from doc.events(1, 2)
    yield doc.descriptor(name="other")
    yield doc.event(3)
    yield doc.stop()


@case(Run(x=[1, 2], state="interrupted"), server=False)
def no_stop(doc):
    yield doc.start()
    yield doc.descriptor()
    yield from doc.events(1, 2)


@case(Run(x=[1, 2], start={"sample": {"name": "as it was"}}), server=False)
def altered_by_another_callback_after_it_went_out(doc):
    name, start = doc.start(sample={"name": "as it was"})
    yield name, start
    start["sample"]["name"] = "altered"
    name, descriptor = doc.descriptor()
    yield name, descriptor
    descriptor["data_keys"].clear()
    for number_ in (1, 2):
        name, event = doc.event(number_)
        yield name, event
        event["data"]["x"] = -1.0
        event.clear()
    yield doc.stop()


@case(Run(x=[1, 2], notes=[r"2 documents \(event\) set aside"], verified=False), server=False)
def one_event_in_place_of_another_descriptor(doc):
    """uids are mixed up: the events name the run, and not the descriptor."""
    yield doc.start()
    yield doc.descriptor()
    yield from doc.events(1, 2)
    yield from doc.events(3, 4, descriptor=doc.uid)
    yield doc.stop()


@case(Run(x=[1]), Run(uid="a_descriptor_with_the_uid_of_another_run 2", x=[2, 3]), server=False)
def a_descriptor_with_the_uid_of_another_run(doc):
    other = doc.of_another_run()
    yield doc.start()
    yield other.start()
    yield doc.descriptor(uid=other.uid)
    yield other.descriptor()
    yield other.event(2)
    yield doc.event(1, descriptor=other.uid)
    yield other.event(3)
    yield other.stop()
    yield doc.stop()
