import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents import Distinct, is_key, is_text, path_segment, run_key
from tilewright.documents.names import MAX_BYTES

any_text = st.text(st.characters(), max_size=300)


@given(any_text)
def test_any_text_has_a_segment_that_stays(name):
    segment = path_segment(name)
    assert segment
    assert segment not in (".", "..")
    assert not set(segment) & set("/?#%{}\\\0\n")
    assert len(segment.encode()) <= MAX_BYTES
    assert path_segment(segment) == segment


@pytest.mark.parametrize(
    "name", ["primary", "naïve scan", "a.b", "a-b_c~d", "...x", " a ", "a:b,c;d=e&f+g@h!*'()[]", "😀"]
)
def test_what_a_path_can_hold_stays(name):
    assert path_segment(name) == run_key(name) == name


@given(st.lists(any_text, unique=True, max_size=20))
def test_runs_never_share_a_key(uids):
    assert len({run_key(uid) for uid in uids}) == len(uids)


def test_a_key_is_its_own_key():
    assert run_key(run_key("a/b")) == run_key("a/b") != "a/b"


@given(st.lists(st.sampled_from(["a", "A", "a_", "a_2", "b"]), max_size=30))
def test_names_are_given_once(names):
    distinct = Distinct(["b"], lambda name: (name.lower(), f"ts_{name.lower()}"))
    given_names = [distinct.claim(name) for name in names]
    assert len({name.lower() for name in given_names}) == len(names)
    assert "b" not in given_names


def test_many_equal_names_cost_no_more_each():
    distinct, start = Distinct(), time.perf_counter()
    names = [distinct.claim("x") for _ in range(100_000)]
    assert names[-1] == "x_99999"
    assert time.perf_counter() - start < 5  # seconds; looking from the first each time takes hours


def test_texts_and_keys():
    assert [is_text(value) for value in ("", "ü", "\ud800", b"x", None)] == [True, True, False, False, False]
    assert [is_key(value) for value in ("", None, (1,), [], ([],))] == [True, True, True, False, False]
