"""Documents of today in all their forms."""

import numpy as np

from .base import HDF5, Emitter, case, external, file_uri, indexed
from .hdf5 import CHUNK, PLACE, load, one_file, save


@case("HDF5")
def multiplier_of_a_dataset(folder, stack):
    """Three frames for each event by `multiplier`, one after the other in the dataset."""
    run, values = one_file(folder, [4, 5], 4, stored=(12, 4, 5), multiplier=3, chunk_shape=[1, 3, 4, 5])
    return run.written(img=values.reshape(4, 3, 4, 5))


@case("HDF5")
def multiplier_of_one(folder, stack):
    """`multiplier` 1, as areaDetector says it."""
    run, values = one_file(folder, [1, 4, 5], 4, stored=(4, 4, 5), multiplier=1)
    return run.written(img=values.reshape(4, 1, 4, 5))


@case("HDF5")
def multiplier_of_numbers(folder, stack):
    """Five numbers for each event by `multiplier`, without a shape."""
    run, values = one_file(folder, [], 4, stored=(20,), dtype="<f8", multiplier=5)
    return run.written(img=values.reshape(4, 5))


@case("HDF5")
def concatenated_rows(folder, stack):
    """Two rows for each event, joined by `concat`."""
    run, values = one_file(folder, [2, 5], 4, stored=(8, 5), join_method="concat", chunk_shape=[2])
    return run.written(img=values)


@case("HDF5")
def more_rows_than_events(folder, stack):
    """Rows that belong to no event: three for two of them."""
    path = save(folder / "one.h5", indexed(3, 4, 5))
    run = Emitter(img=external([4, 5]))
    run.datum(run.resource(HDF5, file_uri(path), dataset=PLACE), 0, 3, seq_nums=(1, 3))
    run.events(2)
    return run.written(img=load(path))


@case("HDF5")
def rows_left_out(folder, stack):
    """Indices with skips: rows 2 and 3 of the file belong to no event."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    resource = run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK)
    run.steps(resource, stop=2)
    run.datum(resource, 4, 6, seq_nums=(3, 5))
    run.events(2)
    return run.written(img=load(path)[[0, 1, 4, 5]])


@case("HDF5")
def rows_that_begin_later(folder, stack):
    """Indices that do not begin at 0: the first two rows of the file belong to no event."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    resource = run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK)
    run.datum(resource, 2, 6, seq_nums=(1, 5))
    run.events(4)
    return run.written(img=load(path)[2:])


@case("HDF5")
def several_descriptors(folder, stack):
    """Two descriptors of a stream that share a StreamResource."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    data_keys = {"img": external([4, 5])}
    run = Emitter(**data_keys)
    resource = run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK)
    run.steps(resource, stop=2)
    run.descriptor(**data_keys)
    run.steps(resource, start=2, stop=6)
    return run.written(img=load(path))


@case("HDF5")
def several_streams(folder, stack):
    """Two streams whose data keys are called the same."""
    path, other = save(folder / "one.h5", indexed(6, 4, 5)), save(folder / "other.h5", 50 + indexed(2, 4, 5))
    data_keys = {"img": external([4, 5])}
    run = Emitter(**data_keys)
    run.steps(run.resource(HDF5, file_uri(path), dataset=PLACE), stop=6)
    run.descriptor("baseline", **data_keys)
    run.steps(run.resource(HDF5, file_uri(other), dataset=PLACE), stop=2)
    return run.written(img=load(path))


@case("HDF5")
def after_the_events(folder, stack):
    """StreamResource and StreamDatum after all events."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    run.events(6)
    run.datum(run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK), 0, 6)
    return run.written(img=load(path))


@case("HDF5")
def without_events(folder, stack):
    """No events at all."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    run.datum(run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK), 0, 6)
    return run.written(img=load(path))


@case("HDF5")
def two_detectors_at_a_time(folder, stack):
    """Two detectors with files of their own, their documents interleaved."""
    paths = {key: folder / f"{key}.h5" for key in ("left", "right")}
    save(paths["left"], indexed(5, 4, 5))
    save(paths["right"], indexed(5, 2, 2, dtype="<f8") + 0.5)
    run = Emitter(left=external([4, 5]), right=external([2, 2], "<f8"))
    resources = [run.resource(HDF5, file_uri(path), key, dataset=PLACE) for key, path in paths.items()]
    run.steps(*resources, stop=5)
    return run.written(left=load(paths["left"]), right=load(paths["right"]))


@case("HDF5")
def no_dtype_numpy(folder, stack):
    """A descriptor without `dtype_numpy`: floats of 64 bits."""
    path = save(folder / "one.h5", indexed(6, 4, 5, dtype="<f8"))
    run = Emitter(img=external([4, 5], None))
    run.steps(run.resource(HDF5, file_uri(path), dataset=PLACE), stop=6)
    return run.written(img=np.asarray(load(path)))
