"""Where a server's log goes: into `access.log` and `error.log` of its directory, and never to the user's terminal.

`tilewright.server.embedded` opens them before the server starts and closes them when it has stopped. Python's logging
is configured for a whole process, which here is the user's: so nothing of the user's is touched, the loggers are those
of the server's libraries only, and each server's files get what happens in its own threads and tasks.
"""

from __future__ import annotations

import logging
import re
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ACCESS = "uvicorn.access"
ERRORS = (
    "alembic",
    "tiled.access_control",
    "tiled.adapters",
    "tiled.authenticators",
    "tiled.catalog",
    "tiled.graph",
    "tiled.server",
    "tiled.server.app",  # it has a handler of its own, which writes to the terminal
    "uvicorn",
)
"""Loggers of the server's side: `tiled.client` is the user's."""

_ACCESS_FORMAT = (
    '%(asctime)s [%(correlation_id)s] %(client_addr)s (%(principal)s) - "%(request_line)s" %(status_code)s'
)
_ERROR_FORMAT = "%(asctime)s [%(correlation_id)s] %(levelname)s: %(message)s"
_KEY = re.compile(r"(api_key=)\w+")

_current: ContextVar[ServerLogs | None] = ContextVar("tilewright_server_logs", default=None)
_quieted: dict[str, tuple[int, bool, list[logging.Handler]]] = {}
"""Level, propagation and handlers of each logger as they were before the first server of this process."""
_open: list[ServerLogs] = []
_lock = threading.Lock()


class ServerLogs:
    """The two open log files of one server; they get what is logged after `claim` in the same context."""

    def __init__(self, directory: Path) -> None:
        self.errors = directory / "error.log"
        self._handlers = {
            ACCESS: self._handler(directory / "access.log", _access_formatter()),
            **dict.fromkeys(ERRORS, self._handler(self.errors, _Formatter(_ERROR_FORMAT))),
        }
        with _lock:
            if not _open:
                _quiet()
            _open.append(self)
            for name, handler in self._handlers.items():
                logging.getLogger(name).addHandler(handler)

    def claim(self) -> None:
        """Take the log of this thread, and of all tasks and worker threads that it will start."""
        _current.set(self)

    def close(self) -> None:
        """Close the files; after the last server's the loggers are as they were."""
        with _lock:
            _open.remove(self)
            for name, handler in self._handlers.items():
                logging.getLogger(name).removeHandler(handler)
            if not _open:
                _restore()
        for handler in set(self._handlers.values()):
            handler.close()

    def _handler(self, path: Path, formatter: logging.Formatter) -> logging.Handler:
        from asgi_correlation_id import CorrelationIdFilter  # noqa: PLC0415 (slow)
        from tiled.server.principal_log_filter import PrincipalFilter  # noqa: PLC0415 (slow)

        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(formatter)
        handler.addFilter(lambda _record: _current.get() is self)
        handler.addFilter(CorrelationIdFilter(default_value="-", uuid_length=16))
        handler.addFilter(PrincipalFilter())
        return handler


class _Formatter(logging.Formatter):
    """Leave out the key: others may read a log file."""

    def format(self, record: logging.LogRecord) -> str:
        return _KEY.sub(r"\1[redacted]", super().format(record))


def _access_formatter() -> Any:
    from tiled.server.logging_config import AccessFormatter  # noqa: PLC0415 (slow)

    class Access(_Formatter, AccessFormatter):
        """Tiled's form, without the key."""

    return Access(_ACCESS_FORMAT, use_colors=False)  # type: ignore[call-arg] # Uvicorn's, which mypy does not see


def _quiet() -> None:
    for name in (ACCESS, *ERRORS):
        logger = logging.getLogger(name)
        _quieted[name] = logger.level, logger.propagate, logger.handlers
        logger.handlers = []
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _restore() -> None:
    for name, (level, propagate, handlers) in _quieted.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers = handlers
    _quieted.clear()
