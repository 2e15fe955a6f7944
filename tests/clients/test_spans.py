"""Spans of many arrays in one answer, by every way there is: our route, the short way on one machine, Tiled's own route."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from event_model import compose_run

from tilewright import TiledWriter, open_catalog, serve
from tilewright.audio import probe
from tilewright.clients import http, nearby, spans
from tilewright.clients.spans import Span, fetch_spans
from tilewright.errors import NotFoundError, SetupError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNITS = {"one": ("i2", 1), "two": ("i4", 2), "Wald-3 ö": ("f4", 1)}
LENGTHS = (1000, 1, 3000, 3000, 3000, 17)
"""Samples of each file."""


def samples_of(unit: str) -> np.ndarray[Any, Any]:
    dtype, channels = UNITS[unit]
    numbers = np.arange(sum(LENGTHS) * channels, dtype=dtype).reshape(-1, channels)
    return numbers[:, 0] if channels == 1 else numbers


def record(writer: TiledWriter, folder: Path) -> str:
    """Record files each sample of which says which one it is."""
    run = compose_run()
    writer("start", run.start_doc)
    for unit in UNITS:
        samples, first = samples_of(unit), 0
        for number, length in enumerate(LENGTHS):
            path = folder / f"{unit}_{number}.wav"
            subtype = {"i2": "PCM_16", "i4": "PCM_32", "f4": "FLOAT"}[UNITS[unit][0]]
            soundfile.write(path, samples[first : first + length], 48_000, subtype=subtype)
            first += length
        paths = [folder / f"{unit}_{number}.wav" for number in range(len(LENGTHS))]
        _describe(writer, run, unit, paths)
    writer("stop", run.compose_stop())
    uid: str = run.start_doc["uid"]
    return uid


def _describe(writer: TiledWriter, run: Any, unit: str, paths: list[Path]) -> None:
    facts = probe(paths[0])
    shape = list(facts.shape[1:])
    audio = {
        "source": "x",
        "dtype": "array" if shape else "number",
        "shape": shape,
        "dtype_numpy": facts.dtype.str,
    }
    described = run.compose_descriptor(name=unit, data_keys={"audio": {**audio, "external": "STREAM:"}})
    writer("descriptor", described.descriptor_doc)
    first = 0
    for number, path in enumerate(paths):
        resource = run.compose_stream_resource(
            mimetype=facts.mimetype,
            uri=f"file://localhost{path}",
            data_key="audio",
            parameters={"rate": 48_000},
        )
        writer("stream_resource", resource.stream_resource_doc)
        stop = first + probe(path).frames
        datum = resource.compose_stream_datum(
            indices={"start": first, "stop": stop},
            seq_nums={"start": number + 1, "stop": number + 2},
            descriptor=described.descriptor_doc,
        )
        writer("stream_datum", datum)
        first = stop


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    folder = tmp_path_factory.mktemp("recordings")
    data = tmp_path_factory.mktemp("data")
    with serve(data, readable_storage=[folder], announce=False) as server:
        with TiledWriter(server, deliver="thread") as writer:
            uid = record(writer, folder)
        with open_catalog(server) as runs:
            yield runs[uid], folder


def span(unit: str, start: int, stop: int) -> Span:
    dtype, channels = UNITS[unit]
    return Span((unit, "audio"), start, stop, np.dtype(dtype), () if channels == 1 else (channels,))


def fetch(run: Any, wanted: list[Span]) -> list[np.ndarray[Any, Any]]:
    return fetch_spans(run.context, run.item["links"]["search"], wanted)


@pytest.fixture(params=["our route", "one machine", "Tiled's route"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, recorded: Any) -> Iterator[str]:
    """Have samples travel by one of the ways, and see that they do."""
    taken: list[bool] = []

    def counted(*arguments: Any) -> bool:
        taken.append(nearby.fill_from_nearby(*arguments))
        return taken[-1]

    monkeypatch.setattr(spans, "fill_from_nearby", counted)
    if request.param == "one machine":
        monkeypatch.setattr(spans, "_LARGE", 0)
    if request.param == "Tiled's route":
        monkeypatch.setattr(http, "_STOCK", {recorded[0].context})
    yield request.param
    assert all(taken)
    assert bool(taken) == (request.param == "one machine")


def test_samples_are_those_that_were_recorded(recorded: Any, way: str) -> None:
    run, _ = recorded
    assert run.notes == []
    total = sum(LENGTHS)
    for pairs in (
        [("one", 0, total), ("two", 0, total), ("Wald-3 ö", 0, total)],
        [("two", 999, 1002), ("one", 5, 6), ("two", 3000, 8001), ("one", 10_000, total)],
        [("one", 7, 7), ("two", 1000, 1001)],
        [],
    ):
        got = fetch(run, [span(*pair) for pair in pairs])
        for (unit, start, stop), samples in zip(pairs, got, strict=True):
            np.testing.assert_array_equal(samples, samples_of(unit)[start:stop])
            assert samples.dtype == np.dtype(UNITS[unit][0])


def test_what_is_large_is_asked_for_in_parts(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.server import spans as served

    run, _ = recorded
    monkeypatch.setattr(spans, "REQUEST_BYTES", 10_001)
    monkeypatch.setattr(served, "PIECE_BYTES", 1000)
    monkeypatch.setattr(served, "_AT_ONCE", 2000)
    wanted = [span(unit, 3, sum(LENGTHS) - 1) for unit in UNITS]
    for samples, unit in zip(fetch(run, wanted), UNITS, strict=True):
        np.testing.assert_array_equal(samples, samples_of(unit)[3:-1])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Span(("one", "audio"), 0, 10, np.dtype("i4")), "one/audio cannot be read: .*one_0.wav holds int16"),
        (
            Span(("two", "audio"), 0, 10, np.dtype("i4")),
            r"two/audio cannot be read|asked for was int32 of shape \(10,\)",
        ),
        (Span(("one", "audio"), 0, sum(LENGTHS) + 1, np.dtype("i2")), "asked for was int16 of shape"),
    ],
)
def test_what_is_not_there_as_asked_is_refused(recorded: Any, wanted: Span, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        fetch(recorded[0], [wanted])


def test_an_array_that_is_not_there(recorded: Any) -> None:
    with pytest.raises(NotFoundError, match=r"does not have these samples any longer.*video"):
        fetch(recorded[0], [Span(("one", "video"), 0, 1, np.dtype("i2"))])


@pytest.mark.parametrize(
    "asked",
    [
        [{"path": ["one"], "start": 0, "stop": 1, "dtype": "<i2", "row": []}],
        [{"path": ["one", "audio"], "start": 2, "stop": 1, "dtype": "<i2", "row": []}],
        [{"path": ["one", "audio"], "start": 0, "stop": 1, "dtype": "O", "row": []}],
        [{"path": ["one", "audio"], "start": 0, "stop": 10**12, "dtype": "<i2", "row": []}],
        [{}],
        7,
    ],
)
def test_what_is_no_span_is_refused(recorded: Any, asked: Any) -> None:
    run, _ = recorded
    url = http.ours(run.item["links"]["search"], "search", "spans")
    assert run.context.http_client.post(url, json=asked).status_code == 400


@contextlib.contextmanager
def replaced(path: Path, content: bytes | None) -> Iterator[None]:
    before = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("content", [None, b"", b"no sound", "cut"])
@pytest.mark.parametrize("large", [0, 1])
def test_a_file_that_cannot_be_read_is_named(
    recorded: Any, content: bytes | str | None, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = recorded
    path = folder / "one_2.wav"
    if large:
        from tilewright.server import spans as served

        monkeypatch.setattr(served, "_AT_ONCE", 0)
        monkeypatch.setattr(spans, "_LARGE", 0)
    damaged = path.read_bytes()[:200] if content == "cut" else content
    with replaced(path, damaged), pytest.raises(SetupError, match=r"one_2\.wav"):  # type: ignore[arg-type]
        fetch(run, [span("one", 1500, 1600)])
    np.testing.assert_array_equal(fetch(run, [span("one", 1500, 1600)])[0], samples_of("one")[1500:1600])


def test_an_answer_that_breaks_off(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that vanishes while its samples are sent ends the answer; what is there is not taken for all."""
    from tilewright.server import spans as served

    run, folder = recorded
    monkeypatch.setattr(served, "PIECE_BYTES", 1000)
    monkeypatch.setattr(served, "_AT_ONCE", 0)
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    with replaced(folder / "one_3.wav", None), pytest.raises((TransientError, SetupError)):
        fetch(run, [span("one", 3500, 4500)])


def test_files_outside_of_the_readable_storage_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with serve(tmp_path / "data", announce=False) as server:
        with TiledWriter(server, deliver="thread") as writer:
            uid = record(writer, tmp_path / "elsewhere")
        with (
            open_catalog(server) as runs,
            pytest.raises(SetupError, match="outside the server's readable_storage"),
        ):
            fetch(runs[uid], [span("one", 0, 10)])


@pytest.mark.parametrize("unit", list(UNITS))
def test_a_slice_is_a_file_that_a_browser_plays(recorded: Any, unit: str, tmp_path: Path) -> None:
    run, _ = recorded
    address = run[unit]["audio"].item["links"]["full"]
    answer = run.context.http_client.get(address, params={"slice": "990:2100", "format": "audio/wav"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    path = tmp_path / "x.wav"
    path.write_bytes(answer.content)
    samples, rate = soundfile.read(path, dtype=str(np.dtype(UNITS[unit][0])))
    assert rate == 48_000
    np.testing.assert_array_equal(samples, samples_of(unit)[990:2100])


def test_what_is_no_recording_is_not_played(recorded: Any) -> None:
    run, _ = recorded
    address = run["one"]["audio"].item["links"]["full"]
    answer = run.context.http_client.get(address, params={"slice": "0", "format": "audio/wav"})
    assert answer.status_code == 406
    assert "is no sound" in answer.text
