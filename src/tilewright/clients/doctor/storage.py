"""What a server makes of data: a connection comes in, checks of its tables, arrays and files go out.

`examine` calls `check_storage`, which writes trial runs, reads them back, compares and removes them. Nothing stays
behind, whatever happens in between; what could not be removed is said.
"""

from __future__ import annotations

import math
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np

from tilewright.clients.doctor.diagnosis import bad, good, not_checked, warning
from tilewright.clients.doctor.files import TRIAL_PREFIX
from tilewright.clients.doctor.trial import (
    COLUMNS,
    IMAGE,
    NAME,
    ROWS,
    SCALARS,
    STREAM,
    deliver,
    file_run,
    remove,
    trial_run,
)
from tilewright.delivery.storage import is_about_storage
from tilewright.errors import TilewrightError, TransientError
from tilewright.tables import SEQ_NUM, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    import pyarrow as pa

    from tilewright.clients.doctor.diagnosis import Check
    from tilewright.clients.doctor.trial import Column
    from tilewright.delivery import Remote

    Failing: TypeAlias = Callable[[str, str, str], Check]

FILES = "detector files"
PATIENCE = 5.0
"""Seconds that each request of a trial may take."""
LONG = 4.0
"""Seconds after which a trial that failed is not repeated, and others are not begun."""
TRIES = 2
OCTETS = "application/octet-stream"
ZARR = "application/x-zarr"
FILE_MODE = 0o644
"""Of the trial file: a detector's files can be read by the server's user."""
_SERVE_WITH_OURS = (
    "Let it serve `tree: tilewright.server.catalog:catalog_tree`, as server_config/local.yml does, or use"
    " `tilewright serve`"
)
"""How a server gets Tilewright's storage for tables."""
_NO_FILES = "Give it a directory in writable_storage: without one it keeps tables and detectors' files only."


@dataclass(slots=True)
class _Trials:
    """The trials on one server, one after the other."""

    remote: Remote
    uid: str
    left: list[str] = field(default_factory=list)
    """What is still there, and why."""
    stuck: bool = False
    """Whether a trial failed and took long: the others would too."""

    def make(self, name: str, check: Callable[..., Check], *arguments: Any, fails: Failing = bad) -> Check:
        """Make a check; that the server fails meanwhile is a finding too.

        What may pass is tried a second time: after an answer of 500 Tiled's server breaks the connection.
        """
        if self.stuck:
            return not_checked(name, "the server did not answer in time before")
        began, problem = time.monotonic(), ""
        for _ in range(TRIES):
            try:
                return check(name, self.remote, *arguments)
            except (TransientError, httpx.TransportError) as error:
                problem = problem or str(error)
            except (TilewrightError, httpx.HTTPStatusError) as error:
                problem = _plain(error)
                break
            except OSError as error:
                return not_checked(
                    name, f"this machine takes no trial's journal: {error}", "Make room for temporary files."
                )
            except (ValueError, KeyError, TypeError) as error:
                problem = f"the server's answer cannot be understood ({type(error).__name__}: {error})"
                break
            self.stuck = time.monotonic() - began > LONG
            if self.stuck:
                break
        return fails(name, problem, _NO_FILES if fails is warning else "Look at the log of the server.")

    @contextmanager
    def removed(self, uid: str) -> Iterator[None]:
        """Remove a node at the end, whatever happens before."""
        try:
            yield
        finally:
            if (problem := remove(self.remote, uid)) is not None:
                self.left.append(f"{uid} ({problem})")


def check_storage(remote: Remote, detectors: Sequence[Path]) -> list[Check]:
    """Write trial runs, read them back and remove them."""
    remote = replace(remote, timeout=httpx.Timeout(PATIENCE))
    uid = f"{NAME}-{uuid.uuid4().hex}"
    try:
        remote.delete((uid,))  # not there: this tells whether it would be allowed
    except TilewrightError as error:
        finding = "no trial run was written, for it could not be removed again"
        return [
            not_checked("tables", finding, str(error)),
            *(not_checked(name, finding) for name in ("live readers", "arrays", *(FILES for _ in detectors))),
        ]
    trials = _Trials(remote, uid)
    with trials.removed(uid):
        checks = [
            trials.make("tables", _check_table, uid),
            trials.make("live readers", _check_readers, uid),
        ]
    array = f"{uid}-array"  # beside the run and not in it: of an array in a container Tiled leaves an empty directory
    with trials.removed(array):
        checks.append(trials.make("arrays", _check_array, array, fails=warning))
    for number, directory in enumerate(detectors):
        with trials.removed(f"{uid}-{number}"):
            checks.append(trials.make(FILES, _check_files, f"{uid}-{number}", directory))
    if trials.left:
        finding = f"of the trial is still there: {', '.join(trials.left)}"
        advice = "Delete it, and find out why the server does not: a table that has to be made anew is deleted first."
        checks.append(bad("removal", finding, advice))
    return checks


def differing(table: pa.Table) -> list[str]:
    """Return the columns of a trial table that are not what was written: value by value, null and NaN told apart."""
    return [
        name
        for name in table.column_names
        if name in COLUMNS
        and not all(starmap(_same, zip(table.column(name).to_pylist(), COLUMNS[name].values, strict=True)))
    ]


def _check_table(name: str, remote: Remote, uid: str) -> Check:
    began = time.perf_counter()
    columns, refused = _write_table(remote, uid)
    table = remote.read_table((uid, STREAM, TABLE), [SEQ_NUM, *columns])
    seconds = time.perf_counter() - began
    if table.column(SEQ_NUM).to_pylist() != list(range(1, ROWS + 1)):
        finding = f"of {ROWS} rows written, {table.num_rows} came back, or in another order"
        return bad(name, finding, f"Do not record into this server. {_SERVE_WITH_OURS}.")
    wrong = differing(table)
    if spoiled := [column for column in wrong if not COLUMNS[column].has_gaps]:
        finding = f"columns came back other than they were written: {', '.join(spoiled)}"
        return bad(name, finding, f"Do not record into this server. {_SERVE_WITH_OURS}.")
    if refused is not None:
        finding = f"columns of numbers and texts are kept, but no arrays in events: {refused}"
        return bad(name, finding, "Have the server keep tables in DuckDB or PostgreSQL: SQLite has no lists.")
    finding = f"{ROWS} rows of {len(columns)} columns written and read back in {seconds:.1f} s"
    if wrong:
        finding += "; where values are missing, integers past 2**53 are rounded, and NaN counts as missing"
        return warning(name, finding, f"{_SERVE_WITH_OURS}, which keeps them apart.")
    return good(name, f"{finding}, exactly")


def _write_table(remote: Remote, uid: str) -> tuple[Mapping[str, Column], str | None]:
    """Write the trial run, without lists if the server does not take it with them; return its columns, and why so.

    Raises
    ------
    TransientError, FinalError
        If the server takes neither.
    """
    began = time.monotonic()
    refused = ""
    for columns in (
        COLUMNS,
        COLUMNS,
        SCALARS,
    ):  # twice, for what fails once may be the server's trouble, not the lists'
        try:
            deliver(remote, uid, trial_run(uid, time.time(), columns))
        except TilewrightError as error:
            if columns is SCALARS or time.monotonic() - began > LONG:
                raise
            refused = str(error)
            remove(remote, uid)
        else:
            return columns, refused if columns is SCALARS else None
    raise AssertionError("the last try returns or raises")


def _check_readers(name: str, remote: Remote, uid: str) -> Check:
    """Tell whose storage the table lies in, by what it does with rows that come twice; one request at a time.

    To append and read at once would tell as well, but a server with Tiled's DuckDB storage may die of it.
    """
    path = (uid, STREAM, TABLE)
    node = remote.get(path)
    if node is None:
        return not_checked(name, "there is no table to try it with")
    assets = (node.data_source or {}).get("assets")
    kind = urlsplit(assets[0]["data_uri"]).scheme if assets else "unknown"
    if kind == "postgresql":
        return good(name, "tables lie in PostgreSQL, which is read and written at once")
    first = remote.read_table(path, node.arrow_schema.names).slice(0, 1).cast(node.arrow_schema)
    remote.append_rows(path, first, 0)
    if len(remote.read_column(path, SEQ_NUM)) == ROWS:
        return good(name, f"tables lie in Tilewright's storage ({kind}), which is read and written at once")
    if kind == "duckdb":
        finding = (
            "tables lie in Tiled's own DuckDB storage: the server may die when one is read while it grows"
        )
        return bad(name, finding, f"{_SERVE_WITH_OURS}; PostgreSQL is safe too.")
    if kind == "sqlite":
        finding = "tables lie in Tiled's own SQLite storage: while one grows, some reads fail"
        return warning(name, finding, f"{_SERVE_WITH_OURS}; PostgreSQL is safe too.")
    finding = f"cannot be told: tables lie in storage of the kind {kind!r}"
    return warning(name, finding, "Ask whoever runs the server whether a table may be read while it grows.")


def _check_array(name: str, remote: Remote, uid: str) -> Check:
    path = (uid,)
    remote.create(path, "array", metadata={}, specs=[], data_source=_array_source())
    url, headers = _url(remote, path), {"Content-Type": OCTETS}
    remote.http.put(url, content=IMAGE.tobytes(), headers=headers, timeout=remote.timeout).raise_for_status()
    there = _read_array(remote, path)
    if there != IMAGE.tobytes():
        return bad(name, "an array came back other than it was written", "Look at the log of the server.")
    return good(name, f"{IMAGE.size} numbers written and read back, exactly")


def _check_files(name: str, remote: Remote, uid: str, directory: Path) -> Check:
    """Write a file as a detector would, register it, and read it through the server."""
    place = directory.expanduser().absolute()
    if not place.is_dir():
        return bad(name, f"{place}: there is no such directory on this machine", "Check the path.")
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=TRIAL_PREFIX, suffix=".npy") as file:
            np.save(file, IMAGE)
            file.flush()
            Path(file.name).chmod(FILE_MODE)
            return _check_file(name, remote, uid, Path(file.name))
    except OSError as error:
        advice = "Run the doctor as the user that the detector writes as."
        return not_checked(name, f"{place}: no trial file can be written: {error.strerror}", advice)


def _check_file(name: str, remote: Remote, uid: str, file: Path) -> Check:
    place = file.parent
    try:
        notes = deliver(remote, uid, file_run(uid, time.time(), file))
    except TransientError:
        remove(remote, uid)  # what is tried again is another run
        raise
    if notes := [note for note in notes if not is_about_storage(note)]:  # which is tried below
        return bad(name, f"{place}: a file there is not taken: {'; '.join(notes)}", _readable(place))
    try:
        there = _read_array(remote, (uid, STREAM, "image"))
    except httpx.HTTPStatusError as error:
        return bad(name, f"{place}: the server cannot read a file there ({_plain(error)})", _readable(place))
    if there != IMAGE.tobytes():
        return bad(
            name,
            f"{place}: the server reads another file",
            f"Mount one directory as {place} on both machines.",
        )
    return good(name, f"{place}: a file written there was registered, and read through the server")


def _readable(directory: Path) -> str:
    return (
        f"Add {directory} to readable_storage in the server's configuration (`tilewright serve --readable {directory}`),"
        " and see that the server's machine has it at this path and its user may read it."
    )


def _array_source() -> dict[str, Any]:
    """Return Tiled's description of the trial array, to be written to the server's own storage."""
    kind = {"endianness": "little", "kind": IMAGE.dtype.kind, "itemsize": IMAGE.dtype.itemsize}
    structure = {
        "data_type": kind,
        "chunks": [[length] for length in IMAGE.shape],
        "shape": list(IMAGE.shape),
        "dims": None,
        "resizable": False,
    }
    return {"structure_family": "array", "structure": structure, "mimetype": ZARR, "parameters": {}}


def _read_array(remote: Remote, path: tuple[str, ...]) -> bytes:
    answer = remote.http.get(_url(remote, path), headers={"Accept": OCTETS}, timeout=remote.timeout)
    return answer.raise_for_status().content


def _url(remote: Remote, path: tuple[str, ...]) -> str:
    segments = "/".join(quote(segment, safe="") for segment in (*remote.root, *path))
    return f"{remote.api}/array/full/{segments}"


def _plain(error: Exception) -> str:
    """Return what an error says; of an answer its status alone, for its address is long."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code} {error.response.reason_phrase}"
    return str(error)


def _same(there: Any, here: Any) -> bool:
    if isinstance(there, float) and isinstance(here, float) and math.isnan(here):
        return math.isnan(there)
    return bool(there == here)
