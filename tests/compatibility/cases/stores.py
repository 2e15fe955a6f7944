"""TileDB: arrays that somebody has made with a domain far larger than what is in them."""

import numpy as np

from tilewright.sources.tiledb_schema import context
from tilewright.sources.tiledb_schema import tiledb as package

from .base import TILEDB, Emitter, case, external, file_uri, indexed


def tiledb_array(path, values, *, first=0, rows=10_000, **attributes):
    """Write an array that may have many more rows, and return what the library reads of it."""
    tiledb = package()
    names = ("time", "y", "x")
    lengths = (rows, *values.shape[1:])
    with context():
        dims = [
            tiledb.Dim(name, domain=(first, first + length - 1), tile=min(length, 4), dtype="i8")
            for name, length in zip(names, lengths, strict=False)
        ]
        attrs = [
            tiledb.Attr(name, dtype=dtype) for name, dtype in (attributes or {"a": values.dtype}).items()
        ]
        tiledb.Array.create(str(path), tiledb.ArraySchema(tiledb.Domain(*dims), attrs))
        with tiledb.open(str(path), "w") as array:
            array[first : first + len(values)] = {attr.name: values.astype(attr.dtype) for attr in attrs}
        with tiledb.open(str(path)) as array:
            return array[first : first + len(values)]


@case("TileDB")
def dense_array(folder, stack):
    """A dense array whose domain is larger than what is in it."""
    values = tiledb_array(folder / "one", indexed(6, 4, 5))["a"]
    run = Emitter(img=external([4, 5]))
    run.steps(run.resource(TILEDB, file_uri(folder / "one"), chunk_shape=[4]), stop=6)
    return run.written(img=values)


@case("TileDB")
def one_attribute(folder, stack):
    """One of two attributes, in a domain that begins at 1."""
    values = tiledb_array(folder / "one", indexed(6, 4), first=1, a="<u2", b="<f4")["b"]
    run = Emitter(img=external([4], "<f4"))
    run.steps(run.resource(TILEDB, file_uri(folder / "one"), attribute="b", chunk_shape=[4]), stop=6)
    return run.written(img=values)


@case("TileDB")
def row_of_an_array(folder, stack):
    """A number for each event, in one row of an array."""
    values = tiledb_array(folder / "one", indexed(3, 8, dtype="<i2"))["a"]
    run = Emitter(img=external([], "<i2"))
    run.steps(run.resource(TILEDB, file_uri(folder / "one"), row=1, chunk_shape=[4]), stop=6)
    return run.written(img=values[1, :6])


@case("TileDB")
def several_arrays(folder, stack):
    """Two arrays after one another, with more rows in the first one than were promised."""
    whole = indexed(9, 4)
    run, parts = Emitter(img=external([4], dims=["y"])), []
    for first, last, there in ((0, 4, 6), (4, 9, 9)):
        values = tiledb_array(folder / f"from_{first}", whole[first:there])["a"]
        run.steps(
            run.resource(TILEDB, file_uri(folder / f"from_{first}"), chunk_shape=[4]), start=first, stop=last
        )
        parts.append(values[: last - first])
    return run.written(img=np.concatenate(parts))
