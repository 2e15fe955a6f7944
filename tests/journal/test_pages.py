"""A page that is taken out of its record at once says what the decoder says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.journal.encoding import decode, encode
from tilewright.journal.pages import page


def event_page(seq_num=(1, 2, 3), **changes):
    rows = len(seq_num)
    return {
        "descriptor": "d",
        "uid": [f"event-{row}" for row in range(rows)],
        "seq_num": list(seq_num),
        "time": [row + 0.5 for row in range(rows)],
        "data": {"x": [0.1 * row for row in range(rows)]},
        "timestamps": {"x": [float(row) for row in range(rows)]},
        "filled": {},
        **changes,
    }


def plain(value):
    """Return values as text, which tells -0.0, NaN, and integers from floats."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)


def check(given_page):
    """Hold a page against what the decoder makes of it; return whether its numbers are arrays."""
    payload = encode("event_page", given_page)
    name, found = page(payload)
    _, whole = decode(payload)
    assert name == "event_page"
    assert plain({"uid": None, **found}) == plain({**whole, "uid": found.get("uid")})
    return isinstance(found["seq_num"], np.ndarray)


def test_a_usual_page_becomes_arrays():
    assert check(event_page())
    assert check(event_page(range(1, 1_001)))
    assert check(event_page(range(65_000, 66_000)))


numbers = st.one_of(
    st.lists(st.floats(width=64), min_size=5, max_size=5),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=5, max_size=5),
    st.lists(st.integers(-200, 200), min_size=5, max_size=5),
)


@given(
    st.dictionaries(st.text(max_size=40), numbers, max_size=5),
    st.lists(st.text(max_size=40), min_size=5, max_size=5),
)
def test_numbers_of_all_sizes(data, uids):
    check(event_page(range(5), uid=uids, data=data, timestamps=data))


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["seq_num", "time", "data", "uid", "filled", "descriptor", "odd"]), anything
    )
)
def test_whatever_a_page_has(changes):
    check(event_page(**{key: value for key, value in changes.items() if key != "seq_num"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"x": [1.0, None, 2.0]}},
        {"data": {"x": [1.0, 2, 3.0]}},
        {"data": {"x": [1, 2.0, 3]}},
        {"data": {"x": [True, False, True]}},
        {"data": {"x": ["a", "b", "c"]}},
        {"data": {"x": [2**64 - 1, 1, 1]}},
        {"filled": {"x": [True, True, True]}},
        {"extra": 1},
        {"uid": [1, 2, 3]},
        {"seq_num": []},
    ],
)
def test_what_is_left_to_the_decoder(changes):
    page_of_it = event_page() | changes
    payload = encode("event_page", page_of_it)
    assert plain(page(payload)[1]) == plain(decode(payload)[1])


@given(st.integers(0, 400))
def test_a_page_that_is_cut_short(length):
    payload = encode("event_page", event_page())
    with pytest.raises(ValueError, match=r"."):
        page(payload[: min(length, len(payload) - 1)])
