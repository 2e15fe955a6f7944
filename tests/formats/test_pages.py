"""The pages of docs/formats: each format has one, and the one that makes a new format is run as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tilewright.formats import BUILT_IN

PAGES = Path(__file__).parents[2] / "docs" / "formats"


@pytest.mark.parametrize("known", BUILT_IN, ids=lambda known: known.mimetypes[0])
def test_each_format_is_in_the_list(known):
    listed = (PAGES / "README.md").read_text()
    assert all(f"`{mimetype}`" in listed for mimetype in known.mimetypes)
    pages = re.findall(r"\]\((\w+\.md)\)", listed)
    assert all((PAGES / page).exists() for page in pages)
    assert {page.name for page in PAGES.glob("*.md")} == {*pages, "README.md"}


def test_a_format_of_ones_own(tmp_path):
    page = (PAGES / "your_own.md").read_text()
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(text)
    (entry,) = re.findall(
        r'```toml\n\[project.entry-points."tilewright.formats"\]\n(.*?)```', page, re.DOTALL
    )
    installed = tmp_path / "raw_frames-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: raw_frames\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[tilewright.formats]\n{entry.replace(chr(34), '')}")
    done = subprocess.run(
        [sys.executable, "try_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "(3, 4, 5) uint16" in done.stdout
    assert "camera.raw holds 2 rows, declared are 3" in done.stdout
