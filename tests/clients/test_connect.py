"""open_catalog: everything that a catalog can be opened by, and everything that can be wrong with it."""

import gc
import http.server
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
import tiled.profiles
from tiled.client import from_uri

from tilewright.clients import Catalog, Run, Stream, open_catalog
from tilewright.clients.http import read_columns
from tilewright.errors import InputError, NotFoundError, SetupError, TransientError

from .conftest import KEY


@pytest.fixture
def run(write):
    write.stream(write.run("a1"), tables=[write.rows(x=[0, 1, 2])])


@pytest.fixture
def address(server, container):
    return f"{server.address}metadata/{container.item['id']}"


def test_the_package_is_imported_in_no_time():
    heavy = "{'tiled', 'tiled.client', 'pandas', 'xarray', 'pyarrow', 'numpy', 'dask'}"
    code = f"import sys, tilewright.clients; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout == "[]\n"


def test_the_package_has_no_other_names():
    import tilewright.clients as package

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(package, "nothing")  # noqa: B009  # an attribute access alone is no statement for the linter


def test_by_address(run, address):
    with open_catalog(f"{address}?api_key={KEY}") as catalog:
        assert isinstance(catalog, Catalog)
        assert isinstance(catalog["a1"], Run)
        assert isinstance(catalog["a1"]["primary"], Stream)
        assert catalog["a1"].table()["x"].tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        catalog["a1"]
    catalog.close()


def test_by_address_and_key(run, address):
    with open_catalog(address, api_key=KEY) as catalog:
        assert list(catalog) == ["a1"]


def test_dask_on_request(run, address):
    with open_catalog(address, api_key=KEY, structure_clients="dask") as catalog:
        assert catalog["a1"]["primary"]["x"].read().compute().tolist() == [0, 1, 2]


def test_by_tiled_client(run, container):
    catalog = open_catalog(container)
    assert list(catalog) == ["a1"]
    catalog.close()  # the connection is not ours
    assert list(container) == ["a1"]


def test_by_something_with_an_address(run, address):
    class Embedded:
        uri = f"{address}?api_key={KEY}"

    with open_catalog(Embedded()) as catalog:
        assert list(catalog) == ["a1"]


def test_plain_tiled_gives_our_classes(run, address):
    client = from_uri(address, api_key=KEY)
    assert isinstance(client["a1"], Run)
    assert isinstance(client["a1"]["primary"], Stream)
    client.context.close()


def test_the_key_is_refused(address):
    with pytest.raises(
        InputError, match=r"^The server at .* refuses the key: give the one it printed.*\?api_key=…$"
    ) as caught:
        open_catalog(f"{address}?api_key=wrong1")
    assert "wrong1" not in str(caught.value)


def test_the_key_is_missing(address, monkeypatch):
    monkeypatch.delenv("TILED_API_KEY", raising=False)
    with pytest.raises(
        InputError, match=r"^The server at .* wants a key: write .*\?api_key=…, as the server printed it"
    ):
        open_catalog(address)


def test_there_is_no_such_container(server):
    with pytest.raises(
        InputError, match=r"^There is no catalog at .*/nothing \(the answer was 404\): check the address\.$"
    ):
        open_catalog(f"{server.address}metadata/nothing?api_key={KEY}")


def test_a_run_is_no_catalog(run, address):
    with pytest.raises(
        InputError, match=r"/a1 is a Run, not a catalog of runs: open the container that the run is in"
    ):
        open_catalog(f"{address}/a1?api_key={KEY}")


def test_nobody_is_there():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        expected = rf"^No server answers at http://127\.0\.0\.1:{port}/? \(ConnectError: .*\): is it running"
        with pytest.raises(TransientError, match=expected):
            open_catalog(f"http://127.0.0.1:{port}?api_key={KEY}")


class Stranger(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass


@pytest.fixture
def stranger(monkeypatch):
    """A web server that is not Tiled's; the test says what it answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def answers(status):
            monkeypatch.setattr(Stranger, "status", status)
            return f"http://127.0.0.1:{server.server_port}"

        yield answers
        server.shutdown()
        thread.join()


def test_not_tiled(stranger):
    with pytest.raises(
        InputError,
        match=r"^What answers at http.* is not a Tiled server \(ValidationError\): check the address\.$",
    ):
        open_catalog(stranger(200))
    with pytest.raises(InputError, match=r"^There is no catalog at http.* \(the answer was 404\)"):
        open_catalog(stranger(404))


def test_the_server_is_not_well(stranger):
    with pytest.raises(
        TransientError, match=r"^The server at http.* answers 503 Service Unavailable: try again later\.$"
    ):
        open_catalog(stranger(503))


@pytest.mark.parametrize("where", ["ftp://somewhere/data", "http://", "http://host:port"])
def test_no_address(where):
    with pytest.raises(
        InputError, match=r"is not the address of a Tiled server \(.*\): it begins with http://"
    ):
        open_catalog(where)


@pytest.mark.parametrize("where", [None, 5, ["a"]])
def test_nothing_that_a_catalog_could_be(where):
    with pytest.raises(
        InputError, match=r"^Cannot open a catalog at .*: expected the address of a Tiled server, a directory"
    ):
        open_catalog(where)


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    """No profiles but those a test writes."""
    place = tmp_path / "profiles"
    place.mkdir()
    monkeypatch.setattr(tiled.profiles, "paths", [place])
    tiled.profiles.load_profiles.cache_clear()
    yield place
    tiled.profiles.load_profiles.cache_clear()


def test_by_profile(run, address, profiles):
    (profiles / "one.yml").write_text(f"beamline:\n  uri: {address}?api_key={KEY}\n")
    with open_catalog("beamline") as catalog:
        assert isinstance(catalog["a1"], Run)


def test_a_profile_of_nobody(profiles):
    (profiles / "one.yml").write_text("beamline:\n  uri: http://127.0.0.1:1\n")
    with pytest.raises(TransientError, match=r"^No server answers at http://127\.0\.0\.1:1"):
        open_catalog("beamline")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # by Tiled's from_profile, when it fails
def test_a_profile_with_the_wrong_key(address, profiles):
    (profiles / "one.yml").write_text(f"beamline:\n  uri: {address}?api_key=wrong1\n")
    with pytest.raises(InputError, match=r"refuses the key"):
        open_catalog("beamline")
    gc.collect()


def test_neither_directory_nor_profile(profiles):
    with pytest.raises(
        NotFoundError,
        match=r"^There is no catalog 'beemline': no such directory, and no such Tiled profile \(there are: none\)",
    ):
        open_catalog("beemline")
    (profiles / "two.yml").write_text("beamline:\n  uri: http://x\nother:\n  uri: http://y\n")
    tiled.profiles.load_profiles.cache_clear()
    with pytest.raises(
        NotFoundError, match=r"\(there are: beamline, other\)\. The address of a server begins with http"
    ):
        open_catalog(Path("beemline"))


def test_a_directory_without_a_catalog(tmp_path, profiles):
    with pytest.raises(
        InputError, match=r"^The directory .* has no catalog\.db, so it is not a catalog: give the directory"
    ):
        open_catalog(tmp_path)


def test_a_directory(tmp_path, write):
    """Reading through our own server: exact where Tiled's is not."""
    from tilewright.server import serve

    with serve(tmp_path, announce=False) as server:
        client = from_uri(server.uri)
        writer = type(write)(client)
        numbers = [2**53 + 1, None, -(2**62) - 1]
        writer.stream(
            writer.run("a1"), tables=[writer.rows(x=numbers, flag=[True, None, False], l=[[0], None, [2, 3]])]
        )
        client.context.close()
        with open_catalog(server) as catalog:
            assert list(catalog) == ["a1"]
    with open_catalog(str(tmp_path)) as catalog:
        frame = catalog["a1"].table()
        assert frame["x"].tolist() == [2**53 + 1, pd.NA, -(2**62) - 1]
        assert str(frame["flag"].dtype) == "boolean"
        assert [None if v is None else v.tolist() for v in frame["l"]] == [[0], None, [2, 3]]
        assert catalog["a1"].assets()["exists"].all()
        link = catalog["a1"]["primary"].base["internal"].item["links"]["full"]
        with pytest.raises(TransientError, match="changed while it was being read"):
            read_columns(catalog.context, link, ["x", "gone"])


def test_a_directory_that_is_served_elsewhere(tmp_path):
    from tilewright.server import serve

    with serve(tmp_path, announce=False), pytest.raises(SetupError):
        open_catalog(tmp_path)
