"""CSV, Zarr, and files that no format knows."""

import numpy as np
import zarr

from .base import BYTES, CSV, ZARR, Emitter, case, external, file_uri, indexed


def csv_run(folder, shape, events, *, there=None, delimiter=",", dtype="<f8", **parameters):
    """Write rows of text, of more events if need be, and the documents of a run of them."""
    rows = shape[0] if len(shape) > 1 else 1
    path = folder / "rows.csv"
    np.savetxt(path, indexed((there or events) * rows, shape[-1]) + 0.5, delimiter=delimiter)
    run = Emitter(img=external(shape, dtype))
    run.steps(run.resource(CSV, file_uri(path), **parameters), stop=events)
    return run, np.loadtxt(path, delimiter=delimiter, dtype=dtype)


@case("CSV")
def several_rows_an_event(folder, stack):
    """Three rows for each event."""
    run, values = csv_run(folder, [3, 2], 4)
    return run.written(img=values)


@case("CSV")
def one_row_an_event(folder, stack):
    """One row for each event."""
    run, values = csv_run(folder, [1, 4], 5)
    return run.written(img=values)


@case("CSV")
def semicolons(folder, stack):
    """Another separator, chunks within an event, and numbers of 32 bits."""
    run, values = csv_run(folder, [4, 2], 3, delimiter=";", dtype="<f4", sep=";", chunk_shape=[3])
    return run.written(img=values)


@case("CSV")
def lines_not_promised_yet(folder, stack):
    """More lines in the file than were promised."""
    run, values = csv_run(folder, [3, 2], 4, there=5)
    return run.written(img=values[:12])


@case("CSV")
def lines_left_out(folder, stack):
    """Indices with skips: the lines of the second event belong to none."""
    path = folder / "rows.csv"
    np.savetxt(path, indexed(9, 2) + 0.5, delimiter=",")
    run = Emitter(img=external([3, 2], "<f8"))
    resource = run.resource(CSV, file_uri(path))
    run.steps(resource, stop=1)
    run.datum(resource, 2, 3, seq_nums=(2, 3))
    run.event()
    return run.written(img=np.delete(np.loadtxt(path, delimiter=","), [3, 4, 5], axis=0))


def zarr_array(folder, values, version, *, place=None, name="one.zarr", chunks=(2, 4, 5)):
    """Write a store of an array, or of a group with an array in it; return the store's path and the values read back."""
    path, options = folder / name, {"shape": values.shape, "chunks": chunks, "dtype": values.dtype}
    if place is None:
        zarr.create_array(path, zarr_format=version, **options)[:] = values
        return path, zarr.open_array(path, mode="r")[:]
    zarr.open_group(path, mode="w", zarr_format=version).create_array(place, **options)[:] = values
    return path, zarr.open_group(path, mode="r")[place][:]


def zarr_run(folder, version, place=None):
    path, values = zarr_array(folder, indexed(6, 4, 5), version, place=place)
    run = Emitter(img=external([4, 5]))
    parameters = {"dataset": f"/{place}"} if place else {}
    run.steps(run.resource(ZARR, file_uri(path), chunk_shape=[2, 4, 5], **parameters), stop=6)
    return run.written(img=values)


@case("Zarr 2")
def array_of_version_2(folder, stack):
    """A store that is an array."""
    return zarr_run(folder, 2)


@case("Zarr 3")
def array_of_version_3(folder, stack):
    """A store that is an array."""
    return zarr_run(folder, 3)


@case("Zarr 2")
def group_of_version_2(folder, stack):
    """An array in a group."""
    return zarr_run(folder, 2, "entry/data")


@case("Zarr 3")
def group_of_version_3(folder, stack):
    """An array in a group."""
    return zarr_run(folder, 3, "entry/data")


@case("Zarr 3")
def several_stores(folder, stack):
    """Two stores after one another, with more rows in the second one than were promised."""
    whole = indexed(9, 4, 5)
    run, parts = Emitter(img=external([4, 5], dims=["y", "x_pixel"])), []
    for first, last, there in ((0, 4, 4), (4, 7, 9)):
        path, values = zarr_array(folder, whole[first:there], 3, name=f"from_{first}.zarr")
        run.steps(run.resource(ZARR, file_uri(path), chunk_shape=[2, 4, 5]), start=first, stop=last)
        parts.append(values[: last - first])
    return run.written(img=np.concatenate(parts))


@case("Zarr 3")
def store_of_numbers(folder, stack):
    """A number for each event, shape [1]."""
    path, values = zarr_array(folder, indexed(6, dtype="<f8"), 3, chunks=(4,))
    run = Emitter(img=external([1], "<f8"))
    run.steps(run.resource(ZARR, file_uri(path), chunk_shape=[4]), stop=6)
    return run.written(img=values)


def save_bytes(path):
    path.write_bytes(f"what is in {path.name}".encode())
    return path


@case("bytes")
def declared_as_bytes(folder, stack):
    """One file that the emitter declares as bytes."""
    path = save_bytes(folder / "one.bin")
    run = Emitter(img=external([], "|u1"))
    run.steps(run.resource(BYTES, file_uri(path)), stop=1)
    return run.written(img=[path.read_bytes()])


@case("bytes")
def declared_as_bytes_by_template(folder, stack):
    """A file for each event, named by a template, that the emitter declares as bytes."""
    paths = [save_bytes(folder / f"part_{number}.bin") for number in range(3)]
    run = Emitter(img=external([], "|u1"))
    run.steps(run.resource(BYTES, file_uri(folder), template="/part_{:d}.bin"), stop=3)
    return run.written(img=[path.read_bytes() for path in paths])


@case("bytes")
def unknown_mimetype(folder, stack):
    """A mimetype that no format knows."""
    path = save_bytes(folder / "one.novel")
    run = Emitter(img=external([4, 5]))
    run.steps(run.resource("application/x-novel", file_uri(path), depth=3), stop=3)
    return run.written(img=[path.read_bytes()])
