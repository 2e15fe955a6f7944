"""The array of a data key or a column: a Tiled client comes in; one that says what it is, and how large, goes out.

`Stream` makes them, whoever opened the catalog. Nothing is fetched before it is asked for, and then no more than a
slice touches; what is large is told before it is fetched (`Array.large`).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate
from operator import index
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from tiled.client.array import ArrayClient, DaskArrayClient
from tiled.client.utils import slices_to_dask_chunks
from tiled.ndslice import NDSlice, split_slice

from tilewright.clients.progress import announced
from tilewright.display import html_facts
from tilewright.errors import InputError
from tilewright.journal.overview import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import EllipsisType

    import dask.array as da

LARGE = 100_000_000
"""Bytes past which an array is fetched in pieces, and told before it is fetched."""

PIECE = 16 << 20
"""Bytes of a piece: some ten times what a round trip takes, and little enough to stop after."""

_AT_ONCE = 4
"""Requests under way at once: one is unpacked while the server reads for the next."""


class DaskArray(DaskArrayClient):
    """An array whose `read` gives a dask array: that of a catalog opened with ``structure_clients="dask"``.

    Shape, dtype, dims, chunks and nbytes are known without a request.
    """

    large: float = LARGE
    """Bytes past which it is said on stderr how large it is before it is fetched, with a bar where that can be drawn.

    Set it on one array, or for all of them: ``Array.large = DaskArray.large = math.inf`` has nothing said.
    """

    stream = ""
    """Name of the stream that it belongs to."""

    run = ""
    """Uid of the run."""

    def read(self, slice: Any = None) -> Any:  # noqa: A002  # Tiled's signature
        """Return all of it, or a slice, as a dask array; nothing is fetched."""
        return self.dask() if slice is None else self.dask()[_index(slice)]

    def __getitem__(self, key: Any) -> Any:
        """Return a slice of the dask array, which takes lists and masks too."""
        return self.dask()[key]

    def compute(self) -> np.ndarray[Any, Any]:
        """Fetch all of it."""
        return self._told(None)

    def dask(self) -> da.Array:
        """Return it as a dask array, of which a slice fetches what it touches, when it is computed.

        Its chunks are those in which it is stored, or several of them where they are small. What dask fetches, it
        fetches without a word: `dask.diagnostics.ProgressBar` shows how far it is.
        """
        import dask.array as da  # noqa: PLC0415  # heavy

        if 0 in self.shape:
            return da.empty(self.shape, dtype=self.dtype)  # type: ignore[no-any-return]
        chunks = self._dask_chunks()
        return da.from_array(  # type: ignore[no-any-return, no-untyped-call]
            _Source(self),
            chunks=chunks,
            name=f"{self.item['id']}-{uuid4().hex}",  # of its own: the files may have grown since the last one
            asarray=False,
            meta=np.empty((0,) * self.ndim, dtype=self.dtype),
        )

    def fetch_count(self, slice: Any = None) -> int:  # noqa: A002  # Tiled's signature
        """Return how many requests reading it, or a slice of it, takes."""
        asked = NDSlice() if slice is None else NDSlice(_index(slice))
        wanted, _ = _forwards(asked.expand_for_shape(self.shape), self.shape)
        return 0 if 0 in wanted.shape_after_slice(self.shape) else len(self._pieces(wanted))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]:
        """Fetch all of it."""
        return self._told(None).__array__(*args, **kwargs)

    def __repr__(self) -> str:
        """Show whose it is, shape, dtype, size and chunks; no request."""
        facts = self._facts()
        dims = f", dims: {facts['dims']}" if "dims" in facts else ""
        return (
            f"<{type(self).__name__} {self.item['id']!r} of stream {self.stream!r} of run {self.run[:8]}: "
            f"{facts['shape']} {facts['dtype']}, {facts['size']} in {facts['chunks']}{dims}>"
        )

    def _repr_html_(self) -> str:
        """Show the same as a small table in a notebook."""
        title = f"{self.item['id']} of stream {self.stream} of run {self.run[:8]}"
        return html_facts(title, self._facts())

    def _facts(self) -> dict[str, str]:
        facts = {
            "shape": str(tuple(self.shape)),
            "dtype": str(self.dtype),
            "size": size_text(self.nbytes),
            "chunks": self._chunks_text(),
        }
        return facts | ({"dims": ", ".join(self.dims)} if self.dims else {})

    def _chunks_text(self) -> str:
        count = math.prod(map(len, self.chunks))
        if count == 1:
            return "1 chunk"
        largest = tuple(max(sizes, default=0) for sizes in self.chunks)
        alike = all(len(set(sizes[:-1])) <= 1 for sizes in self.chunks)
        return f"{count:,} chunks of {'' if alike else 'up to '}{largest}"

    def _told(self, wanted: Any) -> np.ndarray[Any, Any]:
        """Fetch all of it, or a slice; say so before if that is large."""
        shape = NDSlice(wanted).shape_after_slice(self.shape)
        size = math.prod(shape) * self.dtype.itemsize
        if size <= self.large:
            return self._fetch(wanted)
        whose, much = f"{self.item['id']} of {self.stream}", size_text(size)
        if size == self.nbytes:
            return self._fetch(wanted, f"{whose}: {much} in {self._chunks_text()}")
        return self._fetch(wanted, f"part of {whose}: {much}, shape {shape}")

    def _fetch(self, wanted: Any, sentence: str = "") -> np.ndarray[Any, Any]:
        """Fetch all of it, or a slice, in as many requests as that takes; with a sentence, which is told before."""
        asked = NDSlice(wanted)
        expanded, turned = _forwards(asked.expand_for_shape(self.shape), self.shape)
        shape = expanded.shape_after_slice(self.shape)
        pieces = self._pieces(expanded) if math.prod(shape) else {}
        with announced(sentence, len(pieces)) if sentence else nullcontext(_nobody) as advance:
            if len(pieces) > 1:
                out = self._side_by_side(pieces, shape, advance)
            else:
                out = self._get_slice(expanded)  # also of all of it: it may be longer by now
                advance()
        return np.flip(out, turned) if turned else out

    def _side_by_side(
        self, pieces: Mapping[tuple[int, ...], NDSlice], shape: tuple[int, ...], advance: Callable[[], object]
    ) -> np.ndarray[Any, Any]:
        """Fetch pieces, some at once, each to its place in an array of this shape."""
        starts = [list(accumulate(sizes, initial=0)) for sizes in slices_to_dask_chunks(pieces, self.shape)]
        out = np.empty(shape, self.dtype)

        def fetch(place: tuple[int, ...], piece: NDSlice) -> None:
            area = tuple(slice(*begins[i : i + 2]) for i, begins in zip(place, starts, strict=True))
            out[area] = self._get_slice(piece)

        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tilewright-fetch")
        try:
            for one in as_completed([pool.submit(fetch, *piece) for piece in pieces.items()]):
                one.result()
                advance()
        finally:
            pool.shutdown(cancel_futures=True)  # what has begun is waited for, be it a Ctrl-C that ends it
        return out

    def _pieces(self, wanted: NDSlice) -> dict[tuple[int, ...], NDSlice]:
        """Return the slices to ask for, by their place among them, cut where chunks meet if that can be."""
        itemsize = self.dtype.itemsize
        if math.prod(wanted.shape_after_slice(self.shape)) * itemsize <= LARGE:
            return {(0,) * len(wanted): wanted}
        bounds = tuple(tuple(accumulate(sizes, initial=0)) for sizes in self.chunks)
        block = self._block_bytes()
        most = (
            block if PIECE < block <= LARGE else PIECE
        )  # a file may have to be unpacked whole for a part of it
        pieces: dict[tuple[int, ...], NDSlice] = split_slice(wanted, max(1, most // itemsize), bounds)
        return pieces

    def _dask_chunks(self) -> tuple[tuple[int, ...], ...]:
        """Return as dask's chunks those in which it is stored, as many together as make a piece; parts of vast ones."""
        from dask.array.core import normalize_chunks  # noqa: PLC0415  # heavy

        room = PIECE // max(1, self._block_bytes())
        if self._block_bytes() <= LARGE:
            chunks: list[tuple[int, ...]] = []
            for sizes in reversed(self.chunks):
                together = max(1, min(room, len(sizes)))
                chunks.insert(0, tuple(sum(sizes[i : i + together]) for i in range(0, len(sizes), together)))
                room //= together
            return tuple(chunks)
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        cut = "auto" if row > LARGE else ("auto", *(-1,) * (self.ndim - 1))
        vast: tuple[tuple[int, ...], ...] = normalize_chunks(  # type: ignore[no-untyped-call]
            cut, self.shape, limit=PIECE, dtype=self.dtype
        )
        return vast

    def _block_bytes(self) -> int:
        return int(math.prod(max(sizes, default=0) for sizes in self.chunks) * self.dtype.itemsize)


class Array(DaskArray, ArrayClient):
    """An array whose `read` gives numpy arrays. `dask` gives a dask array; ``numpy.asarray`` works, too.

    Shape, dtype, dims, chunks and nbytes are known without a request. ``array[3]`` and ``array[2:5, :10]`` fetch only
    that.
    """

    def read(self, slice: Any = None) -> np.ndarray[Any, Any]:  # noqa: A002  # Tiled's signature
        """Fetch all of it, or a slice; what is larger than `large` is told before."""
        return self._told(None if slice is None else _index(slice))

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        """Fetch a slice: ints, slices and ``...``.

        Raises
        ------
        InputError
            Anything else, such as a list or a mask.
        IndexError
            Past the end, or more dimensions than there are.
        """
        return self._told(_index(key) if not isinstance(key, list) else _plain(key))


def ours(client: Any, stream: str, run: str) -> Any:
    """Return a client of ours in the place of Tiled's own for arrays; any other as it is.

    Parameters
    ----------
    stream, run
        Name and uid of what it belongs to.
    """
    kind = {ArrayClient: Array, DaskArrayClient: DaskArray}.get(type(client))
    if kind is None:
        return client
    array = kind(
        client.context,
        item=client.item,
        structure=client.structure(),
        structure_clients=client.structure_clients,
        include_data_sources=client._include_data_sources,  # noqa: SLF001
    )
    array.stream, array.run = stream, run
    return array


@dataclass(frozen=True, slots=True)
class _Source:
    """What dask takes its chunks from; the slices of a chunk that it needs no more of, it asks for as such."""

    client: DaskArray

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.client.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.client.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        spans: list[Any] = []
        within: list[Any] = []
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, (list, np.ndarray)):  # dask may hand on a list: what it spans is fetched
                places = np.asarray(part, dtype=np.intp)
                first = int(places.min(initial=self.shape[len(spans)]))
                spans.append(slice(first, int(places.max(initial=first - 1)) + 1))
                within.append(places - first)
            else:
                spans.append(_plain(part))
                within += [] if isinstance(spans[-1], int) else [slice(None)]
        got: np.ndarray[Any, Any] = self.client._fetch(tuple(spans))[tuple(within)]  # noqa: SLF001  # a part of it
        return got


def _nobody() -> None:
    """Count nothing."""


def _forwards(wanted: NDSlice, shape: Sequence[int]) -> tuple[NDSlice, tuple[int, ...]]:
    """Return a slice without steps back, which no file format reads, and the axes of its result to turn round.

    >>> _forwards(NDSlice(2, slice(8, 1, -3)), (5, 10))
    ((2, slice(2, 9, 3)), (0,))
    """
    parts: list[Any] = []
    turned = []
    kept = 0
    for part, size in zip(wanted, shape, strict=True):
        places = range(*part.indices(size)) if isinstance(part, slice) else None
        if places and places.step < 0:
            parts.append(slice(places[-1], places[0] + 1, -places.step))
            turned.append(kept)
        else:
            parts.append(part)
        kept += isinstance(part, slice)
    return NDSlice(*parts), tuple(turned)


def _index(key: Any) -> tuple[int | slice | EllipsisType, ...]:
    """Return an index as Tiled takes it, which has always taken a list for a tuple where it is called `slice`."""
    return tuple(_plain(part) for part in (key if isinstance(key, (tuple, list)) else (key,)))


def _plain(part: Any) -> int | slice | EllipsisType:
    """Return a part of an index as Tiled takes it."""
    if part is Ellipsis:
        return part
    try:
        if isinstance(part, slice):
            return slice(*(None if one is None else index(one) for one in (part.start, part.stop, part.step)))
        if not isinstance(part, (bool, np.bool_)):
            return index(part)
    except TypeError:
        pass
    msg = (
        f"An array in the catalog takes ints, slices and ... as an index, and no {type(part).__name__}: "
        "array.dask() takes lists and masks, and so does what array.read() returns."
    )
    raise InputError(msg)
