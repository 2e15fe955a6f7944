"""Where the benchmarks' tables go: files, or the places marked for them in the pages of `docs/`."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def circumstances(*programs: str) -> str:
    """Say when, where and with what something was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("tilewright", "tiled", *programs))
    python = f"Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}: {versions}, {python}, {os.cpu_count()} cores, {platform.system()} {platform.release()}.\n"


def machine() -> str:
    """Describe the machine: processor, cores, memory, system."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} cores ({model}), {gigabytes:.0f} GB of memory,"
        f" {platform.system()} {platform.release()}"
    )


def put(path: Path, place: str, text: str) -> None:
    """Write a text to a file; into the place marked by this name, if the file has one.

    A place lies between `<!-- name: begin … -->` and `<!-- name: end -->`.
    """
    begin, end = f"<!-- {place}: begin", f"<!-- {place}: end -->"
    if path.exists() and begin in (page := path.read_text()):
        before, _, rest = page.partition(begin)
        comment, _, rest = rest.partition("-->")
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{comment}-->\n\n{text}\n{end}{after}"
    path.write_text(text)
