"""What ophyd's simulated detectors emit, in the schema of ten years ago, reads back as what they saw."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from bluesky import preprocessors as bpp
from bluesky.run_engine import RunEngine
from bluesky_tiled_plugins.writing.consolidators import consolidator_factory
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer
from ophyd.sim import SynSignalWithRegistry

from tilewright.documents import Translator
from tilewright.formats import open_array

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")


def emitted(plan):
    documents = []
    RE = RunEngine({}, call_returns_result=True)  # noqa: N806 - its name everywhere
    RE(plan, lambda name, doc: documents.append((name, doc)))
    return documents


@pytest.fixture
def img(tmp_path):
    """Each picture holds its own number; ophyd takes picture 0 when the detector is made."""
    numbers = iter(range(100))

    def picture():
        return np.full((10, 15), next(numbers), dtype="<i8")

    (tmp_path / "images").mkdir()
    return SynSignalWithRegistry(
        picture, name="img", labels={"detectors"}, save_path=str(tmp_path / "images")
    )


def array_of(documents):
    """Open the array of the data key `img`, as the delivery does."""
    array, descriptors, resources = None, {}, {}
    for name, doc in documents:
        if name == "descriptor":
            descriptors[doc["uid"]] = doc
        elif name == "stream_resource":
            resources[doc["uid"]] = doc
        elif name == "stream_datum":
            if resource := resources.pop(doc["stream_resource"], None):
                if array is None:
                    array = open_array(resource, descriptors[doc["descriptor"]])
                else:
                    array.add_resource(resource)
            array.add_datum(doc)
    return array


def translated(documents):
    translator = Translator()
    out = [result for name, doc in documents for result in translator.translate(name, doc)]
    assert translator.notes == []
    return out


def test_count_equals_what_bluesky_registers(img, register):
    documents = emitted(bp.count([img], 3))
    assert [name for name, _ in documents].count("datum") == 3
    array = array_of(translated(documents))

    normal = []
    normalizer = RunNormalizer()
    normalizer.subscribe(lambda name, doc: normal.append((getattr(name, "name", name), doc)))
    for name, doc in documents:
        normalizer(name, doc)
    by_name = {name: doc for name, doc in normal if name in ("descriptor", "stream_resource")}
    expected = consolidator_factory(by_name["stream_resource"], by_name["descriptor"])
    for name, doc in normal:
        if name == "stream_datum":
            expected.consume_stream_datum(doc)

    source = array.data_source()
    assert [asset.data_uri for asset in array.assets] == [asset.data_uri for asset in expected.assets]
    assert tuple(source.structure["shape"]) == expected.shape == (3, 10, 15)
    assert tuple(map(tuple, source.structure["chunks"])) == expected.chunks
    assert (source.mimetype, source.parameters, source.properties) == (
        expected.mimetype,
        expected.adapter_parameters(),
        {},
    )
    assert array.metadata == expected.metadata
    assert register(array).read()[:, 0, 0].tolist() == [1, 2, 3]


def test_staged_twice_in_one_run(img, register):
    """Bluesky's writer fails here: the second Resource of an NPY sequence has no template."""

    @bpp.run_decorator()
    def plan():
        for _ in range(2):
            yield from bps.stage(img)
            for _ in range(2):
                yield from bps.trigger_and_read([img])
            yield from bps.unstage(img)

    array = array_of(translated(emitted(plan())))
    assert register(array).read()[:, 5, 5].tolist() == [1, 2, 3, 4]
