"""How long the import takes in a new interpreter, whose own start is not counted.

Byte code is there, and the files are in the system's cache: each import is done once beforehand. Tilewright's package loads
the rest when a name of it is used, so the import of the writer is measured beside it, which is what a script pays.
"""

from __future__ import annotations

import os
import subprocess
import sys

from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, in_turn
from bench.writers import CORE, PLUGINS

STATEMENTS = {
    OURS: {"import": "import tilewright", "import-writer": "from tilewright import TiledWriter"},
    PLUGINS: {
        "import": "import bluesky_tiled_plugins",
        "import-writer": "from bluesky_tiled_plugins import TiledWriter",
    },
    CORE: {
        "import": "import bluesky.callbacks",
        "import-writer": "from bluesky.callbacks.tiled_writer import TiledWriter",
    },
}
PROGRAM = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def measure(name: str) -> Figures:
    """Return seconds."""
    return {case: seconds(statement) for case, statement in STATEMENTS[name].items()}


def seconds(statement: str) -> float:
    """Return what a statement takes in an interpreter of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main() -> None:
    """Measure all imports in turn, several times."""
    options = Options(__doc__, STATEMENTS, repeats=10)
    for name in options.names:
        measure(name)
    results = in_turn(options, measure)
    show(lines(results, {}))


if __name__ == "__main__":
    main()
