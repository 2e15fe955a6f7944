"""What waits in a directory of journals for one catalog, and how its delivery goes; what `TiledWriter.status` returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tilewright.display import html_facts
from tilewright.errors import InputError
from tilewright.journal import JournalReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tilewright.delivery.worker import State
    from tilewright.journal import Header, JournalDirectory


@dataclass(frozen=True, slots=True)
class Status:
    """How delivery goes, and what waits for it."""

    catalog: str
    """Where to: an address without its key, or a directory."""
    reachable: bool | None
    """Whether the server answers; None before the first request, or if another process delivers."""
    last_error: str | None
    """Why delivery is held up; None while it is not."""
    waiting: tuple[str, ...]
    """uids of the runs not yet delivered in full, oldest first; those being recorded are among them, those given up are not."""
    waiting_documents: int
    """Documents of theirs that the server does not have yet."""
    waiting_bytes: int
    """Size of these documents in the journals."""
    in_memory_bytes: int
    """Size of documents that are nowhere but in the memory of this process: the disk does not take them."""
    oldest: datetime | None
    """When the first of the waiting runs began to be recorded, UTC."""
    failed: dict[str, str]
    """uid of each run given up in this process, and why; its journal is kept."""

    def __str__(self) -> str:
        """Return a sentence or two."""
        text = f"{self.catalog} ({_reached(self.reachable)}): "
        if self.waiting:
            text += f"{len(self.waiting)} runs with {self.waiting_documents} documents"
            text += (
                f" ({self.waiting_bytes} bytes) wait, the oldest since {self.oldest:%Y-%m-%d %H:%M:%S} UTC"
            )
        else:
            text += "nothing waits"
        if self.in_memory_bytes:
            text += f"; {self.in_memory_bytes} bytes are in memory only"
        if self.failed:
            text += f"; {len(self.failed)} runs were given up"
        return text + (f". {self.last_error}" if self.last_error else "")

    def _repr_html_(self) -> str:
        facts = {
            "server": _reached(self.reachable),
            "held up by": self.last_error or "nothing",
            "waiting": f"{len(self.waiting):,} runs, {self.waiting_documents:,} documents, {self.waiting_bytes:,} bytes",
            "in memory only": f"{self.in_memory_bytes:,} bytes",
            "oldest": "" if self.oldest is None else f"{self.oldest:%Y-%m-%d %H:%M:%S} UTC",
        } | {f"given up: {uid}": reason for uid, reason in self.failed.items()}
        return html_facts(f"Delivery to {self.catalog}", facts)


def _reached(reachable: bool | None) -> str:  # noqa: FBT001 - the one thing it is about
    return {None: "not contacted yet", True: "reachable", False: "not reachable"}[reachable]


@dataclass(slots=True)
class _Counted:
    """How many whole records lie between two positions of a journal."""

    start: int
    stop: int
    documents: int = 0


class Backlog:
    """The journals of a directory that are on their way to one catalog.

    Parameters
    ----------
    directory
        Where they lie.
    catalog
        Its name in their headers; None for all catalogs.
    """

    def __init__(self, directory: JournalDirectory, catalog: str | None) -> None:
        self._directory = directory
        self._catalog = catalog
        self._headers: dict[Path, Header] = {}
        self._counted: dict[Path, _Counted] = {}

    def sizes(self) -> dict[Path, int]:
        """Return the size in bytes of each journal that waits, oldest first."""
        sizes = {}
        waiting = self._directory.waiting()
        self._forget_all_but(waiting)
        for path in waiting:
            header = self._header(path)
            if header is not None and (self._catalog is None or header.is_for(self._catalog)):
                try:
                    sizes[path] = path.stat().st_size
                except FileNotFoundError:  # delivered meanwhile
                    continue
        return sizes

    def uid_of(self, path: Path) -> str | None:
        """Return the uid of a journal's run; None if it is no journal or is not there."""
        header = self._header(path)
        return None if header is None else header.run

    def status(self, catalog: str, state: State, held: Mapping[str, int]) -> Status:
        """Return what waits for a catalog, and how a worker says that delivery goes.

        Parameters
        ----------
        held
            Bytes in memory of each run of which there are any, by its uid.
        """
        sizes = {
            path: size
            for path, size in self.sizes().items()
            if path.name not in state.finished and self.uid_of(path) not in state.failed
        }
        headers = [header for path in sizes if (header := self._header(path)) is not None]
        levels = {path: state.runs[path.name].level_to if path.name in state.runs else 0 for path in sizes}
        return Status(
            catalog=catalog,
            reachable=state.reachable,
            last_error=state.last_error,
            waiting=tuple(dict.fromkeys([*(header.run for header in headers), *held])),
            waiting_documents=sum(self._documents(path, level) for path, level in levels.items()),
            waiting_bytes=sum(max(0, size - levels[path]) for path, size in sizes.items()),
            in_memory_bytes=sum(held.values()),
            oldest=min((datetime.fromtimestamp(header.created, UTC) for header in headers), default=None),
            failed=dict(state.failed),
        )

    def _forget_all_but(self, waiting: list[Path]) -> None:
        for path in self._headers.keys() - waiting:
            self._headers.pop(path, None)
            self._counted.pop(path, None)

    def _header(self, path: Path) -> Header | None:
        header = self._headers.get(path)
        if header is None:
            try:
                with JournalReader(path) as reader:
                    header = self._headers[path] = reader.header
            except (
                InputError,
                OSError,
            ):  # gone; not a journal; or not yet: its first bytes may be on their way
                return None
        return header

    def _documents(self, path: Path, level: int) -> int:
        """Return the number of whole records after a position; counts on from where it stopped the last time."""
        counted = self._counted.get(path)
        if counted is None or counted.start != level:
            counted = self._counted[path] = _Counted(level, level)
        try:
            with JournalReader(path) as reader:
                reader.position = max(counted.stop, reader.position)
                counted.documents += reader.skip()
                counted.stop = reader.position
        except (InputError, OSError):  # gone meanwhile
            return 0
        return counted.documents
