"""Where tables lie: a DuckDB or SQLite file that many threads read while one at a time changes it.

`tilewright.server.catalog` puts it in the place of Tiled's own storage; Tiled's adapters and ours ask it for
connections.

Tiled's own storage hands one DuckDB connection to every thread at once: with one client appending and two reading,
the server dies of a segmentation fault. Here each use has a connection of its own to the same open database (0.1 ms).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tiled.storage import EmbeddedSQLStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


CHECKPOINT = "256MB"
"""How large DuckDB's log of changes becomes before they are moved into its file.

A request that happens to come then waits for it, and what is moved each time is the whole last block of 122,880 rows: with
DuckDB's 16 MB, 20,000 rows of 200 columns took a second three times over. After a crash, reading the log takes about a
second.
"""
_DROP_INDEX = "DROP INDEX IF EXISTS dataset_and_partition_index"
"""Of storages made before: see `tables.TableAdapter.init_storage`."""


class ExclusiveConnection:
    """A connection that keeps all other writers of its database out until it is closed."""

    def __init__(self, connection: Any, release: Callable[[], None]) -> None:
        self._connection = connection
        self._release: Callable[[], None] | None = release

    def __getattr__(self, name: str) -> Any:
        """Be the connection in everything but `close`."""
        return getattr(self._connection, name)

    def close(self) -> None:
        """Roll back what was not committed and let the next writer in; can be repeated."""
        release, self._release = self._release, None
        if release is None:
            return
        try:
            self._connection.close()
        finally:
            release()


@dataclass(frozen=True)
class TableStorage(EmbeddedSQLStorage):
    """One database file, opened once, with a connection of its own for each use.

    DuckDB lets readers work beside a writer, each on the state of its last commit, but refuses two writers that
    meet in the catalog (`CREATE TABLE IF NOT EXISTS` of the same table, say). SQLite answers "database is locked"
    to either. So whoever may write waits for its turn; a reader waits only in SQLite.
    """

    rows: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    """How many rows tables have, by their `_dataset_id`, as far as it is known; to be used in a `turn`."""
    _writing: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False, compare=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @cached_property
    def _database(self) -> Any:
        """The connection that keeps the database open; the others are clones of it."""
        database = self.create_adbc_connection()
        if self.dialect == "duckdb":
            with database.cursor() as cursor:
                cursor.execute(f"SET GLOBAL checkpoint_threshold = '{CHECKPOINT}'")
                cursor.execute(_DROP_INDEX)
            database.commit()
        return database

    def _clone(self) -> Any:
        with self._opening:
            return self._database.adbc_clone()

    def connect(self) -> ExclusiveConnection:
        """Return a connection for any use; other callers wait until it is closed.

        Tiled calls this when it creates, fills and deletes tables. Each of these spans several statements, and
        sometimes several transactions, so the turn lasts until `close` and not until `commit`.
        """
        self._writing.acquire()
        try:
            return ExclusiveConnection(self._clone(), self._writing.release)
        except BaseException:
            self._writing.release()
            raise

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep all other writers out for several uses by this thread."""
        with self._writing:
            yield

    def connect_for_reading(self) -> Any:
        """Return a connection that is used for reading only; in DuckDB it waits for nobody."""
        return self._clone() if self.dialect == "duckdb" else self.connect()

    def dispose(self) -> None:
        """Close the database; the next `connect` opens it again. Tiled calls this when the last server stops."""
        with self._writing, self._opening:
            database = self.__dict__.pop("_database", None)
            self.rows.clear()  # somebody else may change the file before it is opened again
            if database is not None:
                database.close()
