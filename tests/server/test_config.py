"""Servers that a configuration describes, and the catalogs they find."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import yaml

from tilewright.errors import InputError, SetupError
from tilewright.server import serve, serve_config
from tilewright.server.catalog import REPLAYED_SECONDS, catalog_tree, discard
from tilewright.server.embedded import local_configuration

LOCAL = Path(__file__).parents[2] / "server_config" / "local.yml"
SCHEMA = pa.schema([("i", pa.int64())])


def test_local_yml_is_what_serve_does(tmp_path):
    written = yaml.safe_load(LOCAL.read_text())
    done = local_configuration(Path("tilewright_data"), "secret", [])
    assert written.pop("authentication") == {"allow_anonymous_access": False}
    assert written.pop("uvicorn") == done.pop("uvicorn") | {"port": 8000}
    del done["authentication"]
    assert written == done


def test_a_directory_of_serve_opens_through_the_configuration_and_back(tmp_path, monkeypatch, connect):
    monkeypatch.chdir(tmp_path)
    with serve("tilewright_data", announce=False) as server, connect(server) as client:
        client.create_appendable_table(SCHEMA, key="t").append_partition(0, {"i": [0]})
    with serve_config(LOCAL, port=0, announce=False) as server, connect(server) as client:
        assert server.directory == tmp_path / "tilewright_data"
        client["t"].append_partition(0, {"i": [1]})
        client.create_appendable_table(SCHEMA, key="u").append_partition(0, {"i": [0]})
        assert client["t"].read()["i"].tolist() == [0, 1]
    with serve("tilewright_data", announce=False) as server, connect(server) as client:
        assert client["t"].read()["i"].tolist() == [0, 1]
        assert client["u"].read()["i"].tolist() == [0]


def test_key_and_port(configuration, capfd):
    path = configuration()
    with serve_config(path, port=0) as server:
        assert len(server.api_key) >= 32
        assert capfd.readouterr().out == f"Tiled serves {server.directory} at {server.web_ui_link}\n"
        assert httpx.get(f"{server.address}/api/v1/metadata/").status_code == 401
    with serve_config(path, port=0, api_key="mine", announce=False) as server:
        assert server.api_key == "mine"
        assert httpx.get(server.uri.replace("?", "/metadata/?")).status_code == 200
    with serve_config(configuration(key="theirs"), port=0, announce=False) as server:
        assert server.api_key == "theirs"


def test_configurations_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no configuration at"):
        serve_config(tmp_path / "none.yml")
    (tmp_path / "wrong.yml").write_text("trees: 3\n")
    with pytest.raises(InputError, match="is not valid"):
        serve_config(tmp_path / "wrong.yml")


def test_tileds_own_command_serves_it(tmp_path):
    port, key = 0, "secret"
    with serve(announce=False) as other:
        port = other.port
    command = [
        sys.executable,
        "-m",
        "tiled",
        "serve",
        "config",
        str(LOCAL),
        "--api-key",
        key,
        "--port",
        str(port),
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if "Uvicorn running" in line:
                break
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/metadata/?api_key={key}").status_code == 200
        with pytest.raises(SetupError, match=f"process {process.pid} is serving it already"):
            serve(tmp_path / "tilewright_data")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_new_catalog_is_what_tiled_would_have_made(tmp_path):
    """But for an index of ours."""
    serve(tmp_path / "ours", announce=False).close()
    (tmp_path / "theirs").mkdir()
    subprocess.run(
        [sys.executable, "-m", "tiled", "catalog", "init", str(tmp_path / "theirs" / "catalog.db")],
        check=True,
        capture_output=True,
    )
    with closing(sqlite3.connect(tmp_path / "ours" / "catalog.db")) as database:
        database.execute("DROP INDEX tilewright_data_sources_structure_id")
    ours, theirs = (_contents(tmp_path / name / "catalog.db") for name in ("ours", "theirs"))
    assert ours == theirs


def test_a_catalog_of_an_older_tiled(tmp_path):
    from tiled.catalog.core import ALL_REVISIONS

    serve(tmp_path, announce=False).close()
    _stamp(tmp_path / "catalog.db", ALL_REVISIONS[1])
    with pytest.raises(SetupError, match="tiled catalog upgrade-database sqlite"):
        serve(tmp_path)
    assert _revision(tmp_path / "catalog.db") == ALL_REVISIONS[1]


def test_a_catalog_of_a_newer_tiled(tmp_path):
    serve(tmp_path, announce=False).close()
    _stamp(tmp_path / "catalog.db", "0123456789ab")
    with pytest.raises(SetupError, match="newer version"):
        serve(tmp_path)


def test_a_catalog_whose_making_was_interrupted(tmp_path, connect):
    serve(tmp_path, announce=False).close()
    with sqlite3.connect(tmp_path / "catalog.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        database.execute("DROP TABLE alembic_version")
    database.close()
    with serve(tmp_path, announce=False) as server, connect(server) as client:
        client.create_appendable_table(SCHEMA, key="t")


def test_a_missing_catalog_is_not_made_unless_asked(configuration):
    with pytest.raises(SetupError, match="There is no catalog at"):
        serve_config(configuration(init_if_not_exists=False), port=0)


def test_serving_from_within_an_event_loop():
    async def notebook():
        with serve(announce=False) as server:
            return await asyncio.to_thread(_status, server)

    assert asyncio.run(notebook()) == 200


def _status(server):
    return httpx.get(server.uri.replace("?", "/metadata/?")).status_code


def _contents(path):
    database = sqlite3.connect(path)
    try:
        tables = sorted(row for row in database.execute("SELECT type, name, sql FROM sqlite_master"))
        return tables, _revision(path)
    finally:
        database.close()


def _revision(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    finally:
        database.close()


def _stamp(path, revision):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    database.close()


def test_importing_is_quick():
    code = "import sys; import tilewright.server; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert not {"tiled", "uvicorn", "fastapi", "pandas", "numpy", "pyarrow", "sqlalchemy"} & set(
        eval(done.stdout)
    )


@pytest.mark.parametrize(("given", "seconds"), [({}, REPLAYED_SECONDS), ({"data_ttl": 7}, 7)])
def test_what_subscribers_missed_is_not_kept_for_long(tmp_path, given, seconds):
    """The content of each request lies in memory for that time."""
    tree = catalog_tree(
        tmp_path / "catalog.db", init_if_not_exists=True, cache_config={"uri": "memory", **given}
    )
    assert tree.context.cache_config["data_ttl"] == seconds
    discard(tree)
