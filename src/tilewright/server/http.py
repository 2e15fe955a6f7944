"""HTTP in a thread: an ASGI application and a bound socket come in, a server that answers goes out.

`tilewright.server.embedded` starts and stops it. The thread is a daemon, so it does not keep a process alive whose
script has failed, and it leaves the process's signals alone.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

from tilewright.errors import SetupError

if TYPE_CHECKING:
    from contextvars import Context

    from fastapi import FastAPI

GRACE_SECONDS = 3
"""How long requests that are under way, and open subscriptions, may take to end when the server stops."""


class HttpThread:
    """Uvicorn in a daemon thread, from `start` to `stop`."""

    def __init__(self, app: FastAPI, listener: socket.socket, options: dict[str, Any]) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                **{
                    "loop": "asyncio",
                    "lifespan": "on",
                    "timeout_graceful_shutdown": GRACE_SECONDS,
                    **options,
                    "log_config": None,  # ours is in place: see `tilewright.server.logs`
                },
            )
        )

    def start(self, context: Context) -> bool:
        """Serve, with the context variables of `context`; return whether the application came up."""
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="tilewright-server", daemon=True
        )
        self._thread.start()
        self._server.settled.wait()
        return bool(self._server.started)

    def stop(self) -> None:
        """Finish what is under way and end the thread; can be repeated."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._server.settled.set()


class _Server(uvicorn.Server):
    """Tells when it has come up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        """Set when the server answers, or when it has failed to come up."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; port 0 takes any that is free.

    Raises
    ------
    SetupError
        If the port is taken or may not be used.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer would wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SetupError(
            f"Cannot serve at {host}, port {port}: {error.strerror}. Choose another port, or port 0 for any free one."
        ) from error
    return listener
