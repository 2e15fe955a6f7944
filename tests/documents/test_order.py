import numpy as np
import pytest

from tilewright.documents import order
from tilewright.documents.order import Ordering, weight


def event(number, descriptor="d"):
    return "event", {"descriptor": descriptor, "seq_num": number}


def descriptor(uid="d"):
    return "descriptor", {"uid": uid}


def arranged(documents):
    ordering = Ordering()
    return [one for document in documents for one in ordering.arrange(*document)], ordering


def test_what_is_in_order_stays():
    documents = [("start", {}), descriptor(), event(1), ("surprise", None), event(2), ("stop", {})]
    assert arranged(documents)[0] == documents


def test_events_come_after_their_descriptor_in_their_order():
    out, _ = arranged([event(1), event(1, "other"), event(2), descriptor(), event(3)])
    assert out == [descriptor(), event(1), event(2), event(3)]


def test_a_datum_waits_for_both():
    resource, datum = (
        ("stream_resource", {"uid": "r"}),
        ("stream_datum", {"stream_resource": "r", "descriptor": "d"}),
    )
    assert arranged([datum, resource, descriptor()])[0] == [resource, descriptor(), datum]
    assert arranged([datum, descriptor(), resource])[0] == [descriptor(), resource, datum]


def test_the_rest_comes_at_the_end_once():
    out, ordering = arranged([event(1), event(2, "other")])
    assert out == []
    assert ordering.rest() == [event(1), event(2, "other")]
    assert ordering.rest() == []


@pytest.mark.parametrize(
    "doc", [None, 5, [], {}, {"descriptor": None}, {"descriptor": []}, {"descriptor": np.arange(2)}]
)
def test_what_refers_to_nothing_does_not_wait(doc):
    assert arranged([("event", doc)])[0] == [("event", doc)]


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(order, "HELD_BYTES", 10 * weight(event(0)))
    out, ordering = arranged([event(number) for number in range(15)])
    assert out == [event(number) for number in range(10, 15)]
    assert ordering.arrange(*descriptor())[1:] == [event(number) for number in range(10)]
    assert ordering.arrange(*event(0, "another")) == []  # there is room again


def test_weight_counts_what_lies_within():
    assert weight({"image": np.zeros((10, 100))}) > 8000
    assert weight([["x" * 500], {"y" * 500}]) > 1000
