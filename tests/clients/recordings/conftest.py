"""Deployments in a real server: WAV files of ramps, and the documents that the source makes of them, composed by hand.

A sample's value is its index in the unit's array, modulo 30,000, plus the number of its unit times 100 in the other channels.
"""

import uuid
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from tilewright import TiledWriter, open_catalog, serve

SECOND = 1_000_000_000
T0 = 1_682_435_360 * SECOND
"""2023-04-25T15:09:20Z."""
MODULUS = 30_000
WAV_DTYPES = {"PCM_16": "<i2", "PCM_24": "<i4", "FLOAT": "<f4"}


def ramp(start, stop, channels=1, dtype="<i2"):
    """Return samples that say where they are: shape (samples,), or (samples, channels), each channel 1 more."""
    values = np.arange(start, stop) % MODULUS
    if dtype == "<i4":
        values = values << 16
    values = values.astype(dtype)
    return values if channels == 1 else values[:, None] + np.arange(channels, dtype=dtype)


@dataclass
class File:
    """One file: when it starts by the unit's clock (ns), and what is in it."""

    start: int
    samples: int
    rate: int = 1000
    precision: int = 0
    name: str = ""
    remark: str = ""


@dataclass
class Recorder:
    """A unit of a deployment."""

    name: str
    files: list
    facts: dict = field(default_factory=dict)
    ties: list = field(default_factory=list)
    """(sample or None, nominal or None, utc, uncertainty or None)."""
    channels: int = 1
    subtype: str = "PCM_16"
    in_start: bool = True
    content: object = None
    """Samples of index start to before stop, instead of the ramp."""


class Composer:
    """Makes the files and the documents of a deployment."""

    def __init__(self, folder, uid, units, rejected=()):
        self.folder = folder
        self.uid = uid
        self.units = units
        self.rejected = rejected

    def documents(self, *, stop=True):
        known = [
            {"unit": unit.name, "row": row, **unit.facts}
            for row, unit in enumerate(self.units)
            if unit.in_start
        ]
        starts = [file.start for unit in self.units for file in unit.files]
        start = {"uid": self.uid, "time": min(starts, default=T0) / SECOND, "plan_name": "recordings"}
        start |= {"deployment": "test", "source": "tilewright.sources.recordings"}
        yield "start", start | ({"units": known} if known else {})
        counts = {}
        for row, unit in enumerate(self.units):
            yield from self.of_unit(row, unit, counts)
            yield from self.of_clock(unit, counts)
        yield from self.of_rejected(counts)
        if stop:
            ends = [
                file.start + file.samples * SECOND // file.rate for unit in self.units for file in unit.files
            ]
            yield (
                "stop",
                {
                    "uid": f"{self.uid}-stop",
                    "run_start": self.uid,
                    "time": max(ends, default=T0) / SECOND,
                    "exit_status": "success",
                    "num_events": counts,
                },
            )

    def of_unit(self, row, unit, counts):
        if not unit.files:
            return
        descriptor = f"{self.uid}-{unit.name}"
        keys = {
            "audio": {
                "external": "STREAM:",
                "dtype": "number" if unit.channels == 1 else "array",
                "shape": [] if unit.channels == 1 else [unit.channels],
                "dtype_numpy": WAV_DTYPES[unit.subtype],
            },
            "file": {"dtype": "string", "shape": []},
            **{name: {"dtype": "integer", "dtype_numpy": "<i8", "shape": []} for name in INTEGERS},
            **{
                name: {"dtype": "number", "dtype_numpy": "<f8", "shape": []}
                for name in ("battery", "temperature")
            },
            "start_from": {"dtype": "string", "shape": []},
            "remark": {"dtype": "string", "shape": []},
        }
        for key in keys.values():
            key |= {"source": "test", "object_name": unit.name}
        settings = {**unit.facts} if unit.in_start else {"row": row, **unit.facts}
        yield "descriptor", self.descriptor(descriptor, unit.name, unit.name, keys, settings)
        first, end = 0, None
        for number, file in enumerate(unit.files):
            name = file.name or f"{unit.name}/{number:04d}.wav"
            path = self.write(unit, name, first, file)
            yield from self.of_file(unit, descriptor, number, file, name, path, first, end)
            first, end = first + file.samples, file.start + file.samples * SECOND // file.rate
        counts[unit.name] = len(unit.files)

    def write(self, unit, name, first, file):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dtype = WAV_DTYPES[unit.subtype]
        make = unit.content or (lambda start, stop: ramp(start, stop, unit.channels, dtype))
        soundfile.write(path, make(first, first + file.samples), file.rate, subtype=unit.subtype)
        return path

    def of_file(self, unit, descriptor, number, file, name, path, first, end):
        resource = f"{descriptor}-{number}"
        yield (
            "stream_resource",
            {
                "uid": resource,
                "run_start": self.uid,
                "data_key": "audio",
                "mimetype": "audio/wav",
                "uri": f"file://localhost{path}",
                "parameters": {"chunk_shape": [2 << 20], "rate": file.rate},
            },
        )
        yield (
            "stream_datum",
            {
                "uid": f"{resource}/0",
                "stream_resource": resource,
                "descriptor": descriptor,
                "indices": {"start": first, "stop": first + file.samples},
                "seq_nums": {"start": number + 1, "stop": number + 2},
            },
        )
        yield self.event(
            descriptor,
            number + 1,
            file.start / SECOND,
            {
                "file": name,
                "start": file.start,
                "samples": file.samples,
                "first": first,
                "rate": file.rate,
                "bits": 16,
                "channels": unit.channels,
                "battery": 4.5,
                "temperature": None,
                "gap": None if end is None else file.start - end,
                "precision": file.precision,
                "start_from": "given",
                "remark": file.remark,
            },
        )

    def of_clock(self, unit, counts):
        if not unit.ties:
            return
        descriptor, stream = f"{self.uid}-clock-{unit.name}", f"clock_{unit.name}"
        keys = {name: {"dtype": "integer", "dtype_numpy": "<i8", "shape": []} for name in TIES}
        keys["origin"] = {"dtype": "string", "shape": []}
        for key in keys.values():
            key["source"] = "test"
        yield "descriptor", self.descriptor(descriptor, stream, unit.name, keys, {})
        for number, tie in enumerate(unit.ties):
            values = dict(zip(TIES, tie, strict=True))
            yield self.event(descriptor, number + 1, tie[2] / SECOND, {**values, "origin": "table"})
        counts[stream] = len(unit.ties)

    def of_rejected(self, counts):
        if not self.rejected:
            return
        descriptor = f"{self.uid}-rejected"
        keys = {
            "file": {"source": "test", "dtype": "string", "shape": []},
            "size": {"source": "test", "dtype": "integer", "dtype_numpy": "<i8", "shape": []},
            "reason": {"source": "test", "dtype": "string", "shape": []},
        }
        yield "descriptor", self.descriptor(descriptor, "rejected_files", "rejected_files", keys, {})
        for number, values in enumerate(self.rejected):
            yield self.event(descriptor, number + 1, T0 / SECOND, dict(zip(keys, values, strict=True)))
        counts["rejected_files"] = len(self.rejected)

    def descriptor(self, uid, stream, thing, keys, settings):
        configuration = {
            "data": settings,
            "data_keys": {name: {"source": "test", "dtype": "string", "shape": []} for name in settings},
            "timestamps": dict.fromkeys(settings, T0 / SECOND),
        }
        return {
            "uid": uid,
            "run_start": self.uid,
            "time": T0 / SECOND,
            "name": stream,
            "data_keys": keys,
            "configuration": {thing: configuration} if settings else {},
            "object_keys": {thing: list(keys)},
            "hints": {},
        }

    @staticmethod
    def event(descriptor, seq_num, time, data):
        return "event", {
            "uid": f"{descriptor}-event-{seq_num}",
            "descriptor": descriptor,
            "time": time,
            "seq_num": seq_num,
            "data": data,
            "timestamps": dict.fromkeys(data, time),
            "filled": {},
        }


INTEGERS = ("start", "samples", "first", "rate", "bits", "channels", "gap", "precision")
TIES = ("sample", "nominal", "utc", "uncertainty")


@pytest.fixture(scope="session")
def sounds(tmp_path_factory):
    """The folder that the server may read."""
    return tmp_path_factory.mktemp("sounds")


@pytest.fixture(scope="session")
def server(sounds):
    with serve(readable_storage=[sounds], announce=False) as server:
        yield server


@pytest.fixture(scope="session")
def catalog(server):
    with open_catalog(server.uri) as catalog:
        yield catalog


@pytest.fixture(scope="session")
def deploy(server, catalog, sounds):
    """Record units; return the run."""

    def deploy(*units, rejected=(), stop=True):
        uid = str(uuid.uuid4())
        composer = Composer(sounds / uid, uid, units, rejected)
        with TiledWriter(server, strict=True) as writer:
            for name, document in composer.documents(stop=stop):
                writer(name, document)
            writer.flush()
        return catalog[uid]

    return deploy


def exact(time, rate, start):
    """Return the first sample at or after a time, of a file that starts at `start` (ns): plain fractions."""
    return -int((start - time) * Fraction(rate, SECOND) // 1)
