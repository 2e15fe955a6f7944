"""Sound for the ear: a unit and a span of time come in; what a notebook or a browser plays goes out.

`Deployment` calls this.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tilewright.clients.recordings.selecting import select
from tilewright.errors import InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.clients.recordings.selecting import Request

LONGEST = 600
"""Seconds that are put into a notebook at most: all of it lies in the page."""


def listen(request: Request, speed: float) -> Any:
    """Return what a notebook plays: see `Deployment.listen`."""
    seconds = (request.end - request.begin) / 1_000_000_000
    if seconds > LONGEST:
        raise InputError(
            f"listen() puts sound into the page: {seconds:.0f} s are too much for it, take {LONGEST} s or less."
        )
    found = select(request)
    array = found if not isinstance(found, dict) else next(iter(found.values()))
    return playable(array.to_numpy()[0], array.attrs["rate"], speed)


def playable(samples: NDArray[Any], rate: float, speed: float) -> Any:
    """Return samples as a notebook plays them.

    Parameters
    ----------
    samples
        Shape (samples,) or (samples, channels).
    rate
        Hz.
    speed
        As of `Deployment.listen`.

    Raises
    ------
    InputError
        If the speed is none.
    SetupError
        If there is no IPython.
    """
    try:
        from IPython.display import Audio  # noqa: PLC0415 - only notebooks have it
    except ImportError as error:
        raise SetupError(
            "listen() plays in notebooks, and there is no IPython: take sound_url() for a browser."
        ) from error
    from tilewright.audio import encode_wav, in_16_bits  # noqa: PLC0415 - not before it is needed

    if not speed > 0:
        raise InputError(f"speed={speed!r}: expected a number above 0; 0.1 is ten times slower, and lower.")
    return Audio(data=encode_wav(in_16_bits(samples), max(1, round(rate * speed))))


def sound_url(request: Request) -> str:
    """Return the address of a span of samples as a WAV file: see `Deployment.sound_url`."""
    (unit,) = request.units
    parts = unit.timeline(unit.clock(request.clock)).between(request.begin, request.end)
    if not parts:
        raise InputError(f"Unit {unit.name} recorded nothing in that time: see deployment.coverage().")
    _refuse_disorder(unit.name, [(part.start, part.stop) for part in parts])
    link = request.run.item["links"]["search"].replace("/api/v1/search/", "/api/v1/array/full/", 1)
    path = "/".join(quote(key, safe="") for key in unit.path)
    return f"{link}/{path}?slice={parts[0].start}:{parts[-1].stop}&format=audio/wav"


def _refuse_disorder(unit: str, spans: Sequence[tuple[int, int]]) -> None:
    if any(before[1] != after[0] for before, after in pairwise(spans)):
        raise InputError(
            f"Unit {unit} did not record that time in one go, and an address names one span of samples: ask for less, or listen()."
        )
