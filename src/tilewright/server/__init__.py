"""The embedded Tiled server: a directory or a configuration comes in, an address to read and write runs goes out.

Users and the command line call `serve` and `serve_config`.

    embedded       starts and stops a server; what users see
    http           Uvicorn in a thread
    logs           the server's log files
    catalog        the tree that Tiled's configuration names: catalog, storage, adapters
    locks          one server a catalog
    storage        DuckDB and SQLite files read and written by many threads
    tables         what reading a table gives
    serialization  how tables travel
    files          the files behind a run, looked at
"""

from tilewright.server.embedded import EmbeddedServer, serve, serve_config

__all__ = ["EmbeddedServer", "serve", "serve_config"]
