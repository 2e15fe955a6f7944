"""What a reader gets, by plain HTTP: it says when rows and files can be read, and needs nothing of any writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpx
import pyarrow.ipc

from tilewright.tables.wire import ARROW_FILE

if TYPE_CHECKING:
    import pyarrow as pa

STREAM = "primary"
SILENCE_SECONDS = 600.0
"""After which a server is not slow but gone."""


@dataclass(frozen=True)
class Reader:
    """A connection to a server."""

    client: httpx.Client

    @classmethod
    def at(cls, uri: str) -> Self:
        """Return a reader of the server at a URI with its key."""
        address, _, key = uri.partition("?api_key=")
        headers = {"Authorization": f"Apikey {key}"}
        return cls(httpx.Client(base_url=address, headers=headers, timeout=SILENCE_SECONDS))

    def seq_nums(self, run: str) -> pa.ChunkedArray | None:
        """Return the numbers of the events that can be read; None without a table."""
        answer = self.client.get(
            f"table/full/{run}/{STREAM}/internal",
            params={"column": "seq_num"},
            headers={"Accept": ARROW_FILE},
        )
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return pyarrow.ipc.open_file(answer.raise_for_status().content).read_all().column("seq_num")

    def last_row(self, run: str) -> int:
        """Return the last `seq_num` that can be read, which is also the number of rows."""
        numbers = self.seq_nums(run)
        assert numbers is not None, f"run {run} has no rows"
        last = int(numbers[-1].as_py())
        assert last == len(numbers), f"run {run} has {len(numbers)} rows, the last one with seq_num {last}"
        return last

    def files(self, run: str, key: str) -> int:
        """Return the rows of an array whose files have a row each."""
        answer = self.client.get(f"metadata/{run}/{STREAM}/{key}", headers={"Accept": "application/json"})
        structure = answer.raise_for_status().json()["data"]["attributes"]["structure"]
        return int(structure["shape"][0])

    def picture(self, run: str, key: str, row: int) -> bytes:
        """Return the pixels of a row."""
        answer = self.client.get(
            f"array/full/{run}/{STREAM}/{key}",
            params={"slice": str(row)},
            headers={"Accept": "application/octet-stream"},
        )
        return answer.raise_for_status().content
