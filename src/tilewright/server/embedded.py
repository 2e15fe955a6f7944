"""The embedded server: a directory or a configuration comes in, a Tiled server in this process goes out.

Users call `serve`; the command line and the examples do too. What a server does is said in Tiled's own
configuration: `serve` writes one and starts it, `serve_config` reads one from a file. All imports that take long
happen when a server starts.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import re
import secrets
import shutil
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tilewright.errors import InputError, SetupError
from tilewright.server.remembered import remembered

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    from fastapi import FastAPI

    from tilewright.server.http import HttpThread

LOOPBACK = "127.0.0.1"
KEY_BYTES = 16
_KEY_PATTERN = re.compile(r"[a-zA-Z0-9]+")
_UNSAFE_IN_URIS = set("#?;")
"""Tiled writes paths into URIs as they are."""


class EmbeddedServer:
    """A running Tiled server; made by `serve` and `serve_config`, ended by `close`, or by leaving a `with` block.

    It ends with the process too: a script that fails or just ends is not kept alive, and closes it on its way out.
    """

    directory: Path
    """Where the catalog and the logs are, and, unless a configuration says otherwise, the data."""
    address: str
    """`http://host:port`."""
    api_key: str | None
    """The key to read and write; None only where a configuration names login providers instead."""

    def __init__(
        self, address: str, api_key: str | None, directory: Path, http: HttpThread, cleanup: ExitStack
    ) -> None:
        self.address = address
        self.api_key = api_key
        self.directory = directory
        self._http = http
        self._cleanup = cleanup
        self._process = os.getpid()
        self._closing = threading.Lock()
        self._closed = threading.Event()
        atexit.register(self.close)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    @property
    def uri(self) -> str:
        """What a Tiled client, a `TiledWriter` or `open_catalog` takes; the key is in it."""
        return f"{self.address}/api/v1{self._query}"

    @property
    def web_ui_link(self) -> str:
        """What a web browser takes; the key is in it."""
        return f"{self.address}{self._query}"

    @property
    def _query(self) -> str:
        return "" if self.api_key is None else f"?api_key={self.api_key}"

    @property
    def closed(self) -> bool:
        """Whether it has stopped."""
        return self._closed.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in the foreground until the server is closed; return whether it is.

        A signal handler that raises (Ctrl-C does) ends the waiting; the server is then still up.

        Parameters
        ----------
        timeout
            Seconds; None waits for ever.

        """
        return self._closed.wait(timeout)

    def close(self) -> None:
        """Finish the requests under way, stop, and close all files; can be repeated."""
        if os.getpid() != self._process:  # a fork inherits the object, but no server
            return
        with self._closing:
            if self.closed:
                return
            atexit.unregister(self.close)
            with self._cleanup:
                self._http.stop()
            self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.uri
        return f"<EmbeddedServer {state} directory={str(self.directory)!r}>"

    def _repr_html_(self) -> str:
        if self.closed:
            return escape(repr(self))
        link, uri, directory = (escape(text) for text in (self.web_ui_link, self.uri, str(self.directory)))
        return (
            "<table>"
            f'<tr><td>Web page</td><td><a href="{link}">{link}</a></td></tr>'
            f"<tr><td>URI</td><td><code>{uri}</code></td></tr>"
            f"<tr><td>Directory</td><td><code>{directory}</code></td></tr>"
            "</table>"
        )


def serve(
    directory: str | Path | None = None,
    *,
    api_key: str | None = None,
    port: int = 0,
    readable_storage: str | Path | Iterable[str | Path] | None = None,
    remember: bool = True,
    announce: bool = True,
) -> EmbeddedServer:
    """Start a Tiled server in this process, on this machine's loopback address only.

    Parameters
    ----------
    directory
        Where the catalog (`catalog.db`), the tables (`storage.duckdb`), the files (`data/`) and the logs
        (`access.log`, `error.log`) are; made if it is missing, found again if it is not. None takes a temporary
        one, which is removed at `close`.
    api_key
        Letters and digits; None takes a random one.
    port
        0 takes any that is free.
    readable_storage
        One or several directories with files of others, such as detectors, that may be read besides those that the server
        writes itself; one in `directory` has to be named as well. Those that were named before may be read, too.
    remember
        Whether to remember them in `directory` (`readable_storage.txt`), so that they need not be named again.
    announce
        Print one line with the address and the key.

    Returns
    -------
    EmbeddedServer
        Up and answering.

    Raises
    ------
    InputError
        If the key or the directory cannot be used.
    SetupError
        If the port is taken, the directory is served already, or its catalog is of another version of Tiled.

    Examples
    --------
    >>> with serve(announce=False) as server:
    ...     server.uri.startswith("http://127.0.0.1:")
    True

    """
    key = _checked_key(api_key) if api_key is not None else _new_key()
    with ExitStack() as cleanup:
        if directory is None:
            place = Path(tempfile.mkdtemp(prefix="tilewright-"))
            cleanup.callback(shutil.rmtree, place)
        else:
            place = _made_directory(Path(directory))
        with _told_what_to_install():
            from tiled.config import Config  # noqa: PLC0415 (slow)

        readable = remembered(place, _paths(readable_storage), keep=remember)
        config = Config.model_validate(local_configuration(place, key, readable))
        return _start(config, port, cleanup.pop_all(), announce=announce)


def serve_config(
    path: str | Path, *, api_key: str | None = None, port: int | None = None, announce: bool = True
) -> EmbeddedServer:
    """Start the server that a configuration file of Tiled's (or a directory of such files) describes.

    Parameters
    ----------
    path
        Such as `server_config/local.yml`. Relative paths in it start from the working directory.
    api_key, port
        Take precedence over the configuration's. Without any, the key is random and the port is 8000.
    announce
        Print one line with the address and the key.

    Returns
    -------
    EmbeddedServer
        Its `directory` is that of the first catalog, or the working directory.

    Raises
    ------
    InputError
        If there is no such file, or it is no valid configuration.
    SetupError
        As in `serve`.

    """
    if not Path(path).exists():
        raise InputError(
            f"There is no configuration at {path}; server_config/ in Tilewright's sources holds some."
        )
    key = None if api_key is None else _checked_key(api_key)
    with _told_what_to_install():
        from tiled.config import parse_configs  # noqa: PLC0415 (slow)

    try:
        config = parse_configs(path)
    except ValueError as error:
        raise InputError(f"The configuration {path} is not valid: {error}") from error
    authentication = config.authentication
    if key or not authentication.providers:
        authentication.single_user_api_key = key or authentication.single_user_api_key or _new_key()
    return _start(config, port, ExitStack(), announce=announce)


@contextmanager
def _told_what_to_install() -> Iterator[None]:
    """Import what the server needs and a writer does not."""
    try:
        import duckdb  # noqa: F401, PLC0415 (slow)
        import tiled.server.app  # noqa: F401, PLC0415 (slow)

        yield
    except ModuleNotFoundError as error:
        raise SetupError(
            f"A Tiled server needs more than is installed ({error}): pip install 'tilewright[server]'."
        ) from error


def local_configuration(directory: Path, api_key: str, readable_storage: list[str]) -> dict[str, Any]:
    """Return what `serve` does, in the form of Tiled's configuration; `server_config/local.yml` is the same in YAML."""
    from tilewright.documents.names import CATALOG_FILE  # noqa: PLC0415 (slow)
    from tilewright.server.serialization import MEDIA_TYPES  # noqa: PLC0415 (slow)

    return {
        "trees": [
            {
                "path": "/",
                "tree": "tilewright.server.catalog:catalog_tree",
                "args": {
                    "uri": str(directory / CATALOG_FILE),
                    "writable_storage": [
                        str(directory / "data"),
                        f"duckdb:///{directory / 'storage.duckdb'}",
                    ],
                    "readable_storage": readable_storage,
                    "init_if_not_exists": True,
                    "cache_config": {"uri": "memory"},
                },
            }
        ],
        "authentication": {"single_user_api_key": api_key},
        "media_types": MEDIA_TYPES,
        "uvicorn": {"host": LOOPBACK, "port": 0},
    }


def _start(config: Any, port: int | None, cleanup: ExitStack, *, announce: bool) -> EmbeddedServer:
    """Start what a `tiled.config.Config` describes; `cleanup` is done at the end, or now if that fails."""
    from tilewright.server.http import HttpThread, listen  # noqa: PLC0415 (slow)
    from tilewright.server.logs import ServerLogs  # noqa: PLC0415 (slow)

    with cleanup, ExitStack() as undo:
        options = {"host": LOOPBACK, "port": 8000, **config.uvicorn}
        if port is not None:
            options["port"] = port
        listener = cleanup.enter_context(listen(options["host"], options["port"]))
        directory = _directory(config)
        logs = ServerLogs(directory)
        cleanup.callback(logs.close)
        context = contextvars.copy_context()
        context.run(logs.claim)
        address = _address(listener)
        app = context.run(_application, config, address, undo)
        http = HttpThread(app, listener, options)
        if not http.start(context):
            raise SetupError(
                f"The server in {directory} did not come up; the reason is at the end of {logs.errors}."
            )
        undo.pop_all()
        server = EmbeddedServer(
            address, config.authentication.single_user_api_key, directory, http, cleanup.pop_all()
        )
    if announce:
        print(f"Tiled serves {directory} at {server.web_ui_link}", flush=True)  # noqa: T201 (what `announce` asks for)
    return server


def _application(config: Any, address: str, undo: ExitStack) -> FastAPI:
    """Return the application; `undo` gets what is to be done if it is not served after all."""
    from tiled.server.app import build_app_from_config  # noqa: PLC0415 (slow)
    from tiled.server.settings import get_settings  # noqa: PLC0415 (slow)

    from tilewright.server.catalog import discard  # noqa: PLC0415 (slow)
    from tilewright.server.http import WholeBody  # noqa: PLC0415 (slow)

    for tree in (specification.tree for specification in config.trees):
        lock = getattr(tree, "lock", None)
        if lock is not None:  # one of ours
            undo.callback(discard, tree)
            lock.describe(address)
    # Tiled's settings, the key among them, are one object a process, which each application changes when it first
    # needs them: a second server would take the first one's key away. Give this application an object of its own.
    get_settings.cache_clear()
    app: FastAPI = build_app_from_config(config)
    app.dependency_overrides[get_settings]()
    get_settings.cache_clear()
    app.add_middleware(WholeBody)
    return app


def _directory(config: Any) -> Path:
    """Return, and make, the directory of the first catalog that is a file; else the working directory."""
    from tilewright.server.catalog import catalog_path  # noqa: PLC0415 (slow)

    for specification in config.trees:
        path = catalog_path((specification.args or {}).get("uri"))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.parent
    return Path.cwd()


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _new_key() -> str:
    return secrets.token_hex(KEY_BYTES)


def _checked_key(api_key: str) -> str:
    if not _KEY_PATTERN.fullmatch(api_key):
        raise InputError(
            "The API key must be letters and digits (A-Z, a-z, 0-9) only, because it is part of links."
        )
    return api_key


def _made_directory(directory: Path) -> Path:
    place = directory.expanduser().resolve()
    if unsafe := _UNSAFE_IN_URIS & set(str(place)):
        raise InputError(
            f"Cannot serve {place}: Tiled takes no {' '.join(sorted(unsafe))} in a path. Choose another."
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the directory {place}: {error.strerror}. Choose another.") from error
    return place


def _paths(storage: str | Path | Iterable[str | Path] | None) -> list[str]:
    """Return absolute paths, each also with its symbolic links resolved: documents name files in either way."""
    if storage is None:
        return []
    paths = [Path(path).expanduser() for path in ([storage] if isinstance(storage, (str, Path)) else storage)]
    return sorted({str(form) for path in paths for form in (path.absolute(), path.resolve())})
