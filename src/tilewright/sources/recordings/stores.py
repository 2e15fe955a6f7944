"""Stores that recordings are converted to: samples of one unit come in, file after file, and lie in one array on disk, compressed.

The source calls it with `--store zarr` or `--store tiledb`. One store is the array of one unit, (samples,), or (samples, channels)
where there are several channels. What `append` has returned from survives a power cut, so that documents may promise it.

    chunk       1 s, what is compressed and read as a whole
    piece       about 5 min; a file of the disk in Zarr, and so the best size of an append
    chunk_shape some 16 MiB, several chunks: what the documents declare, because Tiled's structure lists each of them

A store is compared sample by sample with what is said to be in it, never overwritten: what is written twice has to be the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.sources.durable import sync_directory
from tilewright.sources.recordings.stored import Form, StoredArray, explained
from tilewright.sources.tiledb_schema import OpenArray, context, tiledb

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

ZSTD_LEVEL = 1
"""Of 16-bit recordings in the field it makes 0.63 with the bytes shuffled (0.73 without), at two to three times the speed of level 3,
which makes 0.61."""

SAMPLE, RATE = "sample", "Sampling_Rate"
"""The attribute, and the key of the rate in the metadata, as the prototype of such arrays in TileDB has them."""
_TIDY_EVERY = 1000
"""Appends after which TileDB is to gather what it keeps of each: an array of a thousand opens in 0.05 s then, and not in 0.3 s."""
_MAX_SAMPLES = 1 << 62


class ZarrStore(StoredArray):
    """An array in a Zarr store of version 3: a file for each piece (a shard), which has an index of its chunks.

    Zarr writes a shard anew for each append to it: those of 1 min come to 3 times the bytes of their data, see `docs/formats/zarr.md`.
    What is written replaces the file that was there once it is whole and on the disk. The length that counts is an attribute,
    written last.
    """

    mimetype = "application/x-zarr"

    @classmethod
    def _create(cls, path: Path, form: Form, about: dict[str, Any]) -> None:
        from tilewright.sources import durable_zarr  # noqa: PLC0415 - slow to import

        durable_zarr.create(
            path,
            dtype=form.dtype,
            row_shape=form.row_shape,
            chunk=form.chunk,
            shard=form.piece,
            level=ZSTD_LEVEL,
            attributes={**about, RATE: form.rate},
        )

    def _load(self) -> Form:
        from tilewright.sources import durable_zarr  # noqa: PLC0415 - slow to import

        self._array = durable_zarr.DurableArray(self.path)
        self.length = self._array.length
        channels = math.prod(self._array.row_shape)
        return Form(self._array.dtype, channels, int(self._array.attributes.get(RATE, 0)))

    def _write(self, start: int, samples: np.ndarray[Any, Any]) -> None:
        self._array.write(start, samples)

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        return self._array.read(start, stop)


class TileDBStore(StoredArray):
    """An array of one unit in TileDB: the dimension `time`, of samples, and `channel` where there are several; the attribute `sample`.

    The prototype has one array a deployment, with a row for each unit. Here each unit has its own, because units of a deployment
    may differ in dtype and channels, which an array cannot; because a unit that comes later, or records longer than anybody thought,
    must not be refused by a domain that cannot be changed; and because the written part of an array, which says how far it can be
    read, is one for all of its rows. `formats.tiledb` reads the prototype's arrays all the same (`row`).

    An append is a fragment, which is there as a whole or not at all; the length is the end of what was written.
    """

    mimetype = "application/x-tiledb"

    def __init__(self, path: Path, form: Form) -> None:
        super().__init__(path, form)
        self._reader: OpenArray | None = None
        self._appends = 0

    @classmethod
    def parameters_of(cls, form: Form) -> dict[str, Any]:
        """Return the parameters of the StreamResource of a store that need not be there yet."""
        return {"attribute": SAMPLE, **super().parameters_of(form)}

    @classmethod
    def _create(cls, path: Path, form: Form, about: dict[str, Any]) -> None:
        package = tiledb()
        with context():
            filters = [package.ZstdFilter(level=ZSTD_LEVEL)]
            if form.dtype.itemsize > 1:
                filters.insert(0, package.ByteShuffleFilter())
            dimensions = [package.Dim("time", domain=(0, _MAX_SAMPLES), tile=form.chunk, dtype="i8")]
            if form.channels > 1:
                last = form.channels - 1
                dimensions.append(package.Dim("channel", domain=(0, last), tile=form.channels, dtype="i8"))
            sample = package.Attr(SAMPLE, dtype=form.dtype, filters=package.FilterList(filters))
            package.Array.create(str(path), package.ArraySchema(package.Domain(*dimensions), [sample]))
            with package.open(str(path), "w") as array:
                array.meta.update({**about, RATE: form.rate})

    def _load(self) -> Form:
        reader = self._opened()
        self.length = reader.written[0][1] if reader.written else 0
        time, *others = reader.dimensions
        if list(reader.attributes) != [SAMPLE] or time.first or len(others) > 1:
            raise InputError(f"{self.path} is a TileDB array of another kind; it is left as it is")
        channels = others[0].length if others else 1
        return Form(reader.attributes[SAMPLE], channels, int(reader.metadata.get(RATE, 0)))

    def _write(self, start: int, samples: np.ndarray[Any, Any]) -> None:
        package = tiledb()
        with context(), package.open(str(self.path), "w") as array:
            array[start : start + len(samples)] = samples
        self._forget()
        # The library has its files on the disk before it commits them; the names in their directories it has not.
        fragments = self.path / "__fragments"
        newest = max(fragments.iterdir(), key=lambda each: each.name, default=fragments)
        for directory in (newest, fragments, self.path / "__commits"):
            sync_directory(directory)
        self._appends += 1
        if self._appends >= _TIDY_EVERY:
            self._tidy()

    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        channels = [(0, self.form.channels)] if self.form.channels > 1 else []
        return self._opened().read(SAMPLE, [(start, stop), *channels])

    def close(self) -> None:
        """End it, and have it open faster next time; it can be opened again."""
        self._tidy()
        self._forget()

    def _opened(self) -> OpenArray:
        if self._reader is None:
            self._reader = OpenArray(self.path)
        return self._reader

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _tidy(self) -> None:
        """Gather what TileDB keeps of each fragment in one file; the fragments themselves stay."""
        if not self._appends:
            return
        package = tiledb()
        with context(), explained(self.path):
            for what in ("fragment_meta", "commits"):
                package.consolidate(str(self.path), config=package.Config({"sm.consolidation.mode": what}))
                package.vacuum(str(self.path), config=package.Config({"sm.vacuum.mode": what}))
        self._appends = 0


STORES: dict[str, type[ZarrStore | TileDBStore]] = {"zarr": ZarrStore, "tiledb": TileDBStore}
"""By the name that `--store` takes."""
