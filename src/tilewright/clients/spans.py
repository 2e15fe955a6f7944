"""Samples of many arrays with one request: spans come in, arrays of numpy go out.

`recordings` calls this. A round trip costs some 20 ms whatever it carries, so that all spans travel together; the bytes are
received where they stay.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from httpx import codes
from tiled.client.utils import ClientError, handle_error, retry_context

from tilewright.clients.http import ask_ours, has_ours, ours
from tilewright.clients.nearby import fill_from_nearby
from tilewright.errors import NotFoundError, SetupError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tiled.client.context import Context

REQUEST_BYTES = 256 << 20
"""Most that is asked for at once; servers refuse more than 300 MB, if they are not told otherwise."""
_LARGE = 8 << 20
"""Bytes of an answer from which it matters how they are received."""
_AT_ONCE = 4
"""Requests under way at once, of a server without our route."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples of an array that are wanted."""

    path: tuple[str, str]
    """Stream and data key, below the run."""
    start: int
    stop: int
    dtype: np.dtype[Any]
    row: tuple[int, ...] = ()
    """Shape of a sample: () of one channel, else (channels,)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the samples."""
        return (self.stop - self.start, *self.row)

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return math.prod(self.shape) * self.dtype.itemsize


def fetch_spans(context: Context, link: str, spans: Sequence[Span]) -> list[np.ndarray[Any, Any]]:
    """Fetch spans of the arrays of a run, in this order; in one request, unless that would be large.

    Parameters
    ----------
    link
        The run's ``search`` link.

    Returns
    -------
    Arrays of each span's shape and dtype.

    Raises
    ------
    SetupError
        If the server cannot read a file, or finds something else in it than was promised; the message names it.
    NotFoundError
        If the run or an array was deleted.
    TransientError
        If the connection broke, or the server is too busy.
    """
    out = [np.empty(span.shape, span.dtype) for span in spans]
    pieces = [piece for number, span in enumerate(spans) for piece in _cut(span, out[number])]
    try:
        for some in _requests(pieces):
            if not _fetch(context, link, some):
                _fetch_each(context, link, some)
    except ClientError as error:
        if error.response.status_code == codes.CONFLICT:
            raise SetupError(f"The server cannot give these samples: {_detail(error)}") from error
        if error.response.status_code == codes.NOT_FOUND:
            raise NotFoundError(
                f"The catalog does not have these samples any longer: {_detail(error)}"
            ) from error
        raise
    except httpx.HTTPStatusError as error:
        raise SetupError(
            f"The server failed to give these samples ({error.response.status_code}): its log says why; the run's notes do, if it may not "
            "read the files."
        ) from error
    except httpx.TransportError as error:
        raise TransientError(f"The connection to the server broke: {error!r}. Ask again.") from error
    return out


_Piece = tuple[Span, "np.ndarray[Any, Any]"]
"""A span, and where its samples are to be put."""


def _cut(span: Span, out: np.ndarray[Any, Any]) -> list[_Piece]:
    """Cut a span into what may be asked for at once."""
    each = max(REQUEST_BYTES // (math.prod(span.row) * span.dtype.itemsize), 1)
    return [
        (Span(span.path, at, min(at + each, span.stop), span.dtype, span.row), out[at - span.start :][:each])
        for at in range(span.start, span.stop, each)
    ]


def _requests(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Put pieces together as far as they may be asked for at once."""
    requests: list[list[_Piece]] = []
    size = REQUEST_BYTES + 1
    for piece in pieces:
        if size + piece[0].nbytes > REQUEST_BYTES:
            requests.append([])
            size = 0
        requests[-1].append(piece)
        size += piece[0].nbytes
    return requests


def _fetch(context: Context, link: str, pieces: Sequence[_Piece]) -> bool:
    """Fetch pieces in one request; False if the server has no route for it."""
    asked = [
        {
            "path": span.path,
            "start": span.start,
            "stop": span.stop,
            "dtype": span.dtype.str,
            "row": span.row,
        }
        for span, _ in pieces
    ]

    url, places = ours(link, "search", "spans"), [_bytes_of(out) for _, out in pieces]
    is_large = sum(map(len, places)) >= _LARGE
    if is_large and has_ours(context) and fill_from_nearby(context, url, asked, places):
        return True
    headers = {"Accept-Encoding": "identity"}  # samples of sound shrink little

    def receive(response: httpx.Response) -> None:
        _fill(places, response.iter_raw())

    answer = ask_ours(context, "POST", url, receive, json=asked, headers=headers)
    return answer is not None


def _bytes_of(samples: Any) -> memoryview:
    return memoryview(samples).cast("B")


def _fill(places: Sequence[memoryview], parts: Iterable[bytes]) -> None:
    """Put the bytes of an answer where they belong, as they come.

    Raises
    ------
    TransientError
        If they are more or fewer than was asked for.
    """
    whole, number, at = sum(place.nbytes for place in places), 0, 0
    received = 0
    for part in parts:
        received += len(part)
        rest = memoryview(part)
        while rest and number < len(places):
            count = min(len(rest), places[number].nbytes - at)
            places[number][at : at + count] = rest[:count]
            rest, at = rest[count:], at + count
            if at == places[number].nbytes:
                number, at = number + 1, 0
    if received != whole:
        raise TransientError(
            f"The server sent {received} bytes of samples, expected were {whole}. Ask again."
        )


def _fetch_each(context: Context, link: str, pieces: Sequence[_Piece]) -> None:
    """Fetch pieces by Tiled's own route, some at once."""

    def fetch(piece: _Piece) -> None:
        span, out = piece
        address = f"{link.replace('/search/', '/array/full/', 1)}/{'/'.join(span.path)}"
        for attempt in retry_context(context):
            with attempt:
                response = context.http_client.get(
                    address,
                    params={"slice": f"{span.start}:{span.stop}"},
                    headers={"Accept": "application/octet-stream"},
                )
                content = handle_error(response).read()
        _fill([_bytes_of(out)], [content])

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tilewright-spans") as pool:
        list(pool.map(fetch, pieces))


def _detail(error: ClientError) -> str:
    try:
        return str(error.response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error)
