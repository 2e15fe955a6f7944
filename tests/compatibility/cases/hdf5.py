"""HDF5: one file or several, one dataset or several, also while another process writes on."""

import subprocess
import sys

import h5py
import numpy as np

from .base import HDF5, Emitter, case, external, file_uri, indexed

PLACE = "entry/data/data"
CHUNK = [3, 4, 5]
"""Of several frames: each chunk of a lazy array is a request."""

WRITER = """
import sys
import h5py
import numpy as np

path, place, per_row = sys.argv[1], sys.argv[2], int(sys.argv[3])
with h5py.File(path, "w", libver="latest") as file:
    data = file.create_dataset(place, shape=(0, 4, 5), maxshape=(None, 4, 5), chunks=(1, 4, 5), dtype="<u2")
    file.swmr_mode = True
    for line in sys.stdin:
        there, frames = len(data), int(line) * per_row
        data.resize(frames, 0)
        data[there:] = np.arange(there * 20, frames * 20, dtype="<u2").reshape(-1, 4, 5)
        data.flush()
        print(line.strip(), flush=True)
"""


def save(path, values, place=PLACE, **options):
    """Write a dataset into a new or an existing file."""
    with h5py.File(path, "a") as file:
        file.create_dataset(place, data=values, **options)
    return path


def load(*paths, place=PLACE):
    """Return what lies in the files, one after the other."""
    parts = []
    for path in paths:
        with h5py.File(path, "r") as file:
            parts.append(file[place][()])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)  # which changes the order of bytes


def one_file(folder, shape, events=6, *, stored=None, dtype="<u2", saved=None, **parameters):
    """Write rows of this shape into one file, and the documents of a run of them."""
    values = indexed(*(stored or (events, *shape)), dtype=dtype)
    path = save(folder / "one.h5", values, **(saved or {}))
    run = Emitter(img=external(shape, dtype))
    resource = run.resource(HDF5, file_uri(path), dataset=f"/{PLACE}", **parameters)
    run.steps(resource, stop=events)
    return run, load(path)


@case("HDF5")
def frames_in_one_file(folder, stack):
    """One file, a StreamDatum for each event."""
    run, values = one_file(folder, [4, 5], chunk_shape=[1, 4, 5], saved={"chunks": (1, 4, 5)})
    return run.written(img=values)


@case("HDF5")
def one_datum_for_all(folder, stack):
    """One file, one StreamDatum for all events, before them."""
    path = save(folder / "one.h5", indexed(6, 4, 5), chunks=(2, 4, 5))
    run = Emitter(img=external([4, 5]))
    run.datum(run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=[2, 4, 5]), 0, 6)
    run.events(6)
    return run.written(img=load(path))


@case("HDF5")
def chunks_that_do_not_divide(folder, stack):
    """Chunks that do not divide the rows."""
    run, values = one_file(folder, [4, 5], 7, chunk_shape=[3, 4, 5], saved={"chunks": (3, 4, 5)})
    return run.written(img=values)


@case("HDF5")
def chunks_within_a_frame(folder, stack):
    """Chunks that divide each frame."""
    run, values = one_file(folder, [4, 5], chunk_shape=[2, 2, 3], saved={"chunks": (2, 2, 3)})
    return run.written(img=values)


@case("HDF5")
def no_chunks(folder, stack):
    """No chunk_shape."""
    run, values = one_file(folder, [4, 5])
    return run.written(img=values)


@case("HDF5")
def frames_of_one(folder, stack):
    """Frames of shape (1, y, x), as ophyd-async describes them, in one dataset of frames."""
    run, values = one_file(folder, [1, 4, 5], stored=(6, 4, 5), chunk_shape=[1, 4, 5])
    return run.written(img=values[:, None])


@case("HDF5")
def no_shape(folder, stack):
    """A number for each event, shape []."""
    run, values = one_file(folder, [], dtype="<f8", chunk_shape=[4])
    return run.written(img=values)


@case("HDF5")
def shape_of_one(folder, stack):
    """A number for each event, shape [1]."""
    run, values = one_file(folder, [1], stored=(6,), dtype="<i4", chunk_shape=[1024])
    return run.written(img=values)


@case("HDF5")
def booleans(folder, stack):
    """Booleans."""
    path = save(folder / "one.h5", indexed(6, 4) % 3 == 1)
    run = Emitter(img=external([4], "|b1"))
    run.steps(run.resource(HDF5, file_uri(path), dataset=PLACE), stop=6)
    return run.written(img=load(path))


@case("HDF5")
def big_endian(folder, stack):
    """Numbers in the other order of bytes."""
    run, values = one_file(folder, [4, 5], dtype=">f4", chunk_shape=CHUNK)
    return run.written(img=values)


@case("HDF5")
def structured(folder, stack):
    """Records of named fields."""
    values = np.zeros(6, dtype=[("t", "<f8"), ("n", "<u2")])
    values["t"], values["n"] = indexed(6) + 0.5, indexed(6)
    path = save(folder / "one.h5", values)
    run = Emitter(img=external([], [["t", "<f8"], ["n", "<u2"]]))
    run.steps(run.resource(HDF5, file_uri(path), dataset=PLACE), stop=6)
    return run.written(img=load(path))


@case("HDF5")
def named_dimensions(folder, stack):
    """Dimensions with names."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(img=external([4, 5], dims=["y", "x_pixel"]))
    run.steps(run.resource(HDF5, file_uri(path), dataset=PLACE, chunk_shape=CHUNK), stop=6)
    return run.written(img=load(path))


@case("HDF5")
def several_files(folder, stack):
    """Three files after one another, each of a StreamResource of its own."""
    whole, parts = indexed(7, 4, 5), [(0, 3), (3, 4), (4, 7)]
    run, paths = Emitter(img=external([4, 5])), []
    for start, stop in parts:
        paths.append(save(folder / f"from_{start}.h5", whole[start:stop], chunks=(1, 4, 5)))
        resource = run.resource(HDF5, file_uri(paths[-1]), dataset=PLACE, chunk_shape=CHUNK)
        run.steps(resource, start=start, stop=stop)
    return run.written(img=load(*paths))


@case("HDF5")
def several_files_that_count_from_0(folder, stack):
    """Two files after one another, the indices of each beginning at 0."""
    whole = indexed(6, 4, 5)
    run, paths = Emitter(img=external([4, 5])), []
    for first in (0, 3):
        paths.append(save(folder / f"from_{first}.h5", whole[first : first + 3]))
        resource = run.resource(HDF5, file_uri(paths[-1]), dataset=PLACE)
        run.datum(resource, 0, 3, seq_nums=(first + 1, first + 4))
        run.events(3)
    return run.written(img=load(*paths))


@case("HDF5")
def a_file_a_point(folder, stack):
    """A file for each event, named by a template."""
    whole = indexed(6, 4, 5)
    paths = [save(folder / f"point_{n:03d}.h5", whole[n : n + 1], chunks=(1, 4, 5)) for n in range(6)]
    run = Emitter(img=external([4, 5]))
    run.steps(
        run.resource(
            HDF5, file_uri(folder), dataset=PLACE, template="/point_{:03d}.h5", chunk_shape=[1, 4, 5]
        ),
        stop=6,
    )
    return run.written(img=load(*paths))


@case("HDF5")
def several_frames_a_file_a_point(folder, stack):
    """A file of three frames for each event, named by a template."""
    whole = indexed(4, 3, 4, 5)
    paths = [save(folder / f"point_{n:03d}.h5", whole[n]) for n in range(4)]
    run = Emitter(img=external([3, 4, 5]))
    template = "/point_{:03d}.h5"
    run.steps(
        run.resource(HDF5, file_uri(folder), dataset=PLACE, template=template, chunk_shape=[1, 3, 4, 5]),
        stop=4,
    )
    return run.written(img=load(*paths).reshape(4, 3, 4, 5))


@case("HDF5")
def several_keys(folder, stack):
    """Three data keys in one file, a dataset for each."""
    path = folder / "one.h5"
    save(path, indexed(6, 4, 5), "entry/image")
    save(path, indexed(6, dtype="<f8"), "entry/sum")
    save(path, indexed(6, dtype="<i8") + 100, "entry/number")
    run = Emitter(img=external([4, 5]), sum=external([], "<f8"), number=external([1], "<i8"))
    resources = [
        run.resource(HDF5, file_uri(path), key, dataset=f"/entry/{place}", chunk_shape=[2])
        for key, place in (("img", "image"), ("sum", "sum"), ("number", "number"))
    ]
    run.steps(*resources, stop=6)
    return run.written(
        img=load(path, place="entry/image"),
        sum=load(path, place="entry/sum"),
        number=load(path, place="entry/number"),
    )


@case("HDF5")
def sliced(folder, stack):
    """Two data keys that are parts of one dataset, by `slice`."""
    path = save(folder / "one.h5", indexed(6, 4, 5))
    run = Emitter(top=external([5]), rest=external([3, 5]))
    resources = [
        run.resource(HDF5, file_uri(path), key, dataset=PLACE, slice=part)
        for key, part in (("top", ":,0"), ("rest", ":,1:,:"))
    ]
    run.steps(*resources, stop=6)
    values = load(path)
    return run.written(top=values[:, 0], rest=values[:, 1:])


@case("HDF5")
def squeezed(folder, stack):
    """A dataset with dimensions of length 1, without them by `squeeze`."""
    run, values = one_file(folder, [4, 5], stored=(6, 1, 4, 1, 5), squeeze=True)
    return run.written(img=values.squeeze())


@case("HDF5")
def sliced_and_squeezed(folder, stack):
    """`slice` and `squeeze` together."""
    run, values = one_file(folder, [5], stored=(6, 2, 4, 5), slice=":,1,2:3", squeeze=True)
    return run.written(img=values[:, 1, 2:3].squeeze())


@case("HDF5")
def without_swmr(folder, stack):
    """Opened neither for a writer beside the reader nor with a lock."""
    run, values = one_file(folder, [4, 5], chunk_shape=CHUNK, swmr=False, locking=False)
    return run.written(img=values)


class Acquisition:
    """A process that writes an HDF5 file for as long as the stack lasts, and lets others read it meanwhile."""

    def __init__(self, stack, path, *, frames_a_row=1):
        command = [sys.executable, "-c", WRITER, str(path), PLACE, str(frames_a_row)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process = stack.enter_context(process)
        stack.callback(process.stdin.close)  # first of all: it ends when its input does
        self.path, self.frames_a_row = path, frames_a_row

    def write(self, rows):
        """Have so many rows in the file in all, and wait until they are flushed."""
        self._process.stdin.write(f"{rows}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == str(rows)

    def read(self, rows):
        """Return the first rows, as another process may read them."""
        with h5py.File(self.path, "r", libver="latest", swmr=True) as file:
            return file[PLACE][: rows * self.frames_a_row]


@case("HDF5")
def still_being_written(folder, stack):
    """Still being written under SWMR by another process, with more rows in it than were promised."""
    acquisition = Acquisition(stack, folder / "growing.h5")
    run = Emitter(img=external([4, 5]))
    resource = run.resource(HDF5, file_uri(acquisition.path), dataset=PLACE, chunk_shape=CHUNK)
    acquisition.write(6)
    run.steps(resource, stop=4)
    return run.written(img=acquisition.read(4))


@case("HDF5")
def several_frames_a_point_still_being_written(folder, stack):
    """The same with three frames for each event."""
    acquisition = Acquisition(stack, folder / "growing.h5", frames_a_row=3)
    run = Emitter(img=external([3, 4, 5]))
    resource = run.resource(HDF5, file_uri(acquisition.path), dataset=PLACE, chunk_shape=CHUNK)
    acquisition.write(6)
    run.steps(resource, stop=4)
    return run.written(img=acquisition.read(4).reshape(4, 3, 4, 5))


@case("HDF5")
def more_in_the_first_of_two_files(folder, stack):
    """Two files, with more rows in the first one than were promised."""
    whole = indexed(7, 4, 5)
    first, second = save(folder / "a.h5", whole[:4]), save(folder / "b.h5", whole[4:])
    run = Emitter(img=external([4, 5]))
    run.steps(run.resource(HDF5, file_uri(first), dataset=PLACE), stop=3)
    run.steps(run.resource(HDF5, file_uri(second), dataset=PLACE), start=3, stop=6)
    return run.written(img=np.concatenate([load(first)[:3], load(second)]))
