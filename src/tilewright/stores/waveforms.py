"""Samples with their exact times: what `AudioStore.fetch` gives. In a notebook it shows itself, with a player."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.moments import text
from tilewright.display import html_facts

if TYPE_CHECKING:
    from fractions import Fraction

    import xarray as xr
    from numpy.typing import NDArray

    from tilewright.clients.recordings.timeline import Part

_LONGEST = 60
"""Seconds that a notebook plays at most: all of it lies in the page."""


@dataclass(frozen=True, eq=False, slots=True)
class Waveform:
    """Samples of a sensor from a time to before another."""

    samples: NDArray[Any]
    """Shape (frames,) for one channel, else (frames, channels)."""
    rate: Fraction
    """Frames a second."""
    sensor: str
    """Its name; empty where the layout has no sensors."""
    parts: tuple[Part, ...]
    """The lines that the frames lie on: their times, exactly, and whether they were recorded."""
    recorded: NDArray[np.bool_] | None
    """Whether each frame was recorded, shape (frames,); None if this was not asked for, or all were."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def start(self) -> int | None:
        """Time of the first frame, to the nearest nanosecond since 1970, UTC; None without frames."""
        return self.parts[0].begins if self.parts else None

    @property
    def stop(self) -> int | None:
        """Time of the frame after the last."""
        return self.parts[-1].ends if self.parts else None

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """From when to when nothing was recorded: nanoseconds since 1970, UTC."""
        return tuple((part.begins, part.ends) for part in self.parts if not part.is_recorded)

    def times(self) -> NDArray[np.int64]:
        """Return the time of each frame: nanoseconds since 1970, UTC, shape (frames,)."""
        times = [part.times() for part in self.parts]
        return np.concatenate(times) if times else np.empty(0, np.int64)

    def to_xarray(self) -> xr.DataArray:
        """Return it as `deployment.select` has it: dims (unit, time[, channel]), the unit being the sensor.

        Coordinates are `time`, `sample` (the frame's number in its session, -1 in gaps) and `recorded`.
        """
        import xarray as xr  # noqa: PLC0415 - slow to import

        numbers = [
            np.arange(part.start, part.stop) if part.is_recorded else np.full(len(part), -1)
            for part in self.parts
        ]
        recorded = np.ones(len(self), bool) if self.recorded is None else self.recorded
        along = ("unit", "time")
        coords: dict[str, Any] = {
            "unit": [self.sensor],
            "time": self.times().view("datetime64[ns]"),
            "sample": (along, (np.concatenate(numbers) if numbers else np.empty(0, np.int64))[None]),
            "recorded": (along, recorded[None]),
        }
        dims: tuple[str, ...] = along
        if self.samples.ndim > 1:
            dims, coords["channel"] = (*along, "channel"), np.arange(self.samples.shape[1])
        rate = int(self.rate) if self.rate.denominator == 1 else float(self.rate)
        gaps = [
            {"start": text(part.begins), "stop": text(part.ends), "samples": len(part)}
            for part in self.parts
            if not part.is_recorded
        ]
        attrs = {"rate": rate, "gaps": {self.sensor: gaps} if gaps else {}}
        return xr.DataArray(self.samples[None], coords, dims, name="audio", attrs=attrs)

    def __repr__(self) -> str:
        return f"<Waveform {', '.join(f'{name} {value}' for name, value in self._facts().items())}>"

    def _facts(self) -> dict[str, str]:
        channels = self.samples.shape[1] if self.samples.ndim > 1 else 1
        facts = {"sensor": self.sensor} if self.sensor else {}
        if self.start is not None:
            facts["start"] = text(self.start)
        facts |= {
            "length": f"{float(len(self) / self.rate):g} s, {len(self)} frames at {float(self.rate):g} Hz",
            "channels": f"{channels}, {self.samples.dtype}",
        }
        if self.gaps:
            facts["gaps"] = str(len(self.gaps))
        return facts

    def _repr_html_(self) -> str:
        return html_facts("Waveform", self._facts()) + self._player()

    def _player(self) -> str:
        """Return what plays it in a page; nothing where it is long, or soundfile is not installed."""
        from tilewright.audio import encode_wav, in_16_bits  # noqa: PLC0415 - not before it is needed

        if not len(self) or len(self) > _LONGEST * self.rate:
            return ""
        try:
            wav = encode_wav(in_16_bits(self.samples), max(1, round(self.rate)))
        except ImportError:
            return ""
        sound = base64.b64encode(wav).decode()
        return f'<audio controls src="data:audio/wav;base64,{sound}"></audio>'
