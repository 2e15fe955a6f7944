"""What all stores of recordings have in common: the form of their samples, which may be written where, and the comparison.

In come samples of one unit and the index of the first; `stores` has the libraries that put them on the disk, and derives from here.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tilewright.documents.resources import file_uri
from tilewright.errors import InputError, SetupError
from tilewright.sources.durable import sync_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from numpy.typing import DTypeLike

DECLARED_BYTES = 16 << 20
PIECE_BYTES = 128 << 20
PIECE_SECONDS = 300
LEAST_CHUNK = 1024
"""Samples: what rates of a few hertz are not to fall below."""


@dataclass(frozen=True, slots=True)
class Form:
    """What the samples of one unit are, and the sizes that follow from it."""

    dtype: np.dtype[Any]
    channels: int
    rate: int
    """Hz; of the first file, if it changes."""

    @classmethod
    def of(cls, dtype: DTypeLike, channels: int, rate: int) -> Form:
        """Return the form, in the byte order of all stores.

        Raises
        ------
        InputError
            If there is no channel, or no rate.
        """
        if channels < 1 or rate < 1:
            raise InputError(f"A store of {channels} channels at {rate} Hz: expected 1 or more of both.")
        return cls(np.dtype(dtype).newbyteorder("<"), int(channels), int(rate))

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one sample: () for one channel."""
        return (self.channels,) if self.channels > 1 else ()

    @property
    def chunk(self) -> int:
        """Samples of a chunk."""
        return max(self.rate, LEAST_CHUNK)

    @property
    def declared(self) -> int:
        """Samples of a chunk in the documents: whole chunks, and whole pieces or the whole part of one."""
        several = max(1, round(DECLARED_BYTES / self._chunk_bytes))
        in_piece = self._chunks_in_piece
        return self.chunk * (several if several <= in_piece else in_piece * max(1, round(several / in_piece)))

    @property
    def piece(self) -> int:
        """Samples of a piece.

        Examples
        --------
        >>> [(form.piece // form.rate, form.declared // form.rate) for form in (Form.of("<i2", 1, 192_000), Form.of("<i2", 1, 8000))]
        [(264, 44), (300, 900)]
        """
        several = self.declared // self.chunk
        in_piece = self._chunks_in_piece
        return self.chunk * (several * (in_piece // several) if several <= in_piece else in_piece)

    @property
    def _chunk_bytes(self) -> int:
        return self.chunk * self.channels * self.dtype.itemsize

    @property
    def _chunks_in_piece(self) -> int:
        seconds = max(1, PIECE_SECONDS * self.rate // self.chunk)
        return max(1, min(seconds, PIECE_BYTES // self._chunk_bytes))

    def __str__(self) -> str:
        return f"{self.dtype} of {self.channels} channel{'s'[: self.channels > 1]} at {self.rate} Hz"


class StoredArray(ABC):
    """What the stores have in common: which samples may be written where, and the comparison. `open` makes one."""

    mimetype: ClassVar[str]

    def __init__(self, path: Path, form: Form) -> None:
        self.path = path
        self.form = form
        self.length = 0

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        dtype: DTypeLike,
        channels: int,
        rate: int,
        about: Mapping[str, Any] | None = None,
    ) -> Self:
        """Open the store at a path, or make one there. Its length is that of the last append that was completed.

        Parameters
        ----------
        rate
            Hz.
        about
            What else a new store is to say of itself (unit, deployment): texts and numbers.

        Raises
        ------
        InputError
            If there is something else: a store of another dtype, rate or number of channels, or none at all. It is left as it is.
        SetupError
            If the package of the store is not installed, or the disk does not take it.
        """
        form, place = Form.of(dtype, channels, rate), Path(path).absolute()
        with explained(place):
            if not place.exists():
                cls._make(place, form, dict(about or {}))
            store = cls(place, form)
            found = store._load()
        if found != form:
            store.close()
            raise InputError(
                f"{place} holds {found}, and cannot take {form}; it is left as it is: choose another store"
            )
        return store

    @property
    def uri(self) -> str:
        """For the StreamResource."""
        return file_uri("", str(self.path))

    @property
    def parameters(self) -> dict[str, Any]:
        """For the StreamResource."""
        return self.parameters_of(self.form)

    @classmethod
    def parameters_of(cls, form: Form) -> dict[str, Any]:
        """Return the parameters of the StreamResource of a store that need not be there yet."""
        return {"chunk_shape": [form.declared], "rate": form.rate}

    def append(self, samples: np.ndarray[Any, Any], at: int) -> None:
        """Have samples there from an index on. May be repeated; when it returns, they are on the disk.

        Parameters
        ----------
        samples
            (samples,) or (samples, channels) of the store's dtype. Best are ends at multiples of `form.piece`.
        at
            Index of the first of them: `length`, or before it, for what may have been written already.

        Raises
        ------
        InputError
            If they are of another dtype or shape, would leave a gap, or differ from what is there, which is left as it is.
        SetupError
            If the disk does not take them.
        """
        if samples.dtype.newbyteorder("<") != self.form.dtype or samples.shape[1:] != self.form.row_shape:
            raise InputError(
                f"{self.path} holds {self.form}; it cannot take {samples.dtype} of shape {samples.shape}."
            )
        if not 0 <= at <= self.length:
            raise InputError(
                f"{self.path} holds {self.length} samples; those from {at} on would leave a gap."
            )
        there = min(self.length - at, len(samples))
        if (difference := self._difference(at, samples[:there])) is not None:
            start, stop = difference
            raise InputError(
                f"{self.path} holds other samples from {start} to {stop} than are to be written there; it is left as it"
                " is: the recording has changed since, or the store is of another one."
            )
        with explained(self.path):
            while there < len(samples):
                start = at + there
                stop = min(at + len(samples), (start // self.form.piece + 1) * self.form.piece)
                part = np.ascontiguousarray(samples[there : stop - at], self.form.dtype)
                self._write(start, part)
                self.length, there = stop, stop - at

    def check(self, start: int, samples: np.ndarray[Any, Any]) -> None:
        """Read samples back from an index on, and compare them one by one, bit by bit.

        Raises
        ------
        SetupError
            If they are others; it names the first ones.
        """
        if start + len(samples) > self.length:
            raise SetupError(
                f"{self.path} has {self.length} samples, and should have {start + len(samples)}."
            )
        if (difference := self._difference(start, samples)) is not None:
            first, stop = difference
            raise SetupError(
                f"{self.path} gives back other samples from {first} to {stop} than were written: do not trust this disk or"
                " memory, and keep the original files."
            )

    def close(self) -> None:  # noqa: B027 - there may be nothing to end
        """End it; it can be opened again."""

    def _difference(self, start: int, samples: np.ndarray[Any, Any]) -> tuple[int, int] | None:
        """Return the first range of samples that are stored otherwise: from, and up to before."""
        for begin in range(0, len(samples), self.form.piece):
            expected = np.ascontiguousarray(samples[begin : begin + self.form.piece], self.form.dtype)
            with explained(self.path):
                stored = self._read(start + begin, start + begin + len(expected))
            bits = f"u{self.form.dtype.itemsize}"  # NaN is to be equal to itself
            other = stored.view(bits) != expected.view(bits)
            other = other.any(axis=1) if other.ndim > 1 else other
            if other.any():
                first = int(other.argmax())
                same = ~other[first:]
                stop = first + int(same.argmax()) if same.any() else len(other)
                return start + begin + first, start + begin + stop
        return None

    @classmethod
    def _make(cls, place: Path, form: Form, about: dict[str, Any]) -> None:
        """Make an empty store: beside its place first, so that there is a whole one or none."""
        beside = place.with_name(f".{place.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        cls._create(beside, form, about)
        beside.rename(place)
        sync_directory(place.parent)

    @classmethod
    @abstractmethod
    def _create(cls, path: Path, form: Form, about: dict[str, Any]) -> None: ...

    @abstractmethod
    def _load(self) -> Form:
        """Open what is there, set `length`, and return of what form it is."""

    @abstractmethod
    def _write(self, start: int, samples: np.ndarray[Any, Any]) -> None:
        """Write samples at the end, none of them beyond the end of a piece."""

    @abstractmethod
    def _read(self, start: int, stop: int) -> np.ndarray[Any, Any]: ...


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Have what the libraries raise say what was being done."""
    try:
        yield
    except (InputError, SetupError):
        raise
    except ModuleNotFoundError as error:
        raise SetupError(
            f"{path} cannot be used without the package {error.name}: install it with pip"
        ) from error
    except OSError as error:
        raise SetupError(f"{path} cannot be written or read: {error.strerror or error}") from error
    except Exception as error:
        if type(error).__name__ != "TileDBError":
            raise
        raise SetupError(f"{path} cannot be written or read: {error}") from error
