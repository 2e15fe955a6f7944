"""A trial run: what its documents are, and how it gets to a server and away from there again.

`storage` writes, reads and compares it.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from tilewright.delivery import Outcome, RunDelivery
from tilewright.errors import TilewrightError
from tilewright.journal import Header, JournalReader, JournalWriter, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.delivery import Remote
    from tilewright.documents import Document

NAME = "tilewright-doctor"
"""How the uid of each trial run begins."""
STREAM = "primary"
ROWS = 4
LARGE = 2**53 + 1
"""The least positive integer that a float64 does not hold."""
REMOVAL_PAUSES = (0.0, 0.2, 1.0)
"""Seconds before each try to remove the run."""
IMAGE = np.arange(6, dtype="<u2").reshape(2, 3)
"""What the trial file and the trial array hold: the values are their indices."""
NPY = "multipart/related;type=application/x-npy"


@dataclass(frozen=True, slots=True)
class Column:
    """One data key of the trial run."""

    dtype: str
    """As in descriptors."""
    dtype_numpy: str
    values: tuple[Any, ...]
    """One for each of the `ROWS`."""

    @property
    def has_gaps(self) -> bool:
        """Whether it has what NumPy has no place for, or mixes up: nulls, and NaN beside them."""
        return None in self.values


COLUMNS = {
    "doctor_bool": Column("boolean", "|b1", (True, False, True, False)),
    "doctor_bool_gaps": Column("boolean", "|b1", (True, None, None, False)),
    **{
        f"doctor_{kind}{8 * size}": Column("integer", f"<{code}{size}", (0, 1, 2, top))
        for kind, code, sizes in (("int", "i", (1, 2, 4, 8)), ("uint", "u", (1, 2, 4)))
        for size in sizes
        for top in [int(np.iinfo(f"{code}{size}").max)]
    },
    "doctor_int_gaps": Column("integer", "<i8", (0, None, LARGE, -LARGE)),
    "doctor_float32": Column("number", "<f4", (0.0, 0.5, -1.5, math.inf)),
    "doctor_float64": Column("number", "<f8", (0.0, 0.1, 1e300, -math.inf)),
    "doctor_float_gaps": Column("number", "<f8", (0.0, None, math.nan, 3.0)),
    "doctor_text": Column("string", "<U8", ("", "a", "ü", "'\"\n")),
    "doctor_text_gaps": Column("string", "<U8", (None, "b", "None", "d")),
    "doctor_list": Column("array", "<f8", ([0.0], [1.0], [2.0], [3.0])),
}
"""A column of each type that Tiled's table storages take; unsigned integers of 64 bits are no type of PostgreSQL's."""
SCALARS = {name: column for name, column in COLUMNS.items() if column.dtype != "array"}
"""The same without lists, which are no type of SQLite's."""


def trial_run(uid: str, now: float, columns: Mapping[str, Column]) -> list[Document]:
    """Return the documents of the trial run.

    Parameters
    ----------
    now
        Seconds since 1970, at which it starts; a row a second follows.
    """
    keys = {
        name: {
            "source": NAME,
            "dtype": column.dtype,
            "dtype_numpy": column.dtype_numpy,
            "shape": [1] if column.dtype == "array" else [],
        }
        for name, column in columns.items()
    }
    events: list[Document] = [
        (
            "event",
            {
                "uid": f"{uid}-event-{row}",
                "descriptor": f"{uid}-descriptor",
                "seq_num": row + 1,
                "time": now + row,
                "data": {name: column.values[row] for name, column in columns.items()},
                "timestamps": dict.fromkeys(columns, now + row),
            },
        )
        for row in range(ROWS)
    ]
    return _run(uid, now, keys, events)


def file_run(uid: str, now: float, file: Path) -> list[Document]:
    """Return the documents of a run of one event whose image lies in a file."""
    image = {
        "source": NAME,
        "dtype": "array",
        "dtype_numpy": IMAGE.dtype.str,
        "shape": list(IMAGE.shape),
        "external": "STREAM:",
    }
    resource = {
        "uid": f"{uid}-resource",
        "run_start": uid,
        "data_key": "image",
        "mimetype": NPY,
        "uri": f"file://localhost{quote(str(file.parent))}/",
        "parameters": {"template": file.name, "chunk_shape": [1, *IMAGE.shape]},
    }
    datum = {
        "uid": f"{uid}-resource/0",
        "stream_resource": resource["uid"],
        "descriptor": f"{uid}-descriptor",
        "indices": {"start": 0, "stop": 1},
        "seq_nums": {"start": 1, "stop": 2},
    }
    event = {
        "uid": f"{uid}-event",
        "descriptor": f"{uid}-descriptor",
        "seq_num": 1,
        "time": now,
        "data": {},
        "timestamps": {},
    }
    documents: list[Document] = [("event", event), ("stream_resource", resource), ("stream_datum", datum)]
    return _run(uid, now, {"image": image}, documents)


def _run(uid: str, now: float, keys: dict[str, Any], documents: list[Document]) -> list[Document]:
    start = {
        "uid": uid,
        "time": now,
        "plan_name": NAME,
        "purpose": "a trial by `tilewright doctor`, which removes it again; delete it if it is still here",
    }
    descriptor = {
        "uid": f"{uid}-descriptor",
        "run_start": uid,
        "time": now,
        "name": STREAM,
        "data_keys": keys,
        "configuration": {},
        "hints": {},
        "object_keys": {},
    }
    stop = {
        "uid": f"{uid}-stop",
        "run_start": uid,
        "time": now + ROWS,
        "exit_status": "success",
        "num_events": {},
    }
    return [("start", start), ("descriptor", descriptor), *documents, ("stop", stop)]


def deliver(remote: Remote, uid: str, documents: Sequence[Document]) -> list[str]:
    """Deliver documents as a writer's are, through a journal, but at once; return the run's notes.

    Raises
    ------
    TransientError, FinalError
        If the server fails or refuses: nothing is tried again.
    """
    with tempfile.TemporaryDirectory(prefix=NAME) as place:
        path = Path(place) / "trial.twj"
        writer = JournalWriter(path, Header(uid, None, time.time(), f"{NAME} {version('tilewright')}"))
        for document in documents:
            writer.append(encode(*document))
        writer.close()
        with JournalReader(path) as reader:
            delivery = RunDelivery(reader, remote)
            while delivery.step(ended=True) is not Outcome.DONE:
                pass
    node = remote.get((uid,))
    return [] if node is None else list(node.metadata.get("notes") or [])


def remove(remote: Remote, uid: str) -> str | None:
    """Remove a run; return why it is still there, if it is. May be repeated."""
    problem = None
    for pause in REMOVAL_PAUSES:
        time.sleep(pause)
        try:
            remote.delete((uid,))
            if remote.get((uid,)) is None:
                return None
            problem = "the server keeps it"
        except TilewrightError as error:
            problem = str(error)
    return problem
