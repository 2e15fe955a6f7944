"""One run's documents through the Translator, compared with bluesky-tiled-plugins' RunNormalizer."""

from __future__ import annotations

import copy
import random
import re
import time

import numpy as np
import pytest
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer
from event_model import pack_datum_page, pack_event_page

from tilewright.documents import PathMap, Translator

START = ("start", {"uid": "s1", "time": 0.0})
STOP = ("stop", {"uid": "e1", "run_start": "s1", "time": 9.0, "exit_status": "success"})


def descriptor(uid="d1", name="primary", keys=("img",)):
    spec = {"dtype": "array", "shape": [4, 5], "dtype_numpy": "<u2", "source": "s", "external": "FILESTORE:"}
    inner = {"dtype": "number", "shape": [], "source": "s", "dtype_numpy": "<f8"}
    data_keys = {"x": inner} | {key: dict(spec) for key in keys}
    return (
        "descriptor",
        {"uid": uid, "run_start": "s1", "name": name, "time": 0.0, "data_keys": data_keys},
    )


def resource(uid="r1", spec="AD_HDF5"):
    doc = {"uid": uid, "run_start": "s1", "spec": spec, "root": "/data", "resource_path": f"{uid}.h5"}
    return ("resource", {**doc, "resource_kwargs": {"frame_per_point": 1}, "path_semantics": "posix"})


def datum(number, uid="r1", **kwargs):
    return ("datum", {"datum_id": f"{uid}/{number}", "resource": uid, "datum_kwargs": kwargs})


def event(seq_num, data, uid="d1", filled=None):
    filled = dict.fromkeys(data, False) if filled is None else filled
    data = {"x": float(seq_num), **data}
    doc = {"uid": f"{uid}-{seq_num}", "descriptor": uid, "seq_num": seq_num, "time": float(seq_num)}
    return ("event", {**doc, "data": data, "timestamps": dict.fromkeys(data, 0.0), "filled": filled})


def translate(documents, **options):
    translator = Translator(**options)
    before = copy.deepcopy(documents)
    out = [result for name, doc in documents for result in translator.translate(name, doc)]
    np.testing.assert_equal(documents, before, "documents are not altered")
    return out, translator


def stream_documents(documents):
    return [(name, doc) for name, doc in documents if name.startswith("stream_")]


def by_bluesky(documents, **options):
    """Return the stream documents of RunNormalizer, but for what it tells patches only."""
    out = []
    normalizer = RunNormalizer(**options)
    normalizer.subscribe(lambda name, doc: out.append((getattr(name, "name", name), doc)))
    for name, doc in documents:
        normalizer(name, doc)
    for name, doc in out:
        if name == "stream_resource":
            doc["parameters"].pop("_resource_spec", None)
    return stream_documents(out)


def run(datums, values=None, resources=None):
    values = values or [{"img": doc["datum_id"]} for _, doc in datums]
    events = [event(number, value) for number, value in enumerate(values, start=1)]
    return [START, descriptor(), *(resources or [resource()]), *datums, *events, STOP]


KINDS_OF_DATUM = {
    "none": [datum(n) for n in range(4)],
    "other": [datum(n, index=n) for n in range(4)],
    "point_number": [datum(n, point_number=point) for n, point in enumerate([0, 1, 1, 2])],
    "indices": [datum(n, indices={"start": 3 * n, "stop": 3 * n + 3}) for n in range(4)],
    "frame": [datum(n, frame=frame) for n, frame in enumerate([0, 4, 5, 9])],
    "frames begin again": [datum(n, frame=frame) for n, frame in enumerate([2, 4, 0, 3, 1])],
}


@pytest.mark.parametrize("kind", KINDS_OF_DATUM)
def test_frames_equal_those_of_bluesky(kind):
    documents = run(KINDS_OF_DATUM[kind])
    out, translator = translate(documents)
    assert stream_documents(out) == by_bluesky(documents)
    assert len(stream_documents(out)) == 1 + len(KINDS_OF_DATUM[kind])
    assert translator.notes == []


def test_numbers_of_files_equal_those_of_bluesky_where_each_event_has_the_next():
    documents = run(KINDS_OF_DATUM["other"], resources=[resource(spec="NPY_SEQ")])
    ours, theirs = stream_documents(translate(documents)[0]), by_bluesky(documents)
    assert theirs[0][1]["parameters"].pop("index") == 0  # of the first datum, and no parameter of all
    assert ours == theirs


def test_numbers_of_files_where_not_each_event_has_the_next():
    """A baseline takes files of the same Resource, event 2 is taken again, and another Resource goes on."""
    documents = [
        START,
        descriptor("d1"),
        descriptor("d2", "baseline"),
        resource("r1", "NPY_SEQ"),
        resource("r2", "NPY_SEQ"),
        *(datum(n, uid, index=n) for uid in ("r1", "r2") for n in range(5)),
        event(1, {"img": "r1/0"}, "d2"),
        event(1, {"img": "r1/1"}),
        event(2, {"img": "r1/2"}),
        event(2, {"img": "r1/3"}),
        event(2, {"img": "r1/4"}, "d2"),
        event(3, {"img": "r2/2"}),
        event(4, {"img": "r1/1"}),
        STOP,
    ]
    out, translator = translate(documents)
    ranges = [
        (doc["uid"], doc["descriptor"], doc["indices"]["start"], doc["seq_nums"]["start"])
        for name, doc in out
        if name == "stream_datum"
    ]
    assert ranges == [
        ("r1/0", "d2", 0, 1),
        ("r1/1", "d1", 1, 1),
        ("r1/2", "d1", 2, 2),
        ("r1/3", "d1", 3, 2),
        ("r1/4", "d2", 4, 2),
        ("r2/2", "d1", 3 + 2, 3),  # after three rows
        ("r1/1", "d1", 1, 4),
    ]
    assert all("index" not in doc["parameters"] for name, doc in out if name == "stream_resource")
    assert translator.notes == []


def test_a_number_that_no_file_has():
    documents = run([datum(0, index=0), datum(1, index=-1)], resources=[resource(spec="NPY_SEQ")])
    out, translator = translate(documents)
    (note,) = translator.notes
    assert "expected the number of a file, found -1" in note
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0"]


def test_several_resources_streams_and_keys_equal_those_of_bluesky():
    resources = [resource("r1"), resource("r2", "AD_TIFF"), resource("r3", "novel")]
    documents = [
        START,
        descriptor("d1", keys=("a", "b")),
        descriptor("d2", "other", keys=("c",)),
        *resources,
        *(datum(n, uid, extra=n) for n in range(3) for uid in ("r1", "r2", "r3")),
        event(1, {"a": "r1/0", "b": "r2/0"}),
        event(1, {"c": "r3/0"}, "d2"),
        event(2, {"b": "r2/1", "a": "r3/1"}),
        event(2, {"c": "r1/1"}, "d2"),
        STOP,
    ]
    out, translator = translate(documents)
    assert stream_documents(out) == by_bluesky(documents)
    assert [note for note in translator.notes if "'NOVEL'" in note] == translator.notes
    assert len(translator.notes) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_does_not_matter(seed):
    """Whenever resources and datums come, the datums of a key come out in the order of the events."""
    datums = [datum(n, uid, frame=n) for uid in ("r1", "r2") for n in range(6)]
    events = [event(number, {"img": doc["datum_id"]}) for number, (_, doc) in enumerate(datums, start=1)]
    early = [*datums, resource("r1"), resource("r2")]
    expected, _ = translate([descriptor(), *early, *events, STOP])
    random.Random(seed).shuffle(early)
    mixed = list(events)
    for document in early:
        mixed.insert(random.Random(seed + len(mixed)).randint(0, len(mixed)), document)
    out, translator = translate([descriptor(), *mixed, STOP])
    assert stream_documents(out) == stream_documents(expected)
    assert out[-1] == STOP
    assert translator.notes == []


def test_late_datums_equal_those_of_bluesky():
    datums = KINDS_OF_DATUM["none"]
    events = [event(number, {"img": doc["datum_id"]}) for number, (_, doc) in enumerate(datums, start=1)]
    documents = [START, descriptor(), resource(), *events, *datums, STOP]
    assert stream_documents(translate(documents)[0]) == by_bluesky(documents)


def test_a_datum_comes_out_as_soon_as_it_can():
    translator = Translator()
    for document in (descriptor(), resource(), event(1, {"img": "r1/0"}), event(2, {"img": "r1/1"})):
        assert stream_documents(translator.translate(*document)) == []
    assert translator.translate(*datum(1)) == []  # it waits for its turn
    assert [name for name, _ in translator.translate(*datum(0))] == [
        "stream_resource",
        "stream_datum",
        "stream_datum",
    ]


def test_pages_equal_single_documents():
    datums = [datum(n, point_number=n) for n in range(4)]
    documents = run(datums)
    events = [doc for name, doc in documents if name == "event"]
    pages = [
        START,
        descriptor(),
        resource(),
        ("event_page", pack_event_page(*events[:3])),
        ("datum_page", pack_datum_page(*(doc for _, doc in datums))),
        ("event_page", pack_event_page(*events[3:])),
        STOP,
    ]
    out, _ = translate(pages)
    assert stream_documents(out) == stream_documents(translate(documents)[0])
    assert [doc for name, doc in out if name == "event_page"] == [pages[3][1], pages[5][1]]


def test_what_is_new_passes_as_the_same_object():
    modern = [
        START,
        descriptor(),
        ("stream_resource", {"uid": "r", "data_key": "img", "mimetype": "m", "uri": "u", "parameters": {}}),
        ("stream_datum", {"uid": "r/0", "stream_resource": "r", "descriptor": "d1"}),
        event(1, {}),
        ("event_page", pack_event_page(event(2, {})[1])),
        ("bulk_events", {}),
        ("name of tomorrow", {"uid": "t"}),
        STOP,
    ]
    out, translator = translate(modern)
    assert all(ours is theirs for (_, ours), (_, theirs) in zip(out, modern, strict=True))
    assert translator.notes == []


def test_old_stream_resources_equal_those_of_bluesky():
    _, doc = resource()
    documents = [START, descriptor(), ("stream_resource", {**doc, "data_key": "img"}), STOP]
    out, _ = translate(documents)
    assert stream_documents(out) == by_bluesky(documents)


def test_filled_values_are_no_references():
    documents = [
        START,
        descriptor(),
        resource(),
        datum(0),
        event(1, {"img": [[1, 2], [3, 4]]}, filled={"img": True}),
        event(2, {"img": [[1, 2], [3, 4]]}, filled={"img": "r1/0"}),
    ]
    out, translator = translate(documents)
    assert stream_documents(out) == []
    assert translator.finish() == []
    assert translator.notes == ["No event named a datum of Resource 'r1' (file://localhost/data/r1.h5)."]


def test_a_datum_named_twice_counts_twice():
    out, translator = translate(run([datum(0)], [{"img": "r1/0"}, {"img": "r1/0"}]))
    indices = [doc["indices"] for name, doc in out if name == "stream_datum"]
    assert indices == [{"start": 0, "stop": 1}, {"start": 1, "stop": 2}]
    assert translator.notes == []


def test_what_never_arrives_is_noted():
    values = [{"img": "r1/0"}, {"img": "lost"}, {"img": [7, 8]}, {"img": "r1/1"}]
    out, translator = translate(run([datum(0), datum(1)], values))
    assert [doc["indices"]["start"] for name, doc in out if name == "stream_datum"] == [0, 3]
    (note,) = translator.notes
    assert "'img'" in note
    assert "seq_num 2: 'lost'" in note
    assert "seq_num 3: [7, 8]" in note
    assert translator.finish() == []
    assert translator.notes == [note]


def test_a_run_that_was_cut_off():
    out, translator = translate(run([datum(0)], [{"img": "late"}, {"img": "r1/0"}])[:-1])
    assert stream_documents(out) == []
    assert [name for name, _ in translator.finish()] == ["stream_resource", "stream_datum"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (datum(1, point_number="first"), "cannot be understood.*'first'"),
        (datum(1, indices={"start": 3}), "cannot be understood.*'stop'"),
        (("datum", {"datum_id": "r1/1"}), "A datum has no resource"),
        (("datum_page", {"datum_id": ["r1/1"], "resource": "r1"}), "A datum_page has no datum_kwargs"),
        (("resource", {"spec": "AD_TIFF"}), "A resource has no uid"),
    ],
)
def test_a_broken_document_is_noted_and_the_rest_goes_on(bad, words):
    documents = run([datum(0)], [{"img": "r1/0"}, {"img": "r1/1"}])
    documents.insert(-3, bad)
    out, translator = translate(documents)
    assert any(re.search(words, note) for note in translator.notes)
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0"]
    assert bad not in out


def test_an_event_whose_descriptor_is_missing_passes_in_the_end():
    document = event(1, {"img": "r1/0"})
    translator = Translator()
    assert translator.translate(*document) == []
    assert translator.finish() == [document]
    assert translator.finish() == []


def test_an_event_before_its_descriptor_means_the_same():
    documents = run(KINDS_OF_DATUM["other"])
    start, described, *others = documents
    in_order, _ = translate(documents)
    early, _ = translate([start, *others[:-1], described, others[-1]])
    assert stream_documents(early) == stream_documents(in_order)
    assert [doc["seq_num"] for name, doc in early if name == "event"] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["descriptor", "event", "event_page", "stream_datum", "stop", "surprise"])
@pytest.mark.parametrize(
    "doc",
    [None, 5, [], "text", {"a": 1}, {"descriptor": [], "data": 5, "seq_num": 1, "uid": [], "data_keys": 3}],
    ids=repr,
)
def test_what_cannot_be_understood_passes_as_it_is(name, doc):
    assert Translator().translate(name, doc) == [(name, doc)]


ODD_DATUMS = [
    {"datum_kwargs": 5},
    {"datum_kwargs": {"indices": np.arange(3)}},
    {"datum_kwargs": {"point_number": "x"}},
    {"resource": ["r1"]},
    {"resource": 5},
]


@pytest.mark.parametrize("changes", ODD_DATUMS, ids=repr)
@pytest.mark.parametrize("order", ["as it should be", "resource last", "after one that does not come"])
def test_an_odd_datum_costs_the_others_nothing(changes, order):
    """Whatever is resolved in the same call as the odd one: when the resource comes, or the run ends."""
    odd = ("datum", datum(1)[1] | changes)
    values = [{"img": "r1/0", "other": "r1/1"}, {"img": "r1/1", "other": "r1/0"}, {"img": "r1/2"}]
    start, _, held, *rest = run([datum(0), odd, datum(2)], values)
    documents = [start, descriptor(keys=("img", "other")), held, *rest]
    if order == "resource last":
        documents = [start, descriptor(keys=("img", "other")), *rest[:-1], held, rest[-1]]
    elif order != "as it should be":
        missing = event(9, {"img": "missing", "other": "missing"})
        documents = [*documents[:6], missing, *documents[6:]]
    out, translator = translate(documents)
    out += translator.finish()
    found = [(doc["stream_resource"], doc["uid"]) for name, doc in out if name == "stream_datum"]
    assert sorted(found) == [("r1-d1-img", "r1/0"), ("r1-d1-img", "r1/2"), ("r1-d1-other", "r1/0")]
    assert translator.notes


@pytest.mark.parametrize(
    "changes",
    [{"filled": {"other": np.arange(2)}}, {"filled": 5}, {"seq_num": None}, {"seq_num": "x"}],
    ids=repr,
)
def test_an_odd_event_still_names_its_files(changes):
    name, doc = event(1, {"img": "r1/0", "other": "filled"}, filled={"other": True})
    documents = [
        descriptor(keys=("img", "other")),
        resource(),
        datum(0, point_number=0),
        (name, doc | changes),
    ]
    out, _ = translate([START, *documents, STOP])
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0"]


def test_a_page_with_a_short_column_still_names_the_files_of_the_others():
    page = pack_event_page(event(1, {"img": "r1/0"})[1], event(2, {"img": "r1/1"})[1])
    page = page | {"data": page["data"] | {"img": ["r1/0"]}, "filled": {"img": [False]}}
    out, _ = translate([START, descriptor(), resource(), datum(0), datum(1), ("event_page", page), STOP])
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0"]


def test_a_datum_page_goes_as_far_as_all_its_columns():
    """A datum without its kwargs would be given frames that nobody named."""
    ids = ["r1/0", "r1/1", "r1/2"]
    page = {"resource": "r1", "datum_id": ids, "datum_kwargs": {"point_number": [0, 1], "n": [1, 2, 3, 4]}}
    values = [{"img": datum_id} for datum_id in ids]
    out, translator = translate(run([("datum_page", page)], values))
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0", "r1/1"]
    assert any("datum_page has columns of unequal length" in note for note in translator.notes)
    assert any("seq_num 3: 'r1/2'" in note for note in translator.notes)


def test_a_resource_of_a_huge_number_is_noted():
    translator = Translator()
    translator.translate("resource", resource()[1] | {"uid": 10**6000})
    assert translator.finish() == []
    assert "No event named a datum of Resource" in translator.notes[0]


def test_a_stream_whose_name_is_no_text_has_its_files():
    out, _ = translate(
        [START, descriptor(name=["odd"]), resource(), datum(0), event(1, {"img": "r1/0"}), STOP]
    )
    assert [doc["uid"] for name, doc in out if name == "stream_datum"] == ["r1/0"]


def test_mimetypes_and_patches_equal_those_of_bluesky():
    def patch_datum(doc):
        assert doc["datum_kwargs"]["_resource_spec"] == "NOVEL"
        doc["datum_kwargs"] = {"point_number": doc["datum_kwargs"]["nth"] - 1}
        return doc

    def patch_resource(doc):
        doc["resource_path"] = "patched.tif"
        return doc

    options = {
        "spec_to_mimetype": {"NOVEL": "application/x-novel"},
        "patches": {"datum": patch_datum, "resource": patch_resource},
    }
    documents = run([datum(n, nth=n + 1) for n in range(3)], resources=[resource(spec="novel")])
    out, translator = translate(documents, **options)
    assert stream_documents(out) == by_bluesky(documents, **options)
    assert stream_documents(out)[0][1]["mimetype"] == "application/x-novel"
    assert stream_documents(out)[0][1]["uri"].endswith("patched.tif")
    assert translator.notes == []


def test_a_patch_for_events_is_applied_to_pages():
    def patch(doc):
        return {**doc, "data": {**doc["data"], "x": -1.0}}

    page = ("event_page", pack_event_page(event(1, {})[1], event(2, {})[1]))
    out, _ = translate([descriptor(), page], patches={"event": patch})
    assert [(name, doc["data"]["x"]) for name, doc in out[1:]] == [("event", -1.0), ("event", -1.0)]


def test_a_run_of_many_events_takes_time_in_proportion():
    def seconds(count):
        documents = run([datum(n) for n in range(count)])
        start = time.perf_counter()
        translator = Translator()
        for document in documents:
            translator.translate(*document)
        return time.perf_counter() - start

    few, many = (min(seconds(count) for _ in range(5)) for count in (2_000, 20_000))
    assert many < 40 * few


def test_paths_are_mapped_in_documents_of_every_schema():
    rules = PathMap.of({"/data": "/server/data"})
    today = {
        "uid": "t",
        "data_key": "img",
        "mimetype": "application/x-hdf5",
        "uri": "file:///data/t.h5",
        "parameters": {},
    }
    earlier = {"uid": "e", "data_key": "img", "spec": "AD_HDF5", "root": "/", "resource_path": "data/e.h5"}
    elsewhere = today | {"uid": "o", "uri": "file://localhost/other/o.h5"}
    odd = today | {"uid": "n", "uri": 7}
    new = [("stream_resource", doc) for doc in (today, earlier, elsewhere, odd)]
    old = [START, descriptor(), resource(), datum(0), event(1, {"img": "r1/0"}), STOP]
    out, translator = translate([*old[:4], *new, *old[4:]], path_map=rules)
    uris = {doc["uid"][0]: doc["uri"] for name, doc in out if name == "stream_resource"}
    assert uris == {
        "t": "file://localhost/server/data/t.h5",
        "e": "file://localhost/server/data/e.h5",
        "o": "file://localhost/other/o.h5",
        "n": 7,
        "r": "file://localhost/server/data/r1.h5",
    }
    assert next(doc for _, doc in out if doc.get("uid") == "o") is elsewhere
    assert translator.notes == []
