"""Serve a fresh catalog in a directory with Tiled's own server until standard input ends; print the address."""

import sys
import threading
import time
from pathlib import Path

import uvicorn
from tiled.catalog import from_uri
from tiled.config import Authentication
from tiled.server.app import build_app


def main():
    home, key = Path(sys.argv[1]), sys.argv[2]
    (home / "data").mkdir()
    tree = from_uri(
        f"sqlite:///{home}/catalog.db",
        writable_storage=[str(home / "data"), f"duckdb:///{home}/tables.duckdb"],
        readable_storage=[str(home)],
        init_if_not_exists=True,
    )
    app = build_app(tree, Authentication(single_user_api_key=key))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))

    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/api/v1/\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.should_exit = True
    thread.join()


if __name__ == "__main__":
    main()
