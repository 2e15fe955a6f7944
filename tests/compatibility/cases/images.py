"""TIFF, JPEG, PNG and NPY: a file or several for each event, or several frames in a file."""

import numpy as np
import tifffile
from PIL import Image

from .base import JPEG, NPY, PNG, TIFF, Emitter, case, external, file_uri, indexed

EVENTS = 3
OLD_STYLE = "%s%s_%6.6d.tif"


def save_tiffs(folder, values, name="img_{:06d}.tif", **options):
    """Write a TIFF file for each of the values, and return the paths."""
    paths = [folder / name.format(number) for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        tifffile.imwrite(path, value, **options)
    return paths


def load_tiffs(paths):
    return np.stack([tifffile.imread(path) for path in paths])


def tiff_run(folder, shape, files, events=EVENTS, dtype="<u2", **parameters):
    """Return the documents of a run whose events are in files of this name, and what is in those."""
    paths = save_tiffs(folder, files, photometric="rgb" if files.shape[-1] == 3 else "minisblack")
    run = Emitter(img=external(shape, dtype))
    template = {"template": "img_{:06d}.tif"} | parameters
    run.steps(run.resource(TIFF, file_uri(folder, slash=True), **template), stop=events)
    return run, load_tiffs(paths)


@case("TIFF")
def tiffs(folder, stack):
    """A file for each event, `{:06d}`."""
    run, values = tiff_run(folder, [4, 5], indexed(EVENTS, 4, 5), chunk_shape=[1, 4, 5])
    return run.written(img=values)


@case("TIFF")
def tiffs_of_the_old_style(folder, stack):
    """A file for each event, `%s%s_%6.6d.tif` and a filename."""
    paths = save_tiffs(folder, indexed(EVENTS, 4, 5), "scan_{:06d}.tif")
    run = Emitter(img=external([4, 5]))
    uri = file_uri(folder, slash=True)
    run.steps(run.resource(TIFF, uri, template=OLD_STYLE, filename="scan"), stop=EVENTS)
    return run.written(img=load_tiffs(paths))


@case("TIFF")
def tiffs_of_one_frame_each(folder, stack):
    """Frames of shape (1, y, x) and the slash in the template, as ophyd-async says it."""
    paths = save_tiffs(folder, indexed(EVENTS, 4, 5), "img_{:06d}.tif")
    run = Emitter(img=external([1, 4, 5]))
    run.steps(
        run.resource(
            TIFF, file_uri(folder), template="/img_{:06d}.tif", chunk_shape=[1, 4, 5], join_method="stack"
        ),
        stop=EVENTS,
    )
    return run.written(img=load_tiffs(paths)[:, None])


@case("TIFF")
def colours(folder, stack):
    """A file in colours for each event."""
    run, values = tiff_run(folder, [4, 5, 3], indexed(EVENTS, 4, 5, 3, dtype="|u1"), dtype="|u1")
    return run.written(img=values)


@case("TIFF")
def pages(folder, stack):
    """Four frames for each event, the pages of one file."""
    files = indexed(EVENTS, 4, 2, 5)
    run, values = tiff_run(folder, [4, 2, 5], files, chunk_shape=[4, 2, 5])
    return run.written(img=values)


@case("TIFF")
def pages_of_several_files(folder, stack):
    """Four frames for each event, in two files of two pages."""
    files = indexed(2 * EVENTS, 2, 4, 5)
    run, values = tiff_run(folder, [4, 4, 5], files, chunk_shape=[2, 4, 5])
    return run.written(img=values.reshape(EVENTS, 4, 4, 5))


@case("TIFF")
def several_files_an_event(folder, stack):
    """Three files for each event, by chunk_shape."""
    run, values = tiff_run(folder, [3, 4, 5], indexed(3 * EVENTS, 4, 5), chunk_shape=[1, 4, 5])
    return run.written(img=values.reshape(EVENTS, 3, 4, 5))


@case("TIFF")
def files_per_datum(folder, stack):
    """Three files for each event, by files_per_datum."""
    run, values = tiff_run(folder, [3, 4, 5], indexed(3 * EVENTS, 4, 5), files_per_datum=3)
    return run.written(img=values.reshape(EVENTS, 3, 4, 5))


@case("TIFF")
def multiplier(folder, stack):
    """Three files for each event, by `multiplier`, and the frame's shape in the descriptor."""
    run, values = tiff_run(folder, [4, 5], indexed(3 * EVENTS, 4, 5), multiplier=3)
    return run.written(img=values.reshape(EVENTS, 3, 4, 5))


@case("TIFF")
def several_sequences(folder, stack):
    """Two sequences after one another, their files numbered from 0."""
    whole = indexed(6, 4, 5)
    paths = [
        *save_tiffs(folder, whole[:4], "a_{:06d}.tif"),
        *save_tiffs(folder, whole[4:], "b_{:06d}.tif"),
    ]
    run, uri = Emitter(img=external([4, 5])), file_uri(folder, slash=True)
    run.steps(run.resource(TIFF, uri, template="a_{:06d}.tif"), stop=4)
    run.steps(run.resource(TIFF, uri, template="b_{:06d}.tif"), start=4, stop=6)
    return run.written(img=load_tiffs(paths))


@case("TIFF")
def frames_left_out(folder, stack):
    """Indices with skips: files 2 and 3 belong to no event."""
    paths = save_tiffs(folder, indexed(6, 4, 5))
    run = Emitter(img=external([4, 5]))
    resource = run.resource(TIFF, file_uri(folder, slash=True), template="img_{:06d}.tif")
    run.steps(resource, stop=2)
    run.datum(resource, 4, 6, seq_nums=(3, 5))
    run.events(2)
    return run.written(img=load_tiffs([*paths[:2], *paths[4:]]))


@case("TIFF")
def concatenated(folder, stack):
    """Two frames for each event, joined by `concat`."""
    files = indexed(2 * EVENTS, 4, 5)
    run, values = tiff_run(folder, [2, 4, 5], files, join_method="concat", chunk_shape=[1])
    return run.written(img=values)


def save_jpegs(folder, values):
    """Write a JPEG file for each of the values, and return what is in them: JPEG does not keep every value."""
    paths = [folder / f"img_{number:03d}.jpg" for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        Image.fromarray(value).save(path)
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@case("JPEG")
def grey(folder, stack):
    """A grey picture for each event."""
    values = save_jpegs(folder, indexed(EVENTS, 6, 8, dtype="|u1"))
    run = Emitter(img=external([6, 8], "|u1"))
    uri = file_uri(folder, slash=True)
    run.steps(run.resource(JPEG, uri, template="img_{:03d}.jpg", chunk_shape=[1, 6, 8]), stop=EVENTS)
    return run.written(img=values)


@case("JPEG")
def coloured(folder, stack):
    """A picture in colours for each event, `%03d`."""
    values = save_jpegs(folder, indexed(EVENTS, 6, 8, 3, dtype="|u1"))
    run = Emitter(img=external([6, 8, 3], "|u1"))
    run.steps(run.resource(JPEG, file_uri(folder), template="/%s_%03d.jpg", filename="img"), stop=EVENTS)
    return run.written(img=values)


def save_pngs(folder, values, name="img_{:06d}.png"):
    """Write a PNG file for each of the values, and return the paths."""
    paths = [folder / name.format(number) for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(value).save(path)
    return paths


def load_pngs(paths):
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def png_run(folder, values, shape, dtype, **parameters):
    """Return the documents of a run whose events are in PNG files that a template names."""
    paths = save_pngs(folder, values)
    run = Emitter(img=external(shape, dtype))
    uri, template = file_uri(folder, slash=True), {"template": "img_{:06d}.png"}
    run.steps(run.resource(PNG, uri, **template, **parameters), stop=EVENTS)
    return run, load_pngs(paths)


@case("PNG")
def pngs(folder, stack):
    """A grey picture of 16 bits for each event."""
    run, values = png_run(folder, indexed(EVENTS, 6, 8), [6, 8], "<u2", chunk_shape=[1, 6, 8])
    return run.written(img=values)


@case("PNG")
def coloured_pngs(folder, stack):
    """A picture in colours for each event."""
    run, values = png_run(folder, indexed(EVENTS, 6, 8, 3, dtype="|u1"), [6, 8, 3], "|u1")
    return run.written(img=values)


@case("PNG")
def several_pngs_an_event(folder, stack):
    """Three files for each event, by `multiplier`."""
    files = indexed(3 * EVENTS, 6, 8, dtype="|u1")
    run, values = png_run(folder, files, [6, 8], "|u1", multiplier=3)
    return run.written(img=values.reshape(EVENTS, 3, 6, 8))


@case("PNG")
def pngs_of_any_names(folder, stack):
    """A file for each event, each of a StreamResource of its own, in several folders."""
    paths = save_pngs(folder, indexed(EVENTS, 6, 8, dtype="|u1"), "{0}/no {0}.png")
    run = Emitter(img=external([6, 8], "|u1"))
    for number, path in enumerate(paths):
        run.steps(run.resource(PNG, file_uri(path)), start=number, stop=number + 1)
    return run.written(img=load_pngs(paths))


def save_npys(folder, stem, values):
    """Write an NPY file for each of the values, and return the paths."""
    paths = [folder / f"{stem}_{number}.npy" for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        np.save(path, value)
    return paths


def load_npys(paths):
    return np.stack([np.load(path) for path in paths])


@case("NPY")
def npys(folder, stack):
    """A file for each event, without a template."""
    paths = save_npys(folder, "a", indexed(EVENTS, 4, 5, dtype="<f4"))
    run = Emitter(img=external([4, 5], "<f4"))
    run.steps(run.resource(NPY, file_uri(folder / "a")), stop=EVENTS)
    return run.written(img=load_npys(paths))


@case("NPY")
def npys_of_numbers(folder, stack):
    """A number for each event, in a file of its own."""
    paths = save_npys(folder, "a", indexed(EVENTS, dtype="<i8"))
    run = Emitter(img=external([], "<i8"))
    run.steps(run.resource(NPY, file_uri(folder / "a")), stop=EVENTS)
    return run.written(img=load_npys(paths))


@case("NPY")
def npys_of_a_template(folder, stack):
    """A file for each event, named by a template."""
    values = indexed(EVENTS, 4, 5)
    paths = [folder / f"frame-{number:04d}.npy" for number in range(EVENTS)]
    for path, value in zip(paths, values, strict=True):
        np.save(path, value)
    run = Emitter(img=external([4, 5]))
    run.steps(run.resource(NPY, file_uri(folder), template="/frame-{:04d}.npy"), stop=EVENTS)
    return run.written(img=load_npys(paths))


@case("NPY")
def npys_staged_twice(folder, stack):
    """Two sequences after one another, their files numbered from 0."""
    whole = indexed(5, 4, 5)
    paths = [*save_npys(folder, "a", whole[:3]), *save_npys(folder, "b", whole[3:])]
    run = Emitter(img=external([4, 5]))
    run.steps(run.resource(NPY, file_uri(folder / "a")), stop=3)
    run.steps(run.resource(NPY, file_uri(folder / "b")), start=3, stop=5)
    return run.written(img=load_npys(paths))
