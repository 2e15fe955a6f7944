"""The Tiled server as the delivery sees it: every HTTP request it makes, and what a failure means.

Paths are tuples of node keys below the catalog's root. Each method may be repeated: creating adopts what is
there, deleting what is not there is no error. A failure is a `TransientError` (try again later), a
`FateUnknownError` (the server may or may not have done it) or a `FinalError`.
"""

from __future__ import annotations

import base64
import io
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit

import httpx
import pyarrow as pa

from tilewright.errors import FinalError, InputError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

Path = tuple[str, ...]

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Seconds. A server silent for longer is taken for gone; what it was asked is checked, not assumed."""
ARROW_FILE = "application/vnd.apache.arrow.file"
_SCHEMA_PREFIX = f"data:{ARROW_FILE};base64,"
_RETRY_STATUSES = frozenset({401, 403, 408, 425, 429})
"""Refusals that pass: a key is renewed, a rate limit ends. All 5xx pass too."""


class UnreachableError(TransientError):
    """Nobody answers at the catalog's address."""


class FateUnknownError(TransientError):
    """The request may have been carried out: its effect must be read back before it is repeated."""


class ConflictError(FinalError):
    """Something else is already where a node was to be created."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which catalog to deliver to."""

    name: str
    """What a journal's header records: no key in it."""
    connect: Callable[[], Remote]
    """Make a connection; raises nothing, for nothing is sent yet."""


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

    def close(self) -> None:
        """Close the connections, unless the client is somebody else's."""
        if self.owns_client:
            self.http.close()

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
            if (node := self.get(path)) is None:  # deleted in between: the next try creates it
                raise TransientError(f"{self._label(path)} appeared and disappeared again") from None
            return node
        sources = answer.get("data_sources") or [None]
        structure = None if data_source is None else data_source["structure"]
        return Node(metadata, structure, sources[0], created=True)

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

    def append_rows(self, path: Path, table: pa.Table) -> None:
        """Append rows to a table.

        Raises
        ------
        FateUnknownError
            If the rows may have arrived.
        """
        table = table.replace_schema_metadata(_pandas_notes(table.schema))
        buffer = io.BytesIO()
        with pa.ipc.new_file(buffer, table.schema) as writer:
            writer.write_table(table)
        self._send(
            "PATCH",
            "table/partition",
            path,
            params={"partition": "0"},
            content=buffer.getvalue(),
            headers={"Content-Type": ARROW_FILE},
        )

    def count_rows(self, path: Path, column: str) -> int:
        """Return the number of rows of a table, reading this column alone."""
        answer = self._send(
            "GET", "table/full", path, params={"column": column}, headers={"Accept": ARROW_FILE}
        )
        return int(pa.ipc.open_file(pa.BufferReader(answer.content)).read_all().num_rows)

    def delete(self, path: Path) -> None:
        """Delete a node, what is below it and the data the server keeps for it."""
        try:
            self._send("DELETE", "metadata", path, params={"recursive": "true", "external_only": "false"})
        except NotThereError:
            return

    def close_stream(self, path: Path) -> None:
        """Tell live subscribers of a node that nothing more will come."""
        self._send("DELETE", "stream/close", path)

    def _send(
        self,
        method: str,
        route: str,
        path: Path,
        *,
        params: dict[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request; what it returns has succeeded."""
        segments = "/".join(quote(segment, safe="") for segment in (*self.root, *path))
        doing = f"{method} {route} of {self._label(path)}"
        request = self.http.build_request(
            method,
            f"{self.api}/{route}/{segments}",
            params=params,
            json=body,
            content=content,
            headers=headers,
            timeout=TIMEOUT,
        )
        try:
            response = self.http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UnreachableError(f"{doing}: cannot reach {self.api}: {error}") from error
        except httpx.TransportError as error:
            raise FateUnknownError(f"{doing}: the connection broke: {error!r}") from error
        except RuntimeError as error:  # a Tiled client that its owner has closed
            raise TransientError(f"{doing}: {error}") from error
        self.contact.answers += 1
        if not response.is_success:
            raise _failure(response, doing)
        return response

    def _label(self, path: Path) -> str:
        return "/".join((*self.root, *path)) or "the catalog"


def _pandas_notes(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return what pandas would note in a schema if its columns were Arrow's.

    A stock Tiled server reads rows with `read_pandas`, and by these notes keeps Arrow's types. Without them it makes
    NumPy's, which have no null: an integer beside one becomes a float, and a NaN beside one becomes null.
    """
    columns = [
        {
            "name": field.name,
            "field_name": field.name,
            "metadata": None,
            # pandas writes `list<…>[pyarrow]` and does not know it when it reads.
            "pandas_type": "object" if pa.types.is_nested(field.type) else str(field.type),
            "numpy_type": "object" if pa.types.is_nested(field.type) else f"{field.type}[pyarrow]",
        }
        for field in schema
    ]
    creator = {"library": "pyarrow", "version": pa.__version__}
    notes = {
        "index_columns": [],
        "column_indexes": [],
        "columns": columns,
        "creator": creator,
        "pandas_version": "2.0",
    }
    return {b"pandas": json.dumps(notes).encode()}


class NotThereError(FinalError):
    """There is no such node."""


def _failure(response: httpx.Response, doing: str) -> FinalError | TransientError:
    """Decide, in this one place, what a refusal means."""
    status = response.status_code
    message = f"{doing}: the server answered {status}: {_detail(response)}"
    if status == httpx.codes.NOT_FOUND:
        return NotThereError(message)
    if status == httpx.codes.CONFLICT:
        return ConflictError(message)
    if status in _RETRY_STATUSES or response.is_redirect:
        return TransientError(message)
    if response.is_server_error:
        return FateUnknownError(message)
    return FinalError(message)


def _content(response: httpx.Response) -> dict[str, Any]:
    """Return what a response says, if it is Tiled that speaks and not something in between."""
    try:
        content: dict[str, Any] = response.json()
    except ValueError as error:
        raise TransientError(f"{response.request.url.path}: the answer is not JSON: {error}") from error
    return content


def _detail(response: httpx.Response) -> str:
    try:
        detail = response.json().get("detail", "")
    except (ValueError, AttributeError):
        detail = response.reason_phrase
    return str(detail)[:500]


def target(where: Any, *, owned: bool = False) -> Target:
    """Return the target a user named: a URI, a Tiled client, or an embedded server; a target is returned as it is.

    Parameters
    ----------
    where
        Which catalog.
    owned
        Whether the connections of a Tiled client are to be closed with ours: nobody else has it.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(where, Target):
        return where
    if hasattr(where, "context") and hasattr(where, "path_parts"):
        return _client_target(where, owned=owned)
    if hasattr(where, "directory") and hasattr(where, "uri"):
        return Target(str(where.directory), _uri_target(where.uri).connect)
    if isinstance(where, str):
        return _uri_target(where)
    raise InputError(
        f"cannot write to {where!r}: expected the URI of a Tiled server, a Tiled client, or an embedded server"
    )


def _uri_target(uri: str) -> Target:
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InputError(
            f"{_without_key(uri)!r} is not the URI of a Tiled server: expected http://… or https://…"
        )
    api_key = next(iter(parse_qs(parts.query).get("api_key", [])), None) or os.environ.get("TILED_API_KEY")
    before, found, after = parts.path.partition("/api/v1")
    host = parts.netloc.rpartition("@")[2]  # without a password, which goes into no journal and no log
    api = urlunsplit((parts.scheme, host, before.rstrip("/") + "/api/v1", "", ""))
    segments = [unquote(segment) for segment in after.split("/") if segment] if found else []
    root = tuple(segments[1:]) if segments[:1] == ["metadata"] else ()
    headers = {"Authorization": f"Apikey {api_key}"} if api_key else {}
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return Target("/".join((api, *root)), lambda: Remote(httpx.Client(headers=headers, auth=auth), api, root))


def _without_key(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(query="", netloc=parts.netloc.rpartition("@")[2]))


def _client_target(client: Any, *, owned: bool) -> Target:
    api = str(client.context.api_uri).rstrip("/")
    root = tuple(part for part in client.path_parts if part)
    http = client.context.http_client
    return Target("/".join((api, *root)), lambda: Remote(http, api, root, owns_client=owned))
