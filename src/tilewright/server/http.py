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
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE_SECONDS = 3
"""How long requests that are under way, and open subscriptions, may take to end when the server stops."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


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


class WholeBody:
    """Hands on what a client sends in one piece.

    It comes from the socket in pieces of 64 to 256 kB, and each of the middlewares around Tiled's application has a task
    made to wait for each piece: that took longer than all else about a request with 8 MB of rows.

    Parameters
    ----------
    app
        The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        pieces = []
        while True:
            message = await receive()
            if message["type"] != "http.request":  # the client has gone
                return
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        whole: Message | None = {"type": "http.request", "body": b"".join(pieces), "more_body": False}

        async def received() -> Message:
            nonlocal whole
            first, whole = whole, None
            return await receive() if first is None else first

        await self._app(scope, received, send)
