"""A sequence costs the same for its ten-thousandth file as for its tenth."""

from __future__ import annotations

import time

from bluesky_tiled_plugins.utils import compile_template
from hypothesis import given
from hypothesis import strategies as st

from tilewright.formats import open_array
from tilewright.formats.naming import FileNames
from tilewright.formats.seq_nums import SeqNums


def test_the_cost_of_a_datum_does_not_grow(resource, descriptor, datum):
    array = open_array(resource(template="{:06d}.tif", chunk_shape=[1, 4, 5]), descriptor([4, 5]))
    datums = [datum(index, index + 1) for index in range(20_000)]

    def fastest(part):
        times = []
        for one in part:
            start = time.perf_counter()
            array.add_datum(one)
            times.append(time.perf_counter() - start)
        return sorted(times)[len(times) // 2]

    early = fastest(datums[:500])
    for one in datums[500:-500]:
        array.add_datum(one)
    late = fastest(datums[-500:])
    assert late < 5 * early
    assert len(array.assets) == 20_000
    assert array.assets[12_345].data_uri == "file://localhost/data/012345.tif"
    assert array.data_source().structure["chunks"][0] == [1] * 20_000


def test_a_resource_an_event(resource, descriptor, datum):
    """Some detectors emit a Resource for each picture; finding the sequence must not search them all."""

    def seconds(count):
        array = open_array(resource(uid="r0", template="{}.tif", filename=""), descriptor([]))
        start = time.process_time()
        for number in range(count):
            uid = f"r{number}"
            array.add_resource(resource(uid=uid, template="%s_%d.tif", filename=uid))
            array.add_datum(datum(number, number + 1, uid))
        return time.process_time() - start

    seconds(100)
    few, many = (min(seconds(count) for _ in range(3)) for count in (500, 5_000))
    assert many < 40 * few


def test_assets_are_only_appended_to(resource, descriptor, datum):
    array = open_array(resource(template="{:d}.tif"), descriptor([4, 5]))
    seen = []
    for index in range(10):
        array.add_datum(datum(2 * index, 2 * index + 2))
        assert array.assets[: len(seen)] == seen
        seen = list(array.assets)
    assert [asset.num for asset in seen] == list(range(20))


def test_resources_that_arrive_before_their_turn(resource, descriptor, datum):
    """The datums say which resource they belong to, whichever came last."""
    resources = [resource(uid=uid, template=f"{uid}_{{}}.tif") for uid in ("r1", "r2")]
    array = open_array(resources[0], descriptor([]))
    array.add_resource(resources[1])
    for one in (datum(0, 2), datum(2, 3, "r2"), datum(3, 4, "r2"), datum(2, 3)):
        array.add_datum(one)
    names = [asset.data_uri.rsplit("/", 1)[1] for asset in array.assets]
    assert names == ["r1_0.tif", "r1_1.tif", "r2_0.tif", "r2_1.tif", "r1_2.tif"]


def test_indices_that_begin_again_with_each_resource(resource, descriptor, datum):
    array = open_array(resource(template="a_{}.tif"), descriptor([]))
    array.add_datum(datum(0, 2))
    array.add_resource(resource(uid="r2", template="b_{}.tif"))
    array.add_datum(datum(0, 2, "r2", seq_nums=(3, 5)))
    names = [asset.data_uri.rsplit("/", 1)[1] for asset in array.assets]
    assert names == ["a_0.tif", "a_1.tif", "b_0.tif", "b_1.tif"]


@given(
    number=st.sampled_from(["%d", "%06d", "%6d", "%6.6d", "%-4d", "%+d", "{}", "{:d}", "{:04d}", "{0:3d}"]),
    frame=st.sampled_from(["%s_{}.tif", "/{}", "{}_%s%s", "%s%s/a b_{}.tif", "{}"]),
    filename=st.sampled_from(["", "scan", "a b"]),
    index=st.integers(0, 10**7),
)
def test_names_equal_those_of_bluesky(number, frame, filename, index):
    template = frame.replace("{}", number)
    expected = compile_template(template, filename).format(index)
    assert FileNames.parse("uri", template, filename).uri(index) == "uri" + expected


def test_a_file_name_may_look_like_a_template():
    assert FileNames.parse("u/", "%s_%d.tif", "50%d_{x}_%s").uri(3) == "u/50%d_{x}_%s_3.tif"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=30))
def test_seq_nums_are_a_set(ranges):
    seq_nums, expected = SeqNums(), set()
    for start, length in ranges:
        seq_nums.add(start, start + length)
        expected.update(range(start, start + length))
    assert len(seq_nums) == len(expected)
    missing = {number for start, stop in seq_nums.gaps for number in range(start, stop)}
    assert missing == (set(range(min(expected), max(expected))) - expected if expected else set())


def test_consecutive_seq_nums_stay_one_range():
    seq_nums = SeqNums()
    for number in range(10_000):
        seq_nums.add(number, number + 1)
    assert seq_nums._starts == [0]
