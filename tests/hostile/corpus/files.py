"""Stream resources and datums that describe no files, or come in the wrong order."""

from tilewright.documents import path_segment

from .base import MISSING, ODD_TYPES, Run, case, number

IMAGE = number(dtype="array", shape=[2, 2], dtype_numpy="<u2", external="STREAM:")
URI = "file://localhost/nowhere/hostile.h5"


def resource(uid="r", **changes):
    parameters = {"dataset": "/d", "chunk_shape": [1, 2, 2]}
    doc = {
        "uid": uid,
        "data_key": "image",
        "mimetype": "application/x-hdf5",
        "uri": URI,
        "parameters": parameters,
    }
    return "stream_resource", {k: v for k, v in {**doc, **changes}.items() if v is not MISSING}


def datum(uid="r", descriptor=None, **changes):
    both = {"start": 0, "stop": 3}
    doc = {
        "uid": f"{uid}/0",
        "stream_resource": uid,
        "descriptor": descriptor,
        "indices": both,
        "seq_nums": {"start": 1, "stop": 4},
    }
    return "stream_datum", {k: v for k, v in {**doc, **changes}.items() if v is not MISSING}


@case(Run(rows={"primary": 0}, nodes=["image"]), server=False)
def a_datum_before_its_resource_before_their_descriptor(doc):
    yield doc.start()
    yield datum(descriptor=f"{doc.uid} d")
    yield resource(run_start=doc.uid)
    yield doc.descriptor(data_keys={"image": IMAGE})
    yield doc.stop()


@case(
    Run(
        x=[1],
        nodes=["image"],
        notes=["set aside: it names the stream_resource 'unheard of'", "set aside: its stream_resource is"],
        verified=False,
    ),
    server=False,
)
def datums_of_no_resource(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "image": IMAGE})
    yield resource(run_start=doc.uid)
    yield datum(descriptor=f"{doc.uid} d")
    yield datum("unheard of", descriptor=f"{doc.uid} d")
    for value in ODD_TYPES:
        yield datum(value, descriptor=f"{doc.uid} d")
    yield doc.event(1)
    yield doc.stop()


RESOURCES = [
    {"uri": MISSING},
    {"uri": 5},
    {"uri": "\ud800"},
    {"uri": ""},
    {"uri": "no address"},
    {"uri": "file://localhost/../../etc/passwd"},
    {"uri": "u" * 100_000},
    {"mimetype": MISSING},
    {"mimetype": 5},
    {"mimetype": "application/x-unheard-of"},
    {"mimetype": ["application/x-hdf5"]},
    {"parameters": MISSING},
    {"parameters": 5},
    {"parameters": {"dataset": ODD_TYPES}},
    {"parameters": {"dataset": "/d", "chunk_shape": [10**20]}},
    {"parameters": {"dataset": "/d", "chunk_shape": "wide"}},
    {"parameters": {"dataset": "/d", "join_method": "glue"}},
    {"parameters": {"dataset": "/d", "odd": [10**6000, object(), {"\ud800"}]}},
    {"mimetype": "multipart/related;type=image/tiff", "parameters": {"template": "{:999999999d}.tif"}},
    {"mimetype": "multipart/related;type=image/tiff", "parameters": {"template": "%999999999d.tif"}},
    {"mimetype": "multipart/related;type=image/tiff", "parameters": {"template": 5}},
    {"mimetype": "text/csv;header=absent", "parameters": {"sep": object()}},
]


A_FEW_RESOURCES = RESOURCES[::7]


def _resources(doc, resources):
    """Each is a node all the same, of bytes if of nothing better."""
    keys = {f"image{n}": IMAGE for n in range(len(resources))}
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), **keys})
    yield doc.event(1)
    for n, changes in enumerate(resources):
        yield resource(f"r{n}", data_key=f"image{n}", run_start=doc.uid, **changes)
        yield datum(f"r{n}", descriptor=f"{doc.uid} d")
    yield doc.stop()


@case(
    Run(
        x=[1],
        nodes=[f"image{n}" for n in range(len(RESOURCES))],
        notes=["its files are kept as bytes", "no format here reads 'application/x-unheard-of'"],
    ),
    server=False,
)
def resources_that_describe_no_array(doc):
    yield from _resources(doc, RESOURCES)


@case(
    Run(
        x=[1],
        nodes=[f"image{n}" for n in range(len(A_FEW_RESOURCES))],
        notes=["its files are kept as bytes"],
    )
)
def a_few_resources_that_describe_no_array(doc):
    yield from _resources(doc, A_FEW_RESOURCES)


INDICES = [
    MISSING,
    None,
    5,
    {},
    {"start": 0},
    {"start": "a", "stop": 2},
    {"start": 5, "stop": 2},
    {"start": -3, "stop": 2},
    {"start": 0, "stop": 1.5},
    {"start": 0, "stop": 10**12},
    {"start": 0, "stop": 10**30},
    {"start": 10**30, "stop": 10**30 + 1},
]


@case(
    Run(x=[1], nodes=["image", "pictures"], notes=[r"\(stream_datum\) set aside"], verified=False),
    server=False,
)
def datums_with_impossible_ranges(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "image": IMAGE, "pictures": IMAGE})
    yield doc.event(1)
    tiffs = {"mimetype": "multipart/related;type=image/tiff", "parameters": {"template": "{:d}.tif"}}
    yield resource("r", run_start=doc.uid)
    yield resource("t", run_start=doc.uid, data_key="pictures", **tiffs)
    for uid in ("r", "t"):
        yield datum(uid, descriptor=f"{doc.uid} d")
        for value in INDICES:
            yield datum(uid, descriptor=f"{doc.uid} d", indices=value)
            yield datum(uid, descriptor=f"{doc.uid} d", seq_nums=value)
    yield doc.stop()


NAMES = ["a/b", "..", "", "x", "X", "time", "internal", "rejected", "\ud800", "?", "a b", "n" * 300, "\0"]


@case(
    Run(
        x=[1],
        nodes=[
            "a_b",
            ".._",
            "_",
            "x_",
            "X",
            "time_",
            "k_internal",
            "rejected_",
            "_ud800",
            "__",
            "a b",
            path_segment("n" * 300),
            "__2",
        ],
        notes=["is the node"],
    ),
    server=False,
)
def data_keys_of_files_that_no_path_holds(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), **{name: IMAGE for name in NAMES if name != "x"}})
    yield doc.event(1)
    for n, name in enumerate(NAMES):
        yield resource(f"r{n}", data_key=name, run_start=doc.uid)
        yield datum(f"r{n}", descriptor=f"{doc.uid} d")
    yield doc.stop()


@case(Run(x=[1], notes=["cannot be understood", "has no"], nodes=["image"]), server=False)
def old_resources_and_datums_of_wrong_types(doc):
    key = number(dtype="array", shape=[2, 2], external="FILESTORE:")
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "image": key})
    for n, value in enumerate(ODD_TYPES):
        changes = {"spec": value, "root": value, "resource_path": value, "resource_kwargs": value}
        yield "resource", {"uid": f"r{n}", "run_start": doc.uid, **changes}
        yield "datum", {"datum_id": f"r{n}/0", "resource": f"r{n}", "datum_kwargs": value}
        yield "datum", {"datum_id": value, "resource": value, "datum_kwargs": {}}
        yield "datum_page", {"datum_id": value, "resource": f"r{n}", "datum_kwargs": value}
        yield "resource", {"uid": value, "run_start": doc.uid}
    yield doc.event(1, data={"x": 1.0, "image": "r0/0"})
    yield doc.stop()
