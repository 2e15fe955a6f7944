import json
import logging
import os
import socket
import stat
import sys
import threading
import time

import httpx
import numpy as np
import psutil
import pytest
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from tilewright import TiledWriter
from tilewright.errors import InputError, SetupError
from tilewright.server import EmbeddedServer, serve
from tilewright.server.http import listen
from tilewright.testing.documents import run_of


def test_what_it_says_about_itself(tmp_path):
    with serve(tmp_path / "runs", api_key="secret", announce=False) as server:
        assert isinstance(server, EmbeddedServer)
        assert server.uri == f"http://127.0.0.1:{server.port}/api/v1?api_key=secret"
        assert server.web_ui_link == f"http://127.0.0.1:{server.port}?api_key=secret"
        assert server.api_key == "secret"
        assert server.directory == tmp_path / "runs"
        assert server.uri in repr(server)
        assert str(server.directory) in repr(server)
        assert f'href="{server.web_ui_link}"' in server._repr_html_()
    assert "closed" in repr(server)
    assert "href" not in server._repr_html_()


def test_files_of_the_directory(tmp_path, connect):
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        client.write_array(np.arange(4), key="a")
        table = client.create_appendable_table(_schema(), key="t")
        table.append_partition(0, {"i": [0, 1]})
        assert {"catalog.db", "storage.duckdb", "data", "access.log", "error.log"} <= {
            path.name for path in tmp_path.iterdir()
        }
        assert list((tmp_path / "data").iterdir())


def test_a_directory_is_found_again(tmp_path, connect):
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        client.write_array(np.arange(4), key="a", metadata={"color": "blue"})
        client.create_appendable_table(_schema(), key="t").append_partition(0, {"i": [0, 1]})
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        assert client["a"].metadata["color"] == "blue"
        assert client["a"].read().tolist() == [0, 1, 2, 3]
        client["t"].append_partition(0, {"i": [2]})
        assert client["t"].read()["i"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["with space", "ümlaut 100%"])
def test_unusual_directory_names(tmp_path, connect, name):
    with serve(tmp_path / name, announce=False) as server, connect(server) as client:
        client.write_array(np.arange(4), key="a")
        client.create_appendable_table(_schema(), key="t").append_partition(0, {"i": [0]})
        assert client["a"].read().tolist() == [0, 1, 2, 3]
        assert client["t"].read()["i"].tolist() == [0]


def test_directory_names_that_tiled_does_not_take(tmp_path):
    with pytest.raises(InputError, match="takes no #"):
        serve(tmp_path / "run #1")


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot make the directory"):
        serve(tmp_path / "file")


def test_a_temporary_directory_is_removed():
    with serve(announce=False) as server:
        directory = server.directory
        assert directory.is_dir()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not directory.exists()


def test_a_key_is_required_and_random(server):
    assert httpx.get(f"{server.address}/api/v1/metadata/").status_code == 401
    assert httpx.get(f"{server.address}/api/v1/metadata/", params={"api_key": "wrong"}).status_code == 401
    assert (
        httpx.get(f"{server.address}/api/v1/metadata/", params={"api_key": server.api_key}).status_code == 200
    )
    assert len(server.api_key) >= 32


@pytest.mark.parametrize("key", ["", "two words", "a-b", "ключ", "a\n"])
def test_keys_that_do_not_fit_in_a_link(key):
    with pytest.raises(InputError, match="letters and digits"):
        serve(api_key=key)


def test_it_listens_on_loopback_only(server):
    addresses = {c.laddr.ip for c in psutil.Process().net_connections("inet") if c.laddr.port == server.port}
    assert addresses == {"127.0.0.1"}


def test_answers_do_not_wait_for_more_to_send():
    """Asyncio sets TCP_NODELAY only where the protocol is named; without, each answer takes 40 ms more."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken(server, tmp_path):
    with pytest.raises(SetupError, match=f"port {server.port}: Address already in use"):
        serve(tmp_path, port=server.port)
    serve(tmp_path, announce=False).close()


def test_a_port_that_was_asked_for(server):
    with serve(announce=False) as first:
        port = first.port
    with serve(port=port, announce=False) as second:
        assert second.port == port


def test_one_server_a_directory(tmp_path, connect):
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        with pytest.raises(
            SetupError, match=f"process {os.getpid()} at {server.address} is serving it already"
        ):
            serve(tmp_path)
        client.create_appendable_table(_schema(), key="t").append_partition(0, {"i": [0]})
        assert client["t"].read()["i"].tolist() == [0]
    serve(tmp_path, announce=False).close()


def test_a_lock_file_that_was_left_behind_means_nothing(tmp_path):
    (tmp_path / "catalog.db.lock").write_text(json.dumps({"pid": 1, "address": "http://127.0.0.1:1"}))
    serve(tmp_path, announce=False).close()


def test_a_damaged_catalog_leaves_nothing_behind(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(SetupError, match="not a database"):
        serve(tmp_path)


def test_closing_leaves_nothing_behind(tmp_path, connect):
    process = psutil.Process()
    threads, files, sockets = set(threading.enumerate()), _files(process), process.net_connections()
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        client.create_appendable_table(_schema(), key="t").append_partition(0, {"i": [0]})
        # One reading in this thread; `read` would start a pool of dask's.
        assert httpx.get(_full_table(server, "t"), headers=_authorization(server)).status_code == 200
        assert _files(process) - files
    server.close()
    server.close()
    # Threads of AnyIO are told to end and not waited for; idle ones end after 10 s.
    deadline = time.monotonic() + 12
    while not set(threading.enumerate()) <= threads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) <= threads
    assert _files(process) <= files
    assert process.net_connections() == sockets
    from tiled import storage

    assert not [uri for uri in storage._STORAGE if str(tmp_path) in uri]
    assert not [kept for kept in storage._SQL_STORAGE_INSTANCES if str(tmp_path) in kept.uri]


def test_servers_of_one_process_are_strangers(tmp_path, connect):
    with serve(tmp_path / "one", announce=False) as one, serve(tmp_path / "two", announce=False) as two:
        assert httpx.get(one.uri.replace("?", "/metadata/?")).status_code == 200
        assert httpx.get(two.uri.replace("?", "/metadata/?")).status_code == 200
        assert httpx.get(f"{one.address}/api/v1/metadata/?api_key={two.api_key}").status_code == 401
        for server, numbers in ((one, [0, 1]), (two, [2])):
            with connect(server) as client:
                client.create_appendable_table(_schema(), key="t").append_partition(0, {"i": numbers})
        two.close()
        with connect(one) as client:
            assert client["t"].read()["i"].tolist() == [0, 1]


def test_wait_returns_when_the_server_is_closed():
    server = serve(announce=False)
    assert not server.wait(0.01)
    threading.Timer(0.2, server.close).start()
    assert server.wait(10)
    server.close()


TILEDS_SUBSCRIPTION = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context:DeprecationWarning"
)
"""Tiled's client calls websockets in a way that websockets 17.1 would rather not."""


@TILEDS_SUBSCRIPTION
# Its thread tries to connect again when the server has gone, and raises if it is told to end just then.
@pytest.mark.filterwarnings(
    "ignore:Exception in thread tiled-subscription:pytest.PytestUnhandledThreadExceptionWarning"
)
def test_closing_with_a_subscription_open(connect):
    with serve(announce=False) as server, connect(server) as client:
        table = client.create_appendable_table(_schema(), key="t")
        subscription = table.subscribe().start_in_thread(0)
        server.close()
        subscription.disconnect()


@TILEDS_SUBSCRIPTION
def test_live_subscriptions(server, client):
    table = client.create_appendable_table(_schema(), key="live")
    received, arrived = [], threading.Event()

    def on_data(update):
        received.append(update.data()["i"].tolist())
        if len(received) == 2:
            arrived.set()

    subscription = table.subscribe()
    subscription.new_data.add_callback(on_data)
    with subscription.start_in_thread(0):
        table.append_partition(0, {"i": [0, 1]})
        table.append_partition(0, {"i": [2]})
        assert arrived.wait(10)
    assert received == [[0, 1], [2]]


@TILEDS_SUBSCRIPTION
def test_live_subscriptions_to_arrays_in_events(server, client, tmp_path):
    """Rows that our writer sends, while they come."""
    waves = [np.arange(100.0) + 1000 * row for row in range(3)]
    documents = run_of({"wave": waves})
    received, arrived = [], threading.Event()

    def on_data(update):
        received.extend(update.data())
        if len(received) == len(waves):
            arrived.set()

    with TiledWriter(server, journal=tmp_path, on_stop="return") as writer:
        for document in documents[:3]:
            writer(*document)
        assert writer.flush(20)
        subscription = client[documents[0][1]["uid"]]["primary"].base["wave"].subscribe()
        subscription.new_data.add_callback(on_data)
        with subscription.start_in_thread(0):
            for document in documents[3:]:
                writer(*document)
            assert writer.flush(20)
            assert arrived.wait(10)
    np.testing.assert_array_equal(received, waves)


def test_readable_storage(tmp_path, connect):
    readable, secret = tmp_path / "detector", tmp_path / "secret"
    for folder in (readable, secret):
        folder.mkdir()
        np.save(folder / "0.npy", np.arange(3))
    (tmp_path / "link").symlink_to(readable)
    with (
        serve(tmp_path / "runs", readable_storage=tmp_path / "link", announce=False) as server,
        connect(server) as client,
    ):
        for name, folder in (("link", tmp_path / "link"), ("detector", readable)):
            assert _register(client, name, folder / "0.npy").read().tolist() == [0, 1, 2]
        _register(client, "secret", secret / "0.npy")
        answer = httpx.get(f"{server.address}/api/v1/array/full/secret", headers=_authorization(server))
        assert answer.status_code == 500
    assert "outside the readable storage" in (server.directory / "error.log").read_text()
    both = [str(readable), str(secret)]
    with serve(tmp_path / "both", readable_storage=both, announce=False) as server, connect(server) as client:
        assert _register(client, "secret", secret / "0.npy").read().tolist() == [0, 1, 2]
    # What was named once is remembered, until somebody takes it out.
    with serve(tmp_path / "both", announce=False) as server, connect(server) as client:
        assert client["secret"].read().tolist() == [0, 1, 2]
        _register(client, "detector", readable / "0.npy")
    kept = tmp_path / "both" / "readable_storage.txt"
    lines = kept.read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == both
    kept.write_text("\n".join(line for line in lines if not line.endswith("secret")))
    with (
        serve(tmp_path / "both", readable_storage=readable, announce=False) as server,
        connect(server) as client,
    ):
        assert client["detector"].read().tolist() == [0, 1, 2]
        assert httpx.get(
            f"{server.address}/api/v1/array/full/secret", headers=_authorization(server)
        ).is_error
    assert "secret" not in kept.read_text()
    assert kept.read_text().count("detector") == 1


def test_folders_that_cannot_be_remembered_are_told(tmp_path):
    (tmp_path / "readable_storage.txt").mkdir()
    with pytest.raises(
        InputError, match=r"readable_storage\.txt, which keeps the folders to read from, cannot be used"
    ):
        serve(tmp_path, readable_storage=tmp_path, announce=False)


def test_all_formats_are_mounted(server):
    from tiled.utils import import_object

    from tilewright.formats import adapters_by_mimetype
    from tilewright.server.catalog import catalog_tree

    tree = catalog_tree("sqlite://", adapters_by_mimetype={"x/y": "pathlib:Path"})
    mounted = tree.context.adapters_by_mimetype
    assert all(mounted[kind] is import_object(name) for kind, name in adapters_by_mimetype().items())
    assert mounted["application/x-tiled-sql-table"].__module__ == "tilewright.server.tables"
    assert mounted["x/y"].__name__ == "Path"
    assert "image/tiff" in mounted


def test_announcement(capfd):
    with serve() as server:
        assert capfd.readouterr().out == f"Tiled serves {server.directory} at {server.web_ui_link}\n"
    with serve(announce=False):
        pass
    output = capfd.readouterr()
    assert output.out == output.err == ""


def test_logs_go_to_files_and_the_users_logging_is_untouched(tmp_path, connect, capfd, caplog):
    root = logging.getLogger()
    handlers = list(root.handlers)
    users_own = logging.FileHandler(tmp_path / "user.log", mode="w")
    root.addHandler(users_own)
    root.setLevel(logging.INFO)
    before = {name: _state(name) for name in logging.root.manager.loggerDict}
    try:
        with serve(tmp_path / "one", announce=False) as one, serve(tmp_path / "two", announce=False) as two:
            httpx.get(one.uri.replace("?", "/metadata/?"))
            logging.getLogger("user").info("still here")
        for server, other in ((one, two), (two, one)):
            assert "Tiled version" in (server.directory / "error.log").read_text()
            assert other.api_key not in (server.directory / "access.log").read_text()
        access = (one.directory / "access.log").read_text()
        assert '"GET /api/v1/metadata/?api_key=[redacted] HTTP/1.1" 200' in access
        assert "/metadata/" not in (two.directory / "access.log").read_text()
        users_own.flush()
        logged = [
            line for line in (tmp_path / "user.log").read_text().splitlines() if "HTTP Request" not in line
        ]
        assert logged == ["still here"]
        assert root.handlers == [*handlers, users_own]
        assert {name: _state(name) for name in before} == before
    finally:
        root.removeHandler(users_own)
        users_own.close()
        root.setLevel(logging.WARNING)
    assert capfd.readouterr().err == ""


def _state(name):
    logger = logging.getLogger(name)
    return logger.level, logger.propagate, list(logger.handlers), logger.disabled


def _schema():
    import pyarrow as pa

    return pa.schema([("i", pa.int64())])


def _files(process):
    return {file.path for file in process.open_files()}


def _full_table(server, key):
    return f"{server.address}/api/v1/table/full/{key}"


def _authorization(server):
    return {"Authorization": f"Apikey {server.api_key}"}


def _register(client, key, path):
    from tiled.structures.array import ArrayStructure

    source = DataSource(
        structure_family=StructureFamily.array,
        structure=ArrayStructure.from_array(np.load(path)),
        mimetype="application/x-npy",
        management=Management.external,
        assets=[
            Asset(
                data_uri=path.as_uri().replace("file://", "file://localhost"),
                is_directory=False,
                parameter="data_uri",
            )
        ],
    )
    return client.new(StructureFamily.array, [source], key=key)


def test_starting_is_quick(server):
    """Some 0.3 s once all is imported, on a quiet machine; a busy one is given time."""
    began = time.monotonic()
    serve(announce=False).close()
    assert time.monotonic() - began < 10


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(SetupError, match=r"pip install 'tilewright\[server\]'"):
        serve(tmp_path, announce=False)
