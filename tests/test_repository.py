"""What the repository promises of itself."""

import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = "python -m pip install '.[dev]' && python -m pytest -n auto"


def test_ci_runs_what_the_readme_says():
    assert TESTS in (ROOT / "README.md").read_text().splitlines()
    assert TESTS in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_readmes_examples_run(tmp_path):
    """One after the other, as a newcomer would, with runs in between and the server closed before the last."""
    write, read, arrays, *_, without = _examples("python")
    scan = "from bluesky.plans import scan\nfrom ophyd.sim import det, motor\n(uid,) = RE(scan([det], motor, -5, 5, 10))"
    images = """
import itertools, pathlib
import numpy as np
from bluesky.plans import count
from ophyd.sim import SynSignalWithRegistry

run_table, scanned = run.table(), run
pathlib.Path("frames").mkdir()
shots = itertools.count()
image = SynSignalWithRegistry(lambda: np.full((20, 30), next(shots)), name="image", save_path=str(pathlib.Path("frames").resolve()))
RE(count([image], 6))
run = runs[-1]
"""
    seen = """
(note,) = run.notes  # the device does not say that its frames are whole numbers
assert "primary/image was declared as float64" in note and "it is int64" in note
assert run.verify(files=True).equal
image = run["primary"]["image"]  # anew
assert (image.shape, image.dtype) == ((6, 20, 30), "int64") and (image[3] == image[0] + 3).all()
assert (run.read()["image"].mean("time").compute() == image.read().mean(axis=0)).all() and mean.shape == (20, 30)
run = scanned
runs.close()
server.close()
"""
    check = "assert len(rows) == 10 and run.uid == uid and rows.det.tolist() == run_table.det.tolist()"
    pieces = [write, scan, read, images, arrays, seen, without, check]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # ophyd's devices make a folder there
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(pieces)],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _examples(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readmes_recordings_run(tmp_path):
    """The commands, and then what is read, of two units that hear five minutes of a rising tone."""
    import numpy as np
    import soundfile

    tone = (3000 * np.sin(np.linspace(0, 300, 8000 * 300) ** 2)).astype("int16")
    for unit in ("north", "south"):
        (tmp_path / "cards" / unit).mkdir(parents=True)
        soundfile.write(tmp_path / "cards" / unit / f"{unit}_20260504_031000Z.wav", tone, 8000)
    (commands,) = (block for block in _examples("bash") if "record wav" in block)
    python = _examples("python")[3]
    seen = """
assert deployment.units.index.tolist() == ["north", "south"] and deployment.gaps().empty
sound = deployment.select(("2026-05-04T03:10:00Z", "2026-05-04T03:10:05Z"), units=["north", "south"])
assert sound.shape == (2, 40_000) and (sound[0].values == sound[1].values).all() and sound.recorded.all()
"""
    _run_in(tmp_path, commands, f"from tilewright import open_catalog\n{python}{seen}")
    assert (tmp_path / "dawn.png").stat().st_size > 10_000


def _run_in(folder, commands, python):
    """Run commands of the README, and then a script."""
    main = f"{sys.executable} -c 'from tilewright.cli import main; main()'"
    shell = f"set -e\n{re.sub('^tilewright', lambda _: main, commands, flags=re.MULTILINE)}"
    for command in (["bash", "-c", shell], [sys.executable, "-c", python]):
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_readmes_embeddings_run(tmp_path):
    """The commands, and then what is read, of two sites; the recording of one is in the catalog, too."""
    import numpy as np
    import soundfile

    from tilewright.testing.embeddings import name_of, write_dataset

    write_dataset(tmp_path / "one_percent", 2, 3, dimension=16)
    sound = tmp_path / "sound" / name_of(0)
    sound.parent.mkdir(parents=True)
    soundfile.write(sound, np.arange(60 * 200, dtype="int16"), 200)
    (tmp_path / "units.csv").write_text("unit,file\narkaba,*.flac\n")
    (commands,) = (block for block in _examples("bash") if "record tfrecord" in block)
    seen = """
assert dataset.table(where="site_id == 285 and subsite_name == 'Dry-A'").index.tolist() == list(range(36))
assert len(dataset.nearest(17, k=10, metric="cosine")) == 10
assert dataset.sound(5)[0].tolist() == list(range(5000, 6000))
"""
    python = _examples("python")[5].replace("listen(17)", "listen(5)")  # which is in the minute there is
    before = "tilewright record wav sound --units units.csv --catalog data\n"
    _run_in(tmp_path, before + commands, f"from tilewright import open_catalog\n{python}{seen}")


def test_the_readmes_cables_run(tmp_path):
    """The store is made, recorded, drawn and processed by the commands, and read; the same job again makes nothing."""
    make, read = _examples("python")[6:8]
    (commands,) = (block for block in _examples("bash") if "record das" in block)
    seen = """
from tilewright.clients.connect import catalog_of
from tilewright.testing.whales import Call, sea
assert len(tiles) == 24 and len(catalog_of(run)) == 2 and tiles.run.uid == run.uid and tiles.run.verify(files=True).equal
tile = tiles.table().loc[loudest]
calls = [Call(time, distance=400, away=300) for time in range(2, 60, 13)]
raw = sea(0, 12_000, 400, calls=calls)[tile.first_channel : tile.stop_channel, tile.first_sample : tile.stop_sample]
assert (tiles.samples(loudest).to_numpy() == raw).all() and tiles.picture(loudest).max() == 255
"""
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True, capture_output=True)
    _run_in(tmp_path, commands, f"{read}{seen}")
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("fk.png", "calls.png"))


def test_the_readmes_sounds_run(tmp_path):
    """Blocks of a file, into a catalog and into a store."""
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "voice.wav", np.arange(2000, dtype="int16"), 8000)
    before = """
import numpy as np
from tilewright import TiledWriter, open_catalog, serve
server = serve("data", announce=False)
writer = TiledWriter(server)
chunk = np.arange(44_100).astype("int16").tobytes()
"""
    after = """
found = store.fetch("2019-08-17T18:04:53.5Z", "2019-08-17T18:05:03.5Z")
assert waveform.tolist() == np.frombuffer(chunk, "int16").tolist() and len(found) == 441_000 and found.recorded.sum() == 31_443
writer.close()
with open_catalog(server) as runs:
    assert runs[-1]["microphone"]["audio"].read().tolist() == list(range(2000))
server.close()
"""
    command = [sys.executable, "-c", f"{before}{_examples('python')[4]}{after}"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_decision_is_in_the_list():
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    pages = [page.name for page in folder.glob("0*.md")]
    assert len(pages) >= 7
    assert [page for page in pages if page not in listed] == []


def test_the_version_is_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_in_the_pages_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_importing_tilewright_loads_nothing_heavy():
    """Heavy imports happen when a name is used."""
    code = (
        "import sys, tilewright; print(*[name for name in sys.modules if name.split('.')[0] in sys.argv[1:]])"
    )
    heavy = ["numpy", "pandas", "pyarrow", "tiled", "bluesky", "httpx", "xarray", "sqlalchemy"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "package",
    [
        "tilewright",
        "tilewright.clients",
        "tilewright.clients.cables",
        "tilewright.clients.embeddings",
        "tilewright.clients.recordings",
        "tilewright.processing",
        "tilewright.sources",
        "tilewright.stores",
    ],
)
def test_every_name_that_is_loaded_on_first_use_can_be_loaded(package):
    module = importlib.import_module(package)
    assert all(getattr(module, name) for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
