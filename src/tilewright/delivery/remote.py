"""The Tiled server as the delivery sees it: every HTTP request it makes.

Paths are tuples of node keys below the catalog's root. Each method may be repeated: creating adopts what is
there, deleting what is not there is no error. A failure (see `failures`) is a `TransientError` (try again later), a
`FateUnknownError` (the server may or may not have done it) or a `FinalError`.
"""

from __future__ import annotations

import base64
import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import httpx
import numpy as np
import ormsgpack
import pyarrow as pa

from tilewright.delivery.failures import (
    ConflictError,
    FateUnknownError,
    KeyRefusedError,
    NotThereError,
    UnreachableError,
    pause_of,
    refusal,
)
from tilewright.errors import FinalError, TransientError
from tilewright.formats.layout import dtype_of, split
from tilewright.tables.ragged import RAGGED_FILE, decode_ragged
from tilewright.tables.wire import ARROW_FILE, encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Path = tuple[str, ...]

SILENCE = "TILEWRIGHT_TIMEOUT"
"""Environment variable: after how many seconds of silence a server is taken for gone; default 30."""
CONNECT_SECONDS = 5.0
SHORTEST_KEY = 4
"""Characters. A shorter one would be found in words, and is no secret."""
WITHOUT_BUNDLES = 60.0
"""Seconds for which steps go by themselves after a bundle was refused, or one of them has failed in it.

It may be the bundle's fault; and what refuses it may be a proxy before a server that is just starting.
"""
BUNDLE_ROUTE = "tilewright/bundle"
"""Where `tilewright.server.bundles` takes several steps at once."""
MSGPACK = "application/x-msgpack"
OCTETS = "application/octet-stream"
_SCHEMA_PREFIX = f"data:{ARROW_FILE};base64,"


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the server describes it."""

    metadata: dict[str, Any]
    structure: dict[str, Any] | None
    data_source: dict[str, Any] | None
    """The first data source, with its `id`."""
    created: bool
    """Whether this request made it."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """The schema of a table's node."""
        assert self.structure is not None, "a table has a structure"
        encoded = self.structure["arrow_schema"].removeprefix(_SCHEMA_PREFIX)
        return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded)))


@dataclass(slots=True)
class Contact:
    """Whether anybody answers."""

    answers: int = 0
    """Responses so far, refusals included."""
    bundles_from: float = 0.0
    """From when on the server may be asked to take several steps in one request, on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Requests to one catalog through one HTTP client."""

    http: httpx.Client
    api: str
    """URI of the API, ending in `/api/v1`."""
    root: Path = ()
    """Node of the server below which the catalog's runs lie."""
    owns_client: bool = field(default=True)
    contact: Contact = field(default_factory=Contact)
    timeout: httpx.Timeout = field(default_factory=lambda: httpx.Timeout(silence(), connect=CONNECT_SECONDS))
    """A server silent for longer is taken for gone; what it was asked is checked, not assumed."""

    def close(self) -> None:
        """Close the connections, unless the client is somebody else's."""
        if self.owns_client:
            self.http.close()

    def renew_key(self, api_key: str) -> None:
        """Use another key from now on."""
        self.http.headers["Authorization"] = f"Apikey {api_key}"
        self.contact.bundles_from = 0.0

    def without_bundles(self) -> Self:
        """Ask for each step by itself from now on: it is known then which one fails, and of what."""
        self.contact.bundles_from = math.inf
        return self

    def send_bundle(
        self, steps: list[Callable[[], dict[str, Any]]], meanwhile: Callable[[], None]
    ) -> list[dict[str, Any]] | None:
        """Have several steps taken in one request; see `delivery.steps`.

        Parameters
        ----------
        steps
            Called for what each asks for.
        meanwhile
            Called when the request is about to go out.

        Returns
        -------
        One answer a step, up to the first one after which the rest makes no sense; None if the server takes no bundles,
        or none with this key.
        """
        if time.monotonic() < self.contact.bundles_from:
            return None
        content = ormsgpack.packb({"steps": [step() for step in steps]})
        meanwhile()
        try:
            answer = self._send("POST", BUNDLE_ROUTE, (), content=content, headers={"Content-Type": MSGPACK})
            answers = list(ormsgpack.unpackb(answer.content)["answers"])
        except (ormsgpack.MsgpackDecodeError, KeyError, TypeError) as error:
            raise FateUnknownError(f"the answer to a bundle cannot be read: {error}") from error
        except (FinalError, KeyRefusedError):
            # A stock server, or one that has more to ask than this route does.
            self.contact.bundles_from = time.monotonic() + WITHOUT_BUNDLES
            return None
        if answers and httpx.codes.is_server_error(answers[-1].get("status", 0)):
            self.contact.bundles_from = time.monotonic() + WITHOUT_BUNDLES
        return answers

    def create(
        self,
        path: Path,
        family: str,
        *,
        metadata: dict[str, Any],
        specs: list[dict[str, str]],
        data_source: dict[str, Any] | None = None,
        access_tags: list[str] | None = None,
    ) -> Node:
        """Create a node, or return the one that is there (`created` says which)."""
        body: dict[str, Any] = {
            "id": path[-1],
            "structure_family": family,
            "metadata": metadata,
            "specs": specs,
            "data_sources": [] if data_source is None else [data_source],
        }
        if access_tags is not None:
            body["access_tags"] = access_tags
        external = data_source is not None and data_source.get("assets")
        try:
            answer = _content(
                self._send("POST", "register" if external else "metadata", path[:-1], body=body)
            )
        except ConflictError:
            return self.adopt(path)
        sources = answer.get("data_sources") or [None]
        structure = None if data_source is None else data_source["structure"]
        return Node(metadata, structure, sources[0], created=True)

    def adopt(self, path: Path) -> Node:
        """Return a node that was to be created, and was there already.

        Raises
        ------
        TransientError
            If it has been deleted in between: the next try creates it.
        """
        if (node := self.get(path)) is None:
            raise TransientError(f"{self._label(path)} appeared and disappeared again")
        return node

    def get(self, path: Path) -> Node | None:
        """Return a node, or None if there is none."""
        try:
            answer = _content(self._send("GET", "metadata", path, params={"include_data_sources": "true"}))
        except NotThereError:
            return None
        attributes = answer["data"]["attributes"]
        sources = attributes.get("data_sources") or [None]
        return Node(attributes.get("metadata") or {}, attributes.get("structure"), sources[0], created=False)

    def set_metadata(self, path: Path, items: dict[str, Any]) -> None:
        """Set top-level items of a node's metadata; the others stay as they are.

        A JSON Patch and not a merge patch: a merge patch would drop the items whose value is null.
        """
        operations = [
            {"op": "add", "path": "/" + key.replace("~", "~0").replace("/", "~1"), "value": value}
            for key, value in items.items()
        ]
        body = {"content-type": "application/json-patch+json", "metadata": operations, "specs": []}
        self._send("PATCH", "metadata", path, body=body, params={"drop_revision": "true"})

    def put_data_source(self, path: Path, data_source: dict[str, Any]) -> None:
        """Replace a data source's structure and parameters, and add the assets it names."""
        self._send("PUT", "data_source", path, body={"data_source": data_source})

    def append_rows(self, path: Path, table: pa.Table, first_row: int) -> None:
        """Append rows to a table; the first of them is row `first_row` of it.

        Raises
        ------
        FateUnknownError
            If the rows may have arrived.
        """
        self._send(
            "PATCH",
            "table/partition",
            path,
            params={"partition": "0"},
            content=encode_rows(table, first_row),
            headers={"Content-Type": ARROW_FILE},
        )

    def write_rows(self, path: Path, rows: NDArray[Any], first_row: int) -> None:
        """Put rows into an array, from its row `first_row` on; it grows to hold them, and ends there."""
        answer = _content(
            self._send(
                "PATCH",
                "array/full",
                path,
                params={
                    "offset": str(first_row),
                    "shape": ",".join(map(str, rows.shape)),
                    "extend": "true",
                },
                content=rows.tobytes(),
                headers={"Content-Type": OCTETS},
            )
        )
        # Tiled begins with a whole chunk, and takes that for the array's length until more rows than that are there.
        if answer["shape"][0] > first_row + len(rows):
            self._shorten(path, first_row + len(rows))

    def _structure(self, path: Path) -> dict[str, Any]:
        node = self.get(path)
        if node is None or node.structure is None:
            raise NotThereError(f"{self._label(path)} is gone")
        return node.structure

    def _shorten(self, path: Path, rows: int) -> None:
        node = self.get(path)
        if node is None or node.data_source is None:
            raise NotThereError(f"{self._label(path)} is gone")
        structure = node.data_source["structure"]
        shape = [rows, *structure["shape"][1:]]
        whole = structure["chunks"][0][0]
        chunks = [split(rows, whole), *structure["chunks"][1:]]
        described = {**structure, "shape": shape, "chunks": chunks}
        self.put_data_source(path, {**node.data_source, "structure": described, "assets": []})

    def extend_ragged(self, path: Path, content: bytes, rows: int, first_row: int) -> None:
        """Add rows to a ragged array, of which the first is its row `first_row`.

        Raises
        ------
        FateUnknownError
            If they may have arrived.
        """
        params = {"offset": str(first_row), "shape": str(rows), "extend": "true"}
        headers = {"Content-Type": RAGGED_FILE}
        self._send("PATCH", "ragged/full", path, params=params, content=content, headers=headers)

    def read_column(self, path: Path, column: str) -> pa.ChunkedArray:
        """Return one column of a table, in the order of its rows."""
        return self.read_table(path, [column]).column(column)

    def read_table(self, path: Path, columns: list[str]) -> pa.Table:
        """Return columns of a table, in the order of its rows."""
        answer = self._send(
            "GET", "table/full", path, params={"column": columns}, headers={"Accept": ARROW_FILE}
        )
        try:
            return pa.ipc.open_file(pa.BufferReader(answer.content)).read_all().select(columns)
        except (pa.ArrowInvalid, KeyError) as error:
            raise TransientError(f"{self._label(path)}: the answer is no such table: {error}") from error

    def count_rows(self, path: Path) -> int:
        """Return how many rows an array has."""
        return int(self._structure(path)["shape"][0])

    def has_rows(self, path: Path, rows: int) -> bool:
        """Say whether an array has so many rows."""
        return self.count_rows(path) == rows

    def read_rows(self, path: Path, start: int, stop: int) -> NDArray[Any]:
        """Return rows of an array, as far as they are there."""
        structure = self._structure(path)
        rows = max(0, min(stop, structure["shape"][0]) - start)
        shape = (rows, *structure["shape"][1:])
        dtype = dtype_of(structure["data_type"])
        if not rows:
            return np.empty(shape, dtype)
        params = {"slice": f"{start}:{start + rows}"}
        answer = self._send("GET", "array/full", path, params=params, headers={"Accept": OCTETS})
        return np.frombuffer(answer.content, dtype).reshape(shape)

    def read_ragged(self, path: Path, start: int, stop: int) -> list[Any]:
        """Return rows of a ragged array, each as nested lists of the bytes of numbers, as far as they are there."""
        params, headers = {"slice": f"{start}:{stop}"}, {"Accept": RAGGED_FILE}
        return decode_ragged(self._send("GET", "ragged/full", path, params=params, headers=headers).content)

    def delete(self, path: Path) -> None:
        """Delete a node, what is below it and the data the server keeps for it."""
        try:
            self._send("DELETE", "metadata", path, params={"recursive": "true", "external_only": "false"})
        except NotThereError:
            return

    def close_stream(self, path: Path) -> None:
        """Tell live subscribers of a node that nothing more will come; a server without live streams has none."""
        with suppress(NotThereError):
            self._send("DELETE", "stream/close", path)

    def can_read(self, path: Path, dimensions: int) -> bool | None:
        """Say whether the first number of an array can be read; None if the server does not tell.

        A stock server answers 500 and no more, be the files outside its readable storage, not there, or damaged.
        """
        first = {"slice": ",".join("0" * dimensions)} if dimensions else {}
        # After such a 500, the server breaks the connection off: it must not be used for the next request.
        headers = {"Accept": "application/octet-stream", "Connection": "close"}
        try:
            answer = self._exchange("GET", "array/full", path, params=first, headers=headers)
        except FateUnknownError:  # its disk may not answer: that holds up no delivery
            return None
        if answer.is_success:
            return True
        return False if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR else None

    def _send(
        self,
        method: str,
        route: str,
        path: Path,
        *,
        params: dict[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; what it returns has succeeded."""
        response = self._exchange(
            method, route, path, params=params, body=body, content=content, headers=headers
        )
        if not response.is_success:
            doing = f"{method} {route} of {self._label(path)}"
            raise refusal(
                response.status_code, self._without_key(f"{doing}: {_answered(response)}"), pause_of(response)
            )
        return response

    def _exchange(
        self,
        method: str,
        route: str,
        path: Path,
        *,
        params: dict[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; return what the server answers, whatever it is."""
        segments = "/".join(quote(segment, safe="") for segment in (*self.root, *path))
        doing = f"{method} {route} of {self._label(path)}"
        request = self.http.build_request(
            method,
            f"{self.api}/{route}/{segments}",
            params=params,
            json=body,
            content=content,
            headers=headers,
            timeout=self.timeout,
        )
        try:
            response = self.http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            message = f"{doing}: cannot reach {self.api}: {error or type(error).__name__}"
            raise UnreachableError(self._without_key(message)) from error
        except httpx.RequestError as error:  # also an answer that cannot be decompressed
            raise FateUnknownError(self._without_key(f"{doing}: the connection broke: {error!r}")) from error
        except RuntimeError as error:  # a Tiled client that its owner has closed
            raise TransientError(self._without_key(f"{doing}: {error}")) from error
        self.contact.answers += 1
        return response

    def _label(self, path: Path) -> str:
        return "/".join((*self.root, *path)) or "the catalog"

    def _without_key(self, message: str) -> str:
        """Take the key out of a message, should the server or a library have put it there."""
        key = self.http.headers.get("Authorization", "").rpartition(" ")[2]
        return message.replace(key, "(key)") if len(key) >= SHORTEST_KEY else message


def silence() -> float:
    """Return after how many seconds of silence a server is taken for gone."""
    return float(os.environ.get(SILENCE) or 30.0)


def _content(response: httpx.Response) -> dict[str, Any]:
    """Return what a response says, if it is Tiled that speaks and not something in between."""
    try:
        content = response.json()
    except ValueError as error:
        raise TransientError(f"{response.request.url.path}: the answer is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise TransientError(
            f"{response.request.url.path}: the answer is {type(content).__name__}, not an object"
        )
    return content


def _answered(response: httpx.Response) -> str:
    try:
        detail = response.json().get("detail", "")
    except (ValueError, AttributeError):
        detail = response.reason_phrase
    return f"the server answered {response.status_code}: {str(detail)[:500]}"
