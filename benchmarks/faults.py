"""Randomised campaigns against the writer: processes are killed and servers fail, then every row is compared.

    python benchmarks/faults.py --trials 300 --seed 1 --jobs 2 --output table.md
    python benchmarks/faults.py --seed 1 --only 17        # a trial again that failed
    python benchmarks/faults.py --trials 300 --peer       # and Bluesky's writer, for the other column

A number of trials and a seed come in, a table goes out, and the exit status 1 if anything is amiss with Tilewright's
writer. Each trial follows from the seed and its number. What is promised, and what the table says: docs/reliability.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench.pages import circumstances, put
from campaign.plan import Trial, plan
from campaign.processes import ENVIRONMENT, end_all
from campaign.report import kinds, markdown, summary
from campaign.trial import Bench, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS, PEER = "Tilewright", "bluesky-tiled-plugins"
NOT_OF_PEER = {"runs cut off and not marked as interrupted"}


def main() -> int:
    """Run the campaigns and print what came of them."""
    options = _options()
    os.environ |= ENVIRONMENT
    folder = options.folder or Path(tempfile.mkdtemp(prefix="tilewright-faults-"))
    numbers = options.only or list(range(options.trials))
    campaigns = {}
    if not (options.only and options.peer):
        campaigns[OURS] = run([plan(options.seed, number) for number in numbers], options, folder / "ours")
    if options.peer:
        numbers = numbers[: options.peer_trials]
        trials = [plan(options.seed, number, peer=True) for number in numbers]
        campaigns[PEER] = run(trials, options, folder / "peer")
    table = markdown({writer: summary(results) for writer, results in campaigns.items()}, {PEER: NOT_OF_PEER})
    print(table)
    for writer, results in campaigns.items():
        print(f"{writer}: " + ", ".join(f"{label}: {count}" for label, count in kinds(results)))
    if options.output is not None:
        said = f"Seed {options.seed}, {circumstances('bluesky-tiled-plugins')}"
        put(options.output, "campaign", f"{said}\n{table}")
    failed = [result for result in campaigns.get(OURS, ()) if not result.is_clean]
    print(f"{len(failed)} of {len(campaigns.get(OURS, ()))} trials failed")
    if not failed:
        shutil.rmtree(folder)
    return 1 if failed else 0


def run(trials: Sequence[Trial], options: argparse.Namespace, folder: Path) -> list[Result]:
    """Run trials, several at a time, each at one of as many benches."""
    benches: queue.SimpleQueue[Bench] = queue.SimpleQueue()
    all_benches = [Bench(folder / f"bench-{number}") for number in range(min(options.jobs, len(trials)))]
    for bench in all_benches:
        benches.put(bench)
    done = itertools.count(1)
    printing = threading.Lock()

    def run_one(trial: Trial) -> Result:
        bench = benches.get()
        try:
            result = bench.run(trial)
        finally:
            benches.put(bench)
        with printing:
            _tell(next(done), len(trials), result, options)
        return result

    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            return list(pool.map(run_one, trials))
    finally:
        for bench in all_benches:
            bench.close()


def _tell(done: int, of: int, result: Result, options: argparse.Namespace) -> None:
    trial = result.trial
    amiss = not result.is_clean and not trial.peer
    if not (amiss or options.verbose):
        return
    print(
        f"[{done}/{of}] trial {trial.number}: {'FAILED' if amiss else 'done'} after {result.seconds:.1f} s, "
        f"{result.acknowledged} documents, {trial.label}",
        flush=True,
    )
    if amiss:
        print(f"  again: python benchmarks/faults.py --seed {options.seed} --only {trial.number}\n  {trial}")
        for problem in [
            *result.findings.problems,
            *result.problems,
            *(["an exception reached the caller"] * result.raised),
            f"its journals and logs are in {result.kept}",
        ]:
            print(f"  {problem}", flush=True)


def _stop(number: int, _frame: object) -> NoReturn:
    """Leave at once, without a process or a thread to wait for; what the trials have written stays."""
    end_all()
    os._exit(128 + number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument(
        "--only", type=int, action="append", help="this trial of the campaign alone; may be repeated"
    )
    parser.add_argument(
        "--peer", action="store_true", help="also against Bluesky's writer; with --only, against it alone"
    )
    parser.add_argument("--peer-trials", type=int, help="how many of them; default: as many as --trials")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument(
        "--output", type=Path, help="write the table here, in Markdown; in a page with a marked place, there"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the data lie while it runs, and of trials that failed afterwards. Default: a temporary one",
    )
    parser.add_argument("--verbose", action="store_true", help="a line for each trial")
    return parser.parse_args()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        sys.exit(main())
    finally:
        end_all()
