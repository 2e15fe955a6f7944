"""Chunks together are what one array gives, whatever the chunks, the steps and the ends; plans read what is needed."""

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as sp

from tilewright.errors import InputError
from tilewright.processing import (
    Bandpass,
    Decimate,
    Envelope,
    Log,
    Median,
    Overlap,
    Pipeline,
    Shape,
    Signal,
    Span,
    kernels,
)

RATE = 200.0
SEED = (Decimate(2), Median("distance"), Bandpass(14, 35), Envelope(), Log())
"""What the Orca notebook does, with a filter before it takes every second sample."""

ORDERS_OF_MAGNITUDE = 1e3
"""Of the samples below: the band that is looked for is far below what is common to all channels, as on a cable."""


class Cable:
    """Integers that tell their place, by noise of their own channel and sample; and which spans were read."""

    def __init__(self, channels, samples, seed=7, dtype="int32"):
        rng = np.random.default_rng(seed)
        common = ORDERS_OF_MAGNITUDE * np.cumsum(rng.normal(size=samples))
        self.values = (100 * rng.normal(size=(channels, samples)) + common).astype(dtype)
        self.reads = []
        self.signal = Signal(self.read, Shape(channels, samples, RATE))

    def read(self, start, stop):
        assert 0 <= start < stop <= self.values.shape[1]
        self.reads.append((start, stop))
        return self.values[:, start:stop]


def all_of(pipeline, cable, wanted=None, chunk=10**6, workers=2):
    return np.concatenate(
        [block.values for block in pipeline.run(cable.signal, wanted, chunk=chunk, workers=workers)], axis=1
    )


filters_in_time = st.sampled_from([Bandpass(14, 20, 3), Bandpass(5, 24, 8), Envelope(3.0), Envelope(1.0)])
other_steps = st.sampled_from(
    [
        Median("distance"),
        Median("time", 0.31),
        Median("time", 1.7),
        Decimate(1, 2),
        Decimate(1, 3, "first"),
    ]
)
decimations = st.sampled_from([Decimate(2), Decimate(3, 2), Decimate(2, 2, "first")])
# 200 a second stays above what the bands need after one decimation, so that there is at most one.
pipelines = st.tuples(
    st.lists(st.one_of(filters_in_time, other_steps), max_size=2),
    st.lists(decimations, max_size=1),
    st.lists(st.one_of(filters_in_time, other_steps), max_size=3),
).map(lambda parts: tuple(step for part in parts for step in part))


@settings(max_examples=120, deadline=None)
@given(
    steps=pipelines,
    channels=st.integers(1, 7),
    samples=st.integers(1, 1300),
    chunk=st.integers(1, 700),
    data=st.data(),
)
def test_chunks_together_are_the_whole(steps, channels, samples, chunk, data):
    """Of any part of the acquisition, at its true ends as inside."""
    cable, pipeline = Cable(channels, samples), Pipeline(steps, "float64")
    shape = pipeline.shape(cable.signal.shape)
    start = data.draw(st.integers(0, shape.samples - 1))
    stop = data.draw(st.integers(start + 1, shape.samples))
    chunk = max(chunk, (stop - start) // 12)
    whole = all_of(pipeline, cable)
    assert whole.shape == (shape.channels, shape.samples)
    part = all_of(pipeline, cable, Span(start, stop), chunk)
    assert np.abs(part - whole[:, start:stop]).max() <= 1e-10 * np.abs(cable.values).max()


@settings(max_examples=60, deadline=None)
@given(steps=pipelines, channels=st.integers(1, 7), longer=st.integers(1, 1300), chunk=st.integers(100, 700))
def test_float32_errs_as_little_as_stated_whatever_the_chunks(steps, channels, longer, chunk):
    cable = Cable(channels, Pipeline(steps).overlap(RATE).before + longer)
    exact = all_of(Pipeline(steps, "float64"), cable)
    output = all_of(Pipeline(steps), cable, chunk=chunk)
    assert output.dtype == np.float32
    assert np.abs(output - exact).max() <= 2e-6 * np.abs(cable.values).max()


@pytest.mark.parametrize("chunk", [137, 1500, 10**6])
def test_the_orcas_pipeline_errs_as_little_as_stated(chunk):
    """In float32 and chunks, of float64 and one array; on samples of a hundred about a walk of a hundred thousand."""
    cable = Cable(40, 12_000)
    largest = np.abs(cable.values).max()
    exact = all_of(Pipeline(SEED, "float64"), cable)
    output = all_of(Pipeline(SEED), cable, chunk=chunk)
    amplitudes, expected = (1e-6 * 10 ** (decibels.astype(float) / 20) for decibels in (output, exact))
    assert np.abs(amplitudes - expected).max() < 1e-6 * largest
    heard = expected > 1e-4 * largest
    assert 0.9 < heard.mean() < 1
    assert np.abs(output - exact)[heard].max() < 0.1


def test_joined_filters_are_the_same_as_one_after_the_other():
    """Up to the true ends."""
    cable = Cable(3, 900)
    joined = Pipeline((Bandpass(14, 35), Envelope()), "float64")
    assert len(joined.stages(cable.signal.shape)) == 1
    band = all_of(Pipeline(joined.steps[:1], "float64"), cable)
    signal = Signal(lambda start, stop: band[:, start:stop], cable.signal.shape)
    (expected,) = Pipeline(joined.steps[1:], "float64").run(signal, chunk=900)
    assert np.abs(all_of(joined, cable) - expected.values).max() < 1e-10 * np.abs(cable.values).max()


@pytest.mark.parametrize(
    ("steps", "stages"),
    [
        ((Bandpass(14, 35), Bandpass(20, 30), Envelope()), 1),
        ((Bandpass(14, 35), Decimate(2)), 1),
        ((Decimate(2), Bandpass(14, 35)), 2),
        ((Envelope(), Bandpass(14, 35)), 2),
        ((Bandpass(14, 35), Decimate(2, 2)), 2),
        ((Bandpass(14, 35), Median(), Envelope()), 3),
    ],
)
def test_filters_are_joined_where_that_is_exact(steps, stages):
    assert len(Pipeline(steps).stages(Shape(4, 1000, RATE))) == stages


def test_a_plan_is_what_is_read_and_no_more_than_the_overlap():
    cable, pipeline = Cable(5, 6000), Pipeline(SEED)
    overlap = pipeline.overlap(RATE)
    assert overlap.before == overlap.after
    first, last = Span(0, 1000), Span(1000, 2000)
    assert pipeline.plan(first, cable.signal.shape) == Span(0, 999 * 2 + overlap.after + 1)
    assert pipeline.plan(last, cable.signal.shape) == Span(
        2000 - overlap.before, 1999 * 2 + overlap.after + 1
    )
    list(pipeline.run(cable.signal, Span(0, 2000), chunk=1000))
    plans = [pipeline.plan(span, cable.signal.shape) for span in (first, last)]
    assert cable.reads == [(plan.start, plan.stop) for plan in plans]


def test_overlaps_go_backwards_through_decimations():
    steps = (Bandpass(14, 35), Decimate(2), Envelope(2.0), Decimate(3))
    at = [step.overlap(rate).before for step, rate in zip(steps, (200.0, 200.0, 100.0, 100.0), strict=True)]
    reach = at[0] + at[1] + 2 * (at[2] + at[3])
    assert Pipeline(steps).overlap(RATE) == Overlap(reach, reach)
    assert Pipeline(steps).plan(Span(500, 501), Shape(1, 10**6, RATE)) == Span(3000 - reach, 3000 + reach + 1)


def test_what_a_chunk_depends_on_is_within_its_plan():
    """Other samples may be anything."""
    cable, pipeline = Cable(5, 6000), Pipeline(SEED)
    wanted = Span(1200, 1300)
    plan = pipeline.plan(wanted, cable.signal.shape)
    expected = all_of(pipeline, cable, wanted)
    cable.values[:, : plan.start] = 2**30
    cable.values[:, plan.stop :] = -(2**30)
    assert np.array_equal(all_of(pipeline, cable, wanted), expected)
    cable.values[:, plan.start - 1 : plan.stop + 1] = 0
    assert not np.array_equal(all_of(pipeline, cable, wanted), expected)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_threads_make_no_difference(workers):
    cable = Cable(600, 3000)
    before = threading.active_count()
    assert np.array_equal(
        all_of(Pipeline(SEED), cable, workers=workers), all_of(Pipeline(SEED), cable, workers=1)
    )
    assert threading.active_count() == before


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "int64", "float32", "float64"])
def test_samples_are_numbers_of_any_kind(dtype):
    values = np.arange(60).reshape(3, 20).astype(dtype)
    deviations = np.repeat([[-20], [0], [20]], 20, axis=1)
    signal = Signal(lambda start, stop: values[:, start:stop], Shape(3, 20, RATE))
    for steps, expected in (((), values), ((Decimate(1),), values), ((Median(),), deviations)):
        (block,) = Pipeline(steps).run(signal, chunk=20)
        assert block.values.dtype == np.float32
        assert np.array_equal(block.values, expected)


def test_a_pipeline_is_told_in_json():
    for pipeline in (Pipeline(SEED), Pipeline((), "float64")):
        assert Pipeline.from_json(pipeline.to_json()) == pipeline
    assert Pipeline.from_json({"steps": [{"step": "median"}]}) == Pipeline((Median(),))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected an object with steps"),
        ({"steps": {}}, "expected an object with steps"),
        ({"steps": [], "chunk": 3}, "expected an object with steps"),
        ({"steps": [], "dtype": "float16"}, "expected float32 or float64"),
        ({"steps": ["median"]}, "cannot read 'median' as a step"),
    ],
)
def test_what_is_no_pipeline_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        Pipeline.from_json(data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chunk": 0}, "a chunk's number of samples"),
        (
            {"chunk": 10, "wanted": Span(0, 101)},
            "cannot compute samples 0 to 101: there are 100 at 200 a second",
        ),
        ({"chunk": 10, "wanted": Span(5, 5)}, "cannot compute samples 5 to 5"),
        ({"chunk": 10, "wanted": Span(-1, 5)}, "cannot compute samples -1 to 5"),
    ],
)
def test_what_is_not_there_cannot_be_computed(arguments, message):
    with pytest.raises(InputError, match=message):
        Pipeline((Median(),)).run(Cable(3, 100).signal, **arguments)


def test_a_step_that_does_not_fit_is_refused_before_anything_is_read():
    cable = Cable(3, 100)
    with pytest.raises(InputError, match="14 to 35 Hz at 50 samples a second"):
        Pipeline((Decimate(4), Bandpass(14, 35))).run(cable.signal, chunk=10)
    with pytest.raises(InputError, match="cannot take 'median' as a step"):
        Pipeline(("median",))
    with pytest.raises(InputError, match="an acquisition's number of samples"):
        Pipeline(()).run(Signal(cable.read, Shape(3, 0, RATE)), chunk=10)
    assert cable.reads == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((3, 9)), r"float64 of shape \(3, 9\), expected numbers of shape \(3, 10\)"),
        (np.zeros((10, 3)), r"shape \(10, 3\)"),
        (np.zeros((3, 10), complex), "complex128"),
        (np.zeros((3, 10), bool), "bool"),
        (np.where(np.arange(30).reshape(3, 10) == 17, np.nan, 0), "channel 1 has nan at sample 7"),
        (np.where(np.arange(30).reshape(3, 10) == 25, -np.inf, 0), "channel 2 has -inf at sample 5"),
    ],
)
def test_samples_that_are_none_are_refused(values, message):
    signal = Signal(lambda start, stop: values, Shape(3, 10, RATE))
    with pytest.raises(InputError, match=message):
        list(Pipeline((Median(),)).run(signal, chunk=10))


@pytest.mark.parametrize(
    "steps",
    [(), (Median(),), (Median(), Log()), (Decimate(2), Median()), (Decimate(1), Median(), Log()), SEED],
)
def test_a_block_is_its_callers(steps):
    """What comes later does not change it, nor does it share memory with what was read."""
    cable = Cable(5, 900, dtype="float32")
    before = cable.values.copy()
    blocks = [block.values for block in Pipeline(steps).run(cable.signal, chunk=100)]
    again = [block.values.copy() for block in Pipeline(steps).run(cable.signal, chunk=100)]
    for block, copy in zip(blocks, again, strict=True):
        assert np.array_equal(block, copy)
        assert not np.shares_memory(block, cable.values)
    assert np.array_equal(cable.values, before)


def test_memory_is_of_a_chunk_whatever_the_length():
    peaks = []
    for samples in (100_000, 400_000):
        signal = Signal(lambda start, stop: np.ones((40, stop - start), "int32"), Shape(40, samples, RATE))
        pipeline = Pipeline(SEED)
        list(pipeline.run(signal, Span(0, 4000), chunk=2000, workers=1))  # filters are made, modules imported
        tracemalloc.start()
        for _ in pipeline.run(signal, chunk=2000, workers=1):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[0] < 40 * 100_000 * 4 / 3


def test_an_hour_is_what_scipy_makes_of_it_at_once():
    """Each operation on the whole array, in float64, by SciPy and NumPy; chunks of a minute in float32 by ours."""
    cable = Cable(6, 3600 * 200)
    output = all_of(Pipeline(SEED), cable, chunk=6000)
    values = sp.oaconvolve(
        cable.values - cable.values[:, :1], kernels.low_pass(2)[None], mode="same", axes=1
    )[:, ::2]
    values += cable.values[:, :1]
    values -= np.median(values, axis=0)
    values = sp.sosfiltfilt(sp.butter(8, [14, 35], "bandpass", fs=100, output="sos"), values, axis=1)
    expected = 20 * np.log10(np.abs(sp.hilbert(values, axis=1)) / 1e-6)
    inside = slice(1000, -1000)  # ends are reflected by ours, and otherwise by each of these
    amplitudes, exact = (
        1e-6 * 10 ** (decibels[:, inside].astype(float) / 20) for decibels in (output, expected)
    )
    # Envelope is right to 2e-4 of the band's amplitude, and float32 to 1e-6 of the largest sample.
    assert np.abs(amplitudes - exact).max() < 2e-4 * exact.max() + 1e-6 * np.abs(cable.values).max()


def test_a_failure_in_a_part_is_raised():
    class Broken(Median):
        def apply(self, block, wanted):
            raise ArithmeticError("by the test")

    with pytest.raises(ArithmeticError, match="by the test"):
        list(Pipeline((Broken("time", 1.0),)).run(Cable(50, 100).signal, chunk=10, workers=2))
