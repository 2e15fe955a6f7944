"""`python -m benchmarks`: run all cases and write `docs/performance.md`, its chart and its figures.

    python -m benchmarks                        # all, into docs/
    python -m benchmarks --only scalars runs    # these; the others' figures stay as they were
    python -m benchmarks --quick                # small sizes, to see that everything works; writes nothing …
    python -m benchmarks --quick --output DIR   # … but here
    python -m benchmarks --redraw               # the page from the figures in docs/performance.jsonl

Each script runs in a process of its own, one after the other; what it prints is passed on and kept. The exit status is 1
if one failed; its figures stay as they were.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from .bench import chart, report
from .bench.cases import SCRIPTS
from .bench.lines import Line
from .bench.pages import machine

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PROGRAMS = ("tilewright", "tiled", "bluesky-tiled-plugins", "bluesky", "pandas", "pyarrow")
QUICK = ("--repeats", "1", "--peer-repeats", "1", "--scale", "0.01")
FULL = ("--repeats", "5", "--peer-repeats", "3")
OWN = {
    "imports": ("--repeats", "10", "--peer-repeats", "10"),
    "live": ("--repeats", "3", "--peer-repeats", "3"),
    "recordings": ("--repeats", "3", "--peer-repeats", "3"),
    "blocks": ("--repeats", "3", "--peer-repeats", "3"),
    "embeddings": ("--repeats", "3", "--peer-repeats", "3"),
    "das": ("--repeats", "5", "--peer-repeats", "3"),
}
"""Where other numbers of runs are right: what is quick can be repeated, and what takes its time whatever the writer."""


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SCRIPTS), default=list(SCRIPTS), metavar="CASE")
    parser.add_argument("--quick", action="store_true", help="small sizes; writes only into a given --output")
    parser.add_argument("--redraw", action="store_true", help="measure nothing")
    parser.add_argument(
        "--output", type=Path, help="folder of performance.md, .svg and .jsonl; default: docs/"
    )
    options = parser.parse_args()
    folder = options.output or (None if options.quick else DOCS)
    failed = []
    for script in () if options.redraw else options.only:
        measured = measure(script, QUICK if options.quick else OWN.get(script, FULL))
        if measured is None:
            failed.append(script)
        elif folder is not None:
            keep(folder, measured)
    if options.redraw and folder is not None:
        redraw(folder)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measure(script: str, arguments: tuple[str, ...]) -> report.Measurement | None:
    """Run a script and return what it printed; None if it failed."""
    command = [sys.executable, str(HERE / f"{script}.py"), *arguments]
    print(f"# {script} {' '.join(arguments)}", flush=True)
    began = time.monotonic()
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was asked for"
        for text in process.stdout:
            print(text, end="", flush=True)
            if text.startswith("{"):
                lines.append(Line(**json.loads(text)))
    if process.returncode:
        return None
    versions = ", ".join(f"{name} {version(name)}" for name in PROGRAMS)
    return report.Measurement(
        script,
        " ".join(arguments),
        f"{datetime.now(UTC):%Y-%m-%d}",
        machine(),
        f"{versions}, Python {platform.python_version()}",
        time.monotonic() - began,
        tuple(lines),
    )


def keep(folder: Path, measured: report.Measurement) -> None:
    """Put what a script measured into the place of what it measured before, and draw the page anew."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "performance.jsonl"
    report.save(figures, report.load(figures) | {measured.script: measured})
    redraw(folder)


def redraw(folder: Path) -> None:
    """Make tables and chart of the figures that there are."""
    measurements = report.load(folder / "performance.jsonl")
    if not measurements:
        sys.exit(f"Nothing has been measured yet: {folder} has no performance.jsonl.")
    page = folder / "performance.md"
    if not page.exists():
        shutil.copy(DOCS / "performance.md", page)
    report.draw(page, measurements)
    chart.draw(folder / "performance.svg", [line for one in measurements.values() for line in one.lines])


if __name__ == "__main__":
    sys.exit(main())
