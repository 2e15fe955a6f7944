"""What the repository promises of itself."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = "python -m pip install '.[dev]' && python -m pytest -n auto"


def test_ci_runs_what_the_readme_says():
    assert TESTS in (ROOT / "README.md").read_text().splitlines()
    assert TESTS in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_readmes_examples_run(tmp_path):
    """One after the other, as a newcomer would, with runs in between and the server closed before the last."""
    write, read, arrays, without = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
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


def test_every_public_name_can_be_imported():
    import tilewright

    assert all(getattr(tilewright, name) for name in tilewright.__all__)
    assert set(tilewright.__all__) <= set(dir(tilewright))
