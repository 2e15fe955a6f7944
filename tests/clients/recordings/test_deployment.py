"""A deployment as a user meets it: units, tables, what it looks like, a run that is going on."""

import io
import urllib.request

import numpy as np
import pandas as pd
import pytest
import soundfile

from tilewright import TiledWriter
from tilewright.clients.recordings import Deployment
from tilewright.clients.recordings.moments import text
from tilewright.errors import InputError, NotFoundError
from tilewright.testing.documents import simple_run

from .conftest import SECOND, T0, Composer, File, Recorder


def at(seconds):
    return pd.Timestamp(T0 + round(seconds * SECOND), tz="UTC")


def span(begin, end):
    return text(T0 + round(begin * SECOND)), text(T0 + round(end * SECOND))


def seconds(values):
    return [pd.Timedelta(value, unit="s") for value in values]


FACTS = {
    "device_id": "24F3190361DA539A",
    "model": "AudioMoth",
    "gain": "medium",
    "latitude": 47.5,
    "site": "ridge",
}


@pytest.fixture(scope="module")
def run(deploy):
    return deploy(
        Recorder("ridge", [File(T0, 4000), File(T0 + 4 * SECOND, 4000), File(T0 + 10 * SECOND, 2000)], FACTS),
        Recorder(
            "creek",
            [File(T0 + SECOND, 4000), File(T0 + 3 * SECOND, 4000, remark="overlaps")],
            {"longitude": 8.5},
        ),
        Recorder("never", [], {"model": "AudioMoth"}),
        Recorder(
            "late",
            [File(T0 + 20 * SECOND, 8000, 2000), File(T0 + 15 * SECOND, 1000, 2000, precision=SECOND)],
            ties=[(0, None, T0 + 20 * SECOND - 3_000_000, 5), (4000, None, T0 + 22 * SECOND - 3_000_200, 7)],
            in_start=False,
        ),
        rejected=[("creek/x.wav", 0, "it is empty")],
    )


@pytest.fixture
def deployment(run):
    return run.deployment()


def test_units(deployment):
    units = deployment.units
    assert units.index.tolist() == ["ridge", "creek", "never", "late"]
    assert units["row"].tolist() == [0, 1, 2, 3]
    assert units.loc["ridge", ["device_id", "model", "gain", "site"]].tolist() == [
        "24F3190361DA539A",
        "AudioMoth",
        "medium",
        "ridge",
    ]
    assert units["latitude"].dtype == units["longitude"].dtype == "float64"
    assert units["rate"].tolist() == [1000, 1000, pd.NA, 2000]
    assert units["files"].tolist() == [3, 2, 0, 2]
    assert units["samples"].tolist() == [10_000, 8000, 0, 9000]
    assert units["start"].tolist()[:3] == [at(0), at(1), pd.NaT]
    assert units["stop"].tolist()[:3] == [at(12), at(7), pd.NaT]
    assert units.loc["late", "stop"] == at(24) - pd.Timedelta(3_000_400, unit="ns")


def test_coverage(deployment):
    table = deployment.coverage(["ridge", "creek"])
    assert table.columns.tolist() == ["unit", "start", "stop", "duration", "samples", "rate", "files"]
    assert table["unit"].tolist() == ["ridge", "ridge", "creek"]
    assert table["start"].tolist() == [at(0), at(10), at(1)]
    assert table["stop"].tolist() == [at(8), at(12), at(7)]
    assert table["duration"].tolist() == seconds([8, 2, 6])
    assert table["samples"].tolist() == [8000, 2000, 6000]
    assert table["files"].tolist() == [2, 1, 2]
    assert len(deployment.coverage("never")) == 0
    assert str(deployment.coverage("never")["start"].dtype) == "datetime64[ns, UTC]"


def test_gaps(deployment):
    table = deployment.gaps()
    assert table["unit"].tolist() == ["ridge", "creek", "late", "late"]
    assert table["kind"].tolist() == ["gap", "overlap", "gap", "jump back"]
    assert table["duration"].tolist()[:2] == seconds([2, 2])
    assert table.loc[0, ["start", "stop", "file_before", "file_after"]].tolist() == [
        at(8),
        at(10),
        "ridge/0001.wav",
        "ridge/0002.wav",
    ]
    assert table.loc[1, ["start", "stop"]].tolist() == [at(3), at(5)]
    jump = table.iloc[3]
    assert (jump["start"], jump["stop"], jump["duration"]) == (at(24), at(15), pd.Timedelta(-9, unit="s"))
    assert (jump["file_before"], jump["file_after"]) == ("late/0000.wav", "late/0001.wav")


def test_clocks(deployment):
    table = deployment.clocks()
    assert table["ties"].tolist() == [0, 0, 0, 2]
    assert table["method"].tolist() == ["nominal"] * 3 + ["corrected"]
    late = table.loc["late"]
    assert late["drift_ppm"] == pytest.approx(0.1, rel=1e-5)
    assert (late["first_tie"], late["last_tie"]) == (at(19.997), at(21.9969998))
    assert (late["first_offset"].value, late["last_offset"].value) == (3_000_000, 3_000_200)
    assert late["uncertainty"] >= pd.Timedelta(SECOND, unit="ns")
    assert table["first_tie"].isna().tolist() == [True, True, True, False]


def test_files(deployment):
    table = deployment.files()
    assert table.columns.tolist()[:4] == ["unit", "file", "start", "stop"]
    assert table["unit"].tolist() == ["ridge"] * 3 + ["creek"] * 2 + ["late"] * 2
    assert table["first"].tolist() == [0, 4000, 8000, 0, 4000, 0, 8000]
    assert table["start"].tolist()[-1] == at(15)
    assert table["stop"].tolist()[-1] == at(15.5)
    assert table["gap"].tolist()[1:3] == seconds([0, 2])
    creek = deployment.files("creek")
    assert creek["remark"].tolist() == ["", "overlaps"]
    assert creek["battery"].tolist() == [4.5, 4.5]


def test_rejected(deployment, deploy):
    assert deployment.rejected.to_numpy().tolist() == [["creek/x.wav", 0, "it is empty"]]
    none = deploy(Recorder("a", [File(T0, 10)])).deployment().rejected
    assert (len(none), none.columns.tolist()) == (0, ["file", "size", "reason"])


def test_what_it_looks_like(deployment):
    assert repr(deployment) == (
        f"<Deployment 'test' of run {deployment.run.uid[:8]}: 4 units, 7 files, 2023-04-25T15:09:20Z to "
        "2023-04-25T15:09:43.9969996Z>"
    )
    html = deployment._repr_html_()
    assert all(
        word in html
        for word in ("ridge", "AudioMoth", "1,000 Hz", "corrected", "files that are no part of it: 1")
    )
    assert deployment.name == "test"


def test_facts_travel_with_the_samples(deployment):
    found = deployment.select(span(0, 1), "ridge")
    assert found.attrs["units"] == {"ridge": {**FACTS, "row": 0}}


def test_a_unit_without_files(deployment):
    assert "never" not in deployment.select(span(1, 2), gaps="segments")
    with pytest.raises(InputError, match="Unit never has no files"):
        deployment.select(span(1, 2), "never")


def test_a_unit_that_the_start_does_not_name(deploy):
    units = [Recorder(name, [File(T0, 10)], {"gain": name}, in_start=False) for name in ("b", "a")]
    table = deploy(*units).deployment().units
    assert table.index.tolist() == ["b", "a"]
    assert table["row"].tolist() == [0, 1]
    assert table["gain"].tolist() == ["b", "a"]


def test_a_run_that_is_none(server, catalog):
    documents = simple_run(events=2)
    with TiledWriter(server, strict=True) as writer:
        for name, document in documents:
            writer(name, document)
    run = catalog[documents[0][1]["uid"]]
    with pytest.raises(InputError, match=r"is no deployment of recorders: none of its streams \(primary\)"):
        run.deployment()


def test_a_run_that_is_going_on(server, catalog, sounds):
    """What comes later is found by itself when it is asked for; what is over is not asked for again."""
    uid = "going-on"
    first, second = File(T0, 4000), File(T0 + 4 * SECOND, 4000)
    documents = list(Composer(sounds / uid, uid, [Recorder("a", [first, second])]).documents())
    events = [number for number, (name, _) in enumerate(documents) if name == "event"]
    with TiledWriter(server, strict=True) as writer:
        for name, document in documents[: events[0] + 1]:
            writer(name, document)
        writer.flush()
        deployment = catalog[uid].deployment()
        assert "going on or cut off" in repr(deployment)
        assert not deployment.select(span(5, 6))["recorded"].any()
        with pytest.raises(NotFoundError, match="No unit 'b'"):
            deployment.select(span(5, 6), "b")
        for name, document in documents[events[0] + 1 :]:
            writer(name, document)
        writer.flush()
    found = deployment.select(span(5, 6))
    assert found.to_numpy()[0].tolist() == list(range(5000, 6000))
    assert "going on" not in repr(deployment.refresh())
    assert isinstance(deployment.refresh(), Deployment)


def test_to_listen(deployment):
    sound = deployment.listen(span(7.5, 10.5), "ridge", speed=0.5)
    samples, rate = soundfile.read(io.BytesIO(sound.data), dtype="int16")
    assert rate == 500
    assert samples.tolist() == [*range(7500, 8000), *[0] * 2000, *range(8000, 8500)]
    with pytest.raises(InputError, match="expected a number above 0"):
        deployment.listen(span(1, 2), "ridge", speed=0)
    with pytest.raises(InputError, match="take 600 s or less"):
        deployment.listen(span(0, 1000), "ridge")
    with pytest.raises(InputError, match="channels=1"):
        deployment.listen(span(1, 2), "ridge", channel=1)


@pytest.mark.parametrize(("subtype", "shift"), [("PCM_24", 16), ("FLOAT", 0)])
def test_to_listen_to_other_kinds(deploy, subtype, shift):
    content = None if shift else lambda start, stop: np.arange(start, stop) / 32768
    unit = Recorder("a", [File(T0, 2000)], subtype=subtype, content=content)
    sound = deploy(unit).deployment().listen(span(0.5, 1), "a")
    assert soundfile.read(io.BytesIO(sound.data), dtype="int16")[0].tolist() == list(range(500, 1000))


def test_the_address_of_a_sound(deployment, server):
    address = deployment.sound_url(span(3, 5), "ridge")
    assert address.endswith("/ridge/audio?slice=3000:5000&format=audio/wav")
    with urllib.request.urlopen(f"{address}&api_key={server.api_key}") as answer:
        assert answer.headers["content-type"] == "audio/wav"
        samples, rate = soundfile.read(io.BytesIO(answer.read()), dtype="int16")
    assert (rate, samples.tolist()) == (1000, list(range(3000, 5000)))
    with pytest.raises(InputError, match="recorded nothing in that time"):
        deployment.sound_url(span(8.5, 9), "ridge")
    with pytest.raises(InputError, match="not record that time in one go"):
        deployment.sound_url(span(2, 6), "creek")
    assert deployment.sound_url(span(7, 11), "ridge").endswith("slice=7000:9000&format=audio/wav")
