"""Documents of earlier schemas: Resource and Datum, StreamResource with `spec`, values in events."""

import numpy as np
import tifffile

from tilewright.documents.resources import MIMETYPE_OF_SPEC

from .base import EVENT, FIRST, HDF5, RESOURCE, Emitter, case, external, indexed
from .hdf5 import PLACE, load, save
from .images import OLD_STYLE, load_npys, load_tiffs, save_npys, save_tiffs

EVENTS = 3


def filestore(shape, dtype="<u2", /, **changes):
    return external(shape, dtype, external="FILESTORE:", **changes)


def resource_of(run, spec, folder, name, **kwargs):
    """Add a Resource, and return its uid."""
    return old(run, "resource", spec, folder, name, kwargs)


def first_schema(run, spec, folder, name, **kwargs):
    """Announce a StreamResource of `img` as event-model did before version 1.20, and return its uid."""
    return old(run, "stream_resource", spec, folder, name, kwargs, data_key="img")


def old(run, document, spec, folder, name, kwargs, **fields):
    return run.old_resource(
        document,
        spec=spec,
        root=str(folder),
        resource_path=name,
        resource_kwargs=kwargs,
        path_semantics="posix",
        **fields,
    )


@case("HDF5", FIRST)
def swmr_stream(folder, stack):
    """`AD_HDF5_SWMR_STREAM`, `path`."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    resource = first_schema(run, "AD_HDF5_SWMR_STREAM", folder, "one.h5", path=f"/{PLACE}", swmr=True)
    run.steps(resource, stop=6)
    return run.written(img=load(path))


@case("HDF5", FIRST)
def place_of_a_spec(folder, stack):
    """`AD_HDF5`, whose dataset is known, and `frame_per_point`."""
    path = save(folder / "one.h5", indexed(3 * EVENTS, 4, 5))
    run = Emitter(img=external([4, 5]))
    run.steps(first_schema(run, "AD_HDF5", folder, "one.h5", frame_per_point=3), stop=EVENTS)
    return run.written(img=load(path).reshape(EVENTS, 3, 4, 5))


@case("TIFF", FIRST)
def tiffs_of_the_first_schema(folder, stack):
    """`AD_TIFF`, the folder as resource_path."""
    (folder / "tiffs").mkdir()
    paths = save_tiffs(folder / "tiffs", indexed(EVENTS, 4, 5), "scan_{:06d}.tif")
    run = Emitter(img=external([4, 5]))
    resource = first_schema(
        run, "AD_TIFF", folder, "tiffs/", template=OLD_STYLE, filename="scan", frame_per_point=1
    )
    run.steps(resource, stop=EVENTS)
    return run.written(img=load_tiffs(paths)[:, None])


@case("HDF5", FIRST)
def windows(folder, stack):
    """`path_semantics` of Windows."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    resource = run.old_resource(
        "stream_resource",
        data_key="img",
        spec="AD_HDF5",
        root=str(folder.parent).replace("/", "\\"),
        resource_path=f"{folder.name}\\one.h5",
        resource_kwargs={},
        path_semantics="windows",
    )
    run.steps(resource, stop=6)
    return run.written(img=load(path))


@case("HDF5", FIRST)
def path_in_todays_document(folder, stack):
    """Of today, but with `path` and `frame_per_point` among its parameters."""
    path = save(folder / "one.h5", indexed(3 * EVENTS, 4, 5))
    run = Emitter(img=external([4, 5]))
    uri = f"file://localhost{path}"
    run.steps(run.resource(HDF5, uri, path=PLACE, frame_per_point=3), stop=EVENTS)
    return run.written(img=load(path).reshape(EVENTS, 3, 4, 5))


def with_datums(folder, spec, kwargs, *, shape=(4, 5), stored=None, parameters=None):
    """Return a run with a Resource and a Datum of each of these kwargs, before the event that names it."""
    path = save(folder / "one.h5", indexed(*(stored or (len(kwargs), *shape))))
    run = Emitter(img=filestore(shape))
    resource = resource_of(run, spec, folder, "one.h5", **(parameters or {}))
    for number, one in enumerate(kwargs):
        run.event(img=run.old_datum(resource, number, **one))
    return run, load(path)


@case("HDF5", RESOURCE)
def datum_before_its_event(folder, stack):
    """`AD_HDF5`, each Datum before the event that names it, `point_number`."""
    run, values = with_datums(folder, "AD_HDF5", [{"point_number": point} for point in range(EVENTS)])
    return run.written(img=values)


@case("HDF5", RESOURCE)
def frame_per_point(folder, stack):
    """`AD_HDF5`, three frames for each event by `frame_per_point`, `point_number`."""
    points = [{"point_number": point} for point in range(EVENTS)]
    run, values = with_datums(
        folder, "AD_HDF5", points, stored=(3 * EVENTS, 4, 5), parameters={"frame_per_point": 3}
    )
    return run.written(img=values.reshape(EVENTS, 3, 4, 5))


@case("HDF5", RESOURCE)
def nothing_in_the_datum(folder, stack):
    """`AD_HDF5_SWMR`, Datums that say nothing: the event's place counts."""
    run, values = with_datums(folder, "AD_HDF5_SWMR", [{}] * EVENTS)
    return run.written(img=values)


@case("HDF5", RESOURCE)
def last_frames(folder, stack):
    """`frame`, the last one of each event."""
    kwargs = [{"frame": frame} for frame in (0, 2, 3)]
    run, values = with_datums(folder, "AD_HDF5", kwargs, stored=(4, 4, 5))
    return run.written(img=values)


@case("HDF5", RESOURCE)
def indices_in_the_datum(folder, stack):
    """`indices`, two rows for each event."""
    kwargs = [{"indices": {"start": 2 * number, "stop": 2 * number + 2}} for number in range(3)]
    run, values = with_datums(folder, "AD_HDF5", kwargs, stored=(6, 4, 5))
    return run.written(img=values)


@case("HDF5", RESOURCE)
def datum_after_its_event(folder, stack):
    """Each Datum after the event that names it."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5))
    run = Emitter(img=filestore([4, 5]))
    resource = resource_of(run, "AD_HDF5", folder, "one.h5")
    for number in range(EVENTS):
        run.event(img=f"{resource}/{number}")
        run.old_datum(resource, number, point_number=number)
    return run.written(img=load(path))


@case("HDF5", RESOURCE)
def resource_after_all_events(folder, stack):
    """Resource and Datums after all events."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5))
    run = Emitter(img=filestore([4, 5]))
    for number in range(EVENTS):
        run.event(img=f"late/{number}")
    resource = resource_of(run, "AD_HDF5", folder, "one.h5")
    for number in range(EVENTS):
        run.add("datum", datum_id=f"late/{number}", resource=resource, datum_kwargs={"point_number": number})
    return run.written(img=load(path))


@case("HDF5", RESOURCE)
def datum_page(folder, stack):
    """A DatumPage before the events."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5))
    run = Emitter(img=filestore([4, 5]))
    resource = resource_of(run, "AD_HDF5", folder, "one.h5")
    ids, points = [f"{resource}/{number}" for number in range(EVENTS)], list(range(EVENTS))
    run.add("datum_page", datum_id=ids, resource=resource, datum_kwargs={"point_number": points})
    for datum_id in ids:
        run.event(img=datum_id)
    return run.written(img=load(path))


@case("HDF5", RESOURCE)
def event_page(folder, stack):
    """An EventPage that names the Datums of a DatumPage."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5))
    run = Emitter(img=filestore([4, 5]))
    resource = resource_of(run, "AD_HDF5", folder, "one.h5")
    ids, numbers = [f"{resource}/{number}" for number in range(EVENTS)], list(range(1, EVENTS + 1))
    run.add("datum_page", datum_id=ids, resource=resource, datum_kwargs={"point_number": list(range(EVENTS))})
    times = [1_700_000_000.0 + number for number in numbers]
    run.add(
        "event_page",
        uid=[f"{run.uid}/{number}" for number in numbers],
        descriptor=run.described,
        seq_num=numbers,
        time=times,
        data={"x": [float(number) for number in numbers], "img": ids},
        timestamps={"x": times, "img": times},
        filled={"img": [False] * EVENTS},
    )
    return run.written(img=load(path))


@case("HDF5", RESOURCE)
def several_resources(folder, stack):
    """Two Resources after one another."""
    whole = indexed(5, 4, 5)
    paths = [save(folder / "a.h5", whole[:3]), save(folder / "b.h5", whole[3:])]
    run = Emitter(img=filestore([4, 5]))
    for path, count in zip(paths, (3, 2), strict=True):
        resource = resource_of(run, "AD_HDF5", folder, path.name)
        for number in range(count):
            run.event(img=run.old_datum(resource, number, frame=number))
    return run.written(img=load(*paths))


@case("HDF5", RESOURCE)
def descriptors_that_share_a_resource(folder, stack):
    """Two descriptors of a stream that share a Resource."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5))
    data_keys = {"img": filestore([4, 5])}
    run = Emitter(**data_keys)
    resource = resource_of(run, "AD_HDF5", folder, "one.h5")
    for number in range(EVENTS):
        if number == 2:
            run.descriptor(**data_keys)
        run.event(img=run.old_datum(resource, number, point_number=number))
    return run.written(img=load(path))


@case("HDF5", RESOURCE)
def data_keys_that_share_a_resource(folder, stack):
    """Two data keys that share a Resource, the dataset in the Datum."""
    path = save(folder / "one.h5", indexed(EVENTS, 4, 5), "entry/left")
    save(path, 50 + indexed(EVENTS, 3), "entry/right")
    run = Emitter(left=filestore([4, 5]), right=filestore([3]))
    resource = resource_of(run, "XSP3_STEP", folder, "one.h5")
    for number in range(EVENTS):
        ids = {}
        for offset, key in enumerate(("left", "right")):
            kwargs = {"point_number": number, "dataset": f"entry/{key}"}
            ids[key] = run.old_datum(resource, 2 * number + offset, **kwargs)
        run.event(**ids)
    return run.written(left=load(path, place="entry/left"), right=load(path, place="entry/right"))


@case("HDF5", RESOURCE)
def single(folder, stack):
    """`AD_HDF5_SINGLE`, a file for each event."""
    whole = indexed(EVENTS, 4, 5)
    paths = [save(folder / f"scan_{n:06d}.h5", whole[n : n + 1]) for n in range(EVENTS)]
    run = Emitter(img=filestore([4, 5]))
    kwargs = {"template": "%s%s_%6.6d.h5", "filename": "scan", "frame_per_point": 1}
    resource = resource_of(run, "AD_HDF5_SINGLE", folder.parent, f"{folder.name}/", **kwargs)
    for number in range(EVENTS):
        run.event(img=run.old_datum(resource, number, point_number=number))
    return run.written(img=load(*paths)[:, None])


@case("HDF5", RESOURCE)
def no_filled(folder, stack):
    """Events that do not say what is filled, and `dtype_str` in the descriptor."""
    run, values = with_datums(folder, "AD_HDF5", [{"point_number": point} for point in range(EVENTS)])
    for name, doc in run.documents:
        if name == "event":
            del doc["filled"]
        if name == "descriptor":
            doc["data_keys"]["img"]["dtype_str"] = doc["data_keys"]["img"].pop("dtype_numpy")
    return run.written(img=values)


@case("TIFF", RESOURCE)
def tiffs_of_a_resource(folder, stack):
    """`AD_TIFF`, `%s%s_%6.6d.tif`, three frames for each event by `frame_per_point`."""
    paths = save_tiffs(folder, indexed(3 * EVENTS, 4, 5), "scan_{:06d}.tif")
    run = Emitter(img=filestore([4, 5]))
    kwargs = {"template": OLD_STYLE, "filename": "scan", "frame_per_point": 3}
    resource = resource_of(run, "AD_TIFF", folder.parent, f"{folder.name}/", **kwargs)
    for number in range(EVENTS):
        run.event(img=run.old_datum(resource, number, point_number=number))
    return run.written(img=load_tiffs(paths).reshape(EVENTS, 3, 4, 5))


@case("NPY", RESOURCE)
def npy_seq(folder, stack):
    """`NPY_SEQ`, as ophyd's simulated detectors have it."""
    paths = save_npys(folder, "a", indexed(EVENTS, 4, 5, dtype="<i8"))
    run = Emitter(img=filestore([4, 5], "<i8"))
    resource = resource_of(run, "NPY_SEQ", folder, "a")
    for number in range(EVENTS):
        run.event(img=run.old_datum(resource, number, index=number))
    return run.written(img=load_npys(paths))


@case("HDF5", RESOURCE)
def every_spec_of_hdf5(folder, stack):
    """Every `spec` of HDF5 files, a data key for each."""
    specs = [spec for spec, mimetype in MIMETYPE_OF_SPEC.items() if mimetype == HDF5]
    keys = {f"k_{spec}": spec for spec in specs}
    run = Emitter(**{key: filestore([2]) for key in keys})
    resources, paths = {}, {}
    for number, (key, spec) in enumerate(keys.items()):
        paths[key] = save(folder / f"{key}.h5", 10 * number + indexed(2, 2), "there")
        resources[key] = resource_of(run, spec, folder, f"{key}.h5", path="/there")
    for number in range(2):
        run.event(**{key: run.old_datum(uid, number, point_number=number) for key, uid in resources.items()})
    return run.written(**{key: load(path, place="there") for key, path in paths.items()})


@case("bytes", RESOURCE)
def unknown_spec(folder, stack):
    """A `spec` that nobody knows."""
    path = folder / "one.novel"
    path.write_bytes(b"what is in it")
    run = Emitter(img=filestore([4, 5]))
    resource = resource_of(run, "NOVEL", folder, "one.novel", depth=3)
    run.event(img=run.old_datum(resource, 0))
    return run.written(img=[path.read_bytes()])


@case("bytes", RESOURCE)
def spec_of_text(folder, stack):
    """`PIZZABOX_ENC_FILE_TXT_PD`, a text with a header."""
    path = folder / "one.txt"
    path.write_text("# time, encoder\n1 2\n3 4\n")
    run = Emitter(img=filestore([2, 2]))
    resource = resource_of(run, "PIZZABOX_ENC_FILE_TXT_PD", folder, "one.txt")
    run.event(img=run.old_datum(resource, 0))
    return run.written(img=[path.read_bytes()])


@case("in events", EVENT)
def filled(folder, stack):
    """An external data key, filled: the value in the event, read out of the file."""
    paths = save_tiffs(folder, indexed(EVENTS, 1, 3))
    run = Emitter(img=filestore([3]))
    for path in paths:
        run.event(filled=True, img=tifffile.imread(path)[0].tolist())
    return run.written(img=load_tiffs(paths)[:, 0])


@case("in events", EVENT)
def filled_numbers(folder, stack):
    """An external data key of numbers, filled."""
    paths = save_npys(folder, "a", indexed(EVENTS, dtype="<f8"))
    run = Emitter(img=filestore([], "<f8", dtype="number"))
    for path in paths:
        run.event(filled=True, img=float(np.load(path)))
    return run.written(img=load_npys(paths))
