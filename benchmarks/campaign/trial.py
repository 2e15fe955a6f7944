"""One trial: a plan comes in, it happens with real processes, and what was found goes out; `faults.py` calls it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from campaign.check import Findings, check, read_back
from campaign.documents import documents
from campaign.processes import Acquisition, Server, deliver, end
from campaign.progress import READY, Progress

from tilewright import TiledWriter, open_catalog
from tilewright.testing.proxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from campaign.plan import Trial

POLL_SECONDS = 0.0005
"""Between two looks at how far the acquisition is."""
HUNG_SECONDS = 60.0
PEER_HUNG_SECONDS = 120.0
"""After which an acquisition counts as hung, and is killed."""
RECOVERY_SECONDS = 90.0
"""How long delivering what is left may take with a healthy server."""
LATE_SECONDS = 10.0
"""How long requests that are on their way may take."""
LEFT_BEHIND_SECONDS = 15.0
"""How long a delivering process may stay when there is nothing left to deliver."""
TRIALS_A_SERVER = 30
"""A fresh server directory after so many trials."""


@dataclass(slots=True)
class Result:
    """What a trial came to."""

    trial: Trial
    findings: Findings = field(default_factory=Findings)
    acknowledged: int = 0
    """Documents."""
    raised: int = 0
    """Exceptions that reached the caller."""
    hung: bool = False
    kills: int = 0
    """Processes that were alive when they were killed."""
    faults: int = 0
    """Requests that a fault hit."""
    calls: list[float] = field(default_factory=list)
    """Seconds that each call took, but for stop documents."""
    stops: list[float] = field(default_factory=list)
    """Seconds that each call for a stop document took."""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    """What went wrong besides the data: recovery that did not end, processes left behind."""
    kept: Path | None = None
    """Where its journals and logs are, if anything is amiss."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is amiss."""
        return self.findings.is_clean and not (self.problems or self.raised or self.hung)


class Bench:
    """Where trials happen one after the other: a folder, and a server that is reused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Server | None = None
        self._trials = 0
        folder.mkdir(parents=True)

    def run(self, trial: Trial) -> Result:
        """Run a trial. Its folder is kept if anything is amiss."""
        began = time.monotonic()
        folder = self._folder / f"trial-{trial.number}{'-peer' * trial.peer}"
        folder.mkdir()
        one = _Run(trial, self._running_server(), folder)
        result = one.result
        try:
            one.run()
        except Exception:  # noqa: BLE001 - a trial that cannot be carried out has failed; the others go on
            result.problems.append(traceback.format_exc())
            self._trials = 0  # whatever it did to the server
        result.seconds = time.monotonic() - began
        if result.is_clean or trial.peer:
            shutil.rmtree(folder)
        else:
            result.kept = folder
        return result

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
            shutil.rmtree(self._server.directory)
            self._server = None

    def _running_server(self) -> Server:
        if self._trials % TRIALS_A_SERVER == 0:
            self.close()
            self._server = Server(self._folder / f"server-{self._trials}")
        self._trials += 1
        assert self._server is not None
        return self._server


class _Run:
    """What happens in one trial."""

    def __init__(self, trial: Trial, server: Server, folder: Path) -> None:
        self._trial = trial
        self._server = server
        self._folder = folder
        self._journal = folder / "journal"
        self._script = documents(trial.seed, trial.size)
        self.result = Result(trial)

    def run(self) -> None:
        """Let it happen, deliver what is left, and compare."""
        with ExitStack() as stack:
            proxy = stack.enter_context(FaultyProxy(self._server.uri))
            progress = stack.enter_context(Progress(self._folder / "progress", len(self._script)))
            acquisition = Acquisition(self._trial, proxy.uri, self._folder)
            stack.callback(acquisition.kill)
            self._acquire(proxy, progress, acquisition)
            self._recover(proxy, acquisition)
            if not proxy.settle(LATE_SECONDS):
                self.result.problems.append("requests are still under way")
            self.result.faults = sum(record.fault is not None for record in proxy.log)
            self._measure(progress)
            self._compare()
            if not self.result.is_clean:
                lines = (f"{record}\n" for record in proxy.log)
                (self._folder / "proxy.log").write_text("".join(lines))

    def _acquire(self, proxy: FaultyProxy, progress: Progress, acquisition: Acquisition) -> None:
        """Have the documents given while things break; at the end the network and the server are well."""
        trial = self._trial
        with ExitStack() as ending:
            if trial.rival:
                rival = deliver(proxy.uri, self._journal, self._folder / "rival.log", "--watch")
                ending.callback(end, rival, LATE_SECONDS)
            if trial.fault_seconds:
                player = threading.Thread(target=self._play, args=(proxy, progress, acquisition))
                player.start()
                ending.callback(player.join)
            self._kill(proxy, progress, acquisition)
            if not self._await(lambda: acquisition.has_ended, acquisition):
                self.result.hung = True
                acquisition.kill()
        killed = self.result.hung or "acquirer" in trial.kill
        if acquisition.status not in ((0, -signal.SIGKILL) if killed else (0,)):
            self.result.problems.append(
                f"the acquisition ended with status {acquisition.status}: see acquire.log"
            )

    def _play(self, proxy: FaultyProxy, progress: Progress, acquisition: Acquisition) -> None:
        """Have the network fail for a while; in a thread."""
        if not self._trial.faults_at_start:
            self._await(lambda: progress.stage >= READY, acquisition)
        proxy.play(Random(self._trial.seed), self._trial.fault_seconds)

    def _await(self, condition: Callable[[], bool], acquisition: Acquisition) -> bool:
        """Wait until a condition holds or the acquisition has ended; False if it takes too long."""
        deadline = time.monotonic() + (PEER_HUNG_SECONDS if self._trial.peer else HUNG_SECONDS)
        while not condition() and not acquisition.has_ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _kill(self, proxy: FaultyProxy, progress: Progress, acquisition: Acquisition) -> None:
        """Kill what the plan says, when it says."""
        trial = self._trial
        if trial.kill == "nothing":
            return
        for share in trial.kill_at:
            target = int(share * len(self._script))
            self._await(
                lambda target=target: progress.stage >= READY and progress.acknowledged >= target, acquisition
            )
            deliverers = acquisition.deliverers()  # when the acquisition is gone, they are nobody's children
            time.sleep(trial.kill_delay)
            if trial.kill == "server":
                with proxy.down():
                    self._server.kill()
                    self._server.restart()
                self.result.kills += 1
            if "acquirer" in trial.kill:
                self.result.kills += acquisition.kill()
            if "deliverer" in trial.kill:
                self.result.kills += acquisition.kill_deliverers(deliverers)

    def _recover(self, proxy: FaultyProxy, acquisition: Acquisition) -> None:
        """Deliver what is left, as its user would."""
        if self._trial.peer:
            self._replay_backups(proxy)
            return
        if self._trial.first_recovery_seconds:
            self._kill_a_recovery(proxy)
        if self._trial.recovery == "command":
            self._recover_by_command(proxy)
        else:
            with TiledWriter(proxy.uri, journal=self._journal, deliver="thread", on_stop="return") as writer:
                if not writer.flush(RECOVERY_SECONDS):
                    self.result.problems.append(f"the next writer did not deliver: {writer.status()}")
        left = [process.pid for process in acquisition.left_behind(LEFT_BEHIND_SECONDS)]
        if left:
            self.result.problems.append(f"processes are left behind: {left}")
        if waiting := sorted(path.name for path in self._journal.glob("*.twj")):
            self.result.problems.append(f"journals still wait: {waiting}")
        if unverified := sorted(path.name for path in self._journal.glob("unverified/*.twj")):
            self.result.problems.append(f"journals are set aside as not verified: {unverified}")

    def _recover_by_command(self, proxy: FaultyProxy) -> None:
        command = deliver(proxy.uri, self._journal, self._folder / "deliver.log")
        try:
            status = command.wait(RECOVERY_SECONDS)
        except subprocess.TimeoutExpired:
            command.kill()
            status = command.wait()
        if status != 0:
            self.result.problems.append(f"`tilewright deliver` ended with status {status}: see deliver.log")

    def _kill_a_recovery(self, proxy: FaultyProxy) -> None:
        seconds = self._trial.first_recovery_seconds
        command = deliver(proxy.uri, self._journal, self._folder / "first-deliver.log")
        if self._trial.fault_seconds:
            proxy.play(Random(self._trial.seed + 1), seconds)
        else:
            time.sleep(seconds)
        self.result.kills += command.poll() is None
        command.kill()
        command.wait()

    def _replay_backups(self, proxy: FaultyProxy) -> None:
        """Write the runs that Bluesky's writer has put into its backup anew, in the place of what is there of them."""
        from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter as PeerWriter  # noqa: PLC0415 - only here
        from tiled.client import from_uri  # noqa: PLC0415

        backups = sorted(self._journal.glob("*.jsonl"))
        if not backups:
            return
        client = from_uri(proxy.uri)
        for backup in backups:
            lines = [json.loads(line) for line in backup.read_text().splitlines()]
            uid = lines[0]["doc"]["uid"]
            if uid in client:
                client.delete_contents(uid, recursive=True, external_only=False)
            writer = PeerWriter(client)
            for line in lines:
                writer(line["name"], line["doc"])
        client.context.close()

    def _measure(self, progress: Progress) -> None:
        self.result.acknowledged = progress.acknowledged
        self.result.raised = progress.raised
        for (name, _), seconds in zip(self._script, progress.seconds, strict=False):
            (self.result.stops if name == "stop" else self.result.calls).append(seconds)

    def _compare(self) -> None:
        uids = [doc["uid"] for name, doc in self._script if name == "start"]
        with open_catalog(self._server.uri) as catalog:
            readings = read_back(catalog, uids)
        self.result.findings = check(
            self._script, self.result.acknowledged, readings, marks=not self._trial.peer
        )
