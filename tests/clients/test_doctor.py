"""What the doctor finds: healthy servers of all kinds, and everything that can be wrong, each in words."""

import json
import math
import os
import re
import shutil
import socket
import ssl
import threading
import time
import tomllib
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import yaml
from tiled.client import from_uri

from tilewright import serve
from tilewright.clients.doctor import Check, Diagnosis, Verdict, examine, files, keys, storage, trial, visit
from tilewright.clients.doctor import server as meeting
from tilewright.clients.doctor.directory import check_paths
from tilewright.clients.doctor.journals import check_journals
from tilewright.delivery import Remote, target
from tilewright.delivery.target import Target
from tilewright.errors import InputError
from tilewright.journal import Header, JournalDirectory, encode
from tilewright.server import serve_config
from tilewright.server.embedded import local_configuration

SERVER = ["server", "key", "versions", "clocks", "tables", "live readers", "arrays"]
JOURNAL = ["journal directory", "journal room", "journals"]


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    return tmp_path_factory.mktemp("detector")


@pytest.fixture(scope="module")
def ours(readable):
    """Tilewright's own server; `server`, as for all tests of clients, is a stock one."""
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture(scope="module")
def several_users(tmp_path_factory):
    """A server with users, and a function that makes keys for one of them."""
    place = tmp_path_factory.mktemp("users")
    configuration = local_configuration(place, "unused", [])
    provider = {
        "provider": "toy",
        "authenticator": "tiled.authenticators:DictionaryAuthenticator",
        "args": {"users_to_passwords": {"alice": "pass"}},
    }
    configuration["authentication"] = {
        "providers": [provider],
        "tiled_admins": [{"provider": "toy", "id": "alice"}],
        "secret_keys": ["secret" * 8],
    }
    configuration["database"] = {"uri": f"sqlite:///{place}/users.db", "init_if_not_exists": True}
    (place / "config.yml").write_text(yaml.safe_dump(configuration))
    with serve_config(place / "config.yml", port=0, announce=False) as server:
        api = f"{server.address}/api/v1"
        login = httpx.post(f"{api}/auth/provider/toy/token", data={"username": "alice", "password": "pass"})
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}

        def key(*scopes, seconds=30 * 86400):
            wanted = {"scopes": list(scopes), "expires_in": seconds}
            return httpx.post(f"{api}/auth/apikey", headers=bearer, json=wanted).json()["secret"]

        yield server, key


def by_name(diagnosis):
    return {check.name: check for check in diagnosis.checks}


def verdicts(diagnosis):
    return {check.name: str(check.verdict) for check in diagnosis.checks}


def runs_in(server):
    answer = httpx.get(
        f"{server.address}/api/v1/search/", headers={"Authorization": f"Apikey {server.api_key}"}
    )
    return [item["id"] for item in answer.json()["data"]]


def tree(directory):
    """Return the files in a directory, but for logs, locks, and what databases make for themselves."""
    passing = re.compile(r"\.(log|lock)$|^storage\.duckdb|^catalog\.db-")
    return sorted(path for path in directory.rglob("*") if not passing.search(path.name))


class Meddler(httpx.HTTPTransport):
    """Sends requests on, but for those that `meddle` answers itself; `change` may change what came back."""

    def __init__(self, meddle=lambda _: None, change=lambda _, response: response):
        super().__init__()
        self.meddle = meddle
        self.change = change

    def handle_request(self, request):
        answer = self.meddle(request)
        if answer is None:
            answer = self.change(request, super().handle_request(request))
        return answer


def meddled(server, **how):
    """Return the server as a target whose requests are meddled with."""

    def connect():
        headers = {"Authorization": f"Apikey {server.api_key}"}
        return Remote(httpx.Client(transport=Meddler(**how), headers=headers), f"{server.address}/api/v1")

    return Target("meddled", connect)


# Healthy


def test_a_healthy_server(ours, readable, tmp_path):
    before = tree(ours.directory)
    requests = []
    where = meddled(ours, meddle=requests.append)
    found = examine(where, journal=tmp_path / "journals", detectors=[readable])
    assert len(requests) < 50  # of some 20 to 40 ms each
    assert [check.name for check in found.checks] == [*JOURNAL, *SERVER, "detector files"]
    assert set(verdicts(found).values()) == {"good"}
    assert found.healthy
    assert found.summary == "11 checks: all good"
    assert [check.advice for check in found.checks if check.advice] == []
    said = {check.name: check.finding for check in found.checks}
    assert re.fullmatch(rf"{ours.address} answers in \d+ ms", said["server"])
    assert said["key"] == f"allows {', '.join(sorted(keys.ALL_SCOPES))}"
    pattern = (
        rf"{trial.ROWS} rows of {len(trial.COLUMNS)} columns written and read back in \d+\.\d s, exactly"
    )
    assert re.fullmatch(pattern, said["tables"])
    assert "Tilewright's storage (duckdb)" in said["live readers"]
    # Nothing is left behind.
    assert runs_in(ours) == []
    assert tree(ours.directory) == before
    assert list(readable.iterdir()) == list(tmp_path.iterdir()) == []


def test_an_embedded_server_and_a_client(ours):
    client = from_uri(ours.uri)
    found = examine(client)
    client.context.close()
    assert [check.name for check in found.checks] == [*JOURNAL, *SERVER]
    assert set(verdicts(found).values()) == {"good"}
    found = examine(ours)
    assert [check.name for check in found.checks] == [*JOURNAL, "catalog", "catalog room", *SERVER]
    assert set(verdicts(found).values()) == {"good"}
    assert found.journal == ours.directory / "journal"


def test_a_container_in_a_server(ours):
    """What is looked at is what runs would be written to: here, not the root."""
    client = from_uri(ours.uri)
    container = client.create_container("runs")
    found = examine(f"{container.uri}?api_key={ours.api_key}")
    assert set(verdicts(found).values()) == {"good"}
    assert list(container) == []
    client.delete_contents(["runs"], external_only=False)
    client.context.close()
    missing = by_name(examine(f"{container.uri}?api_key={ours.api_key}"))
    assert missing["key"].finding == "there is no runs on the server"
    assert missing["tables"].verdict == "not checked"


def test_what_is_no_catalog():
    with pytest.raises(InputError, match=r"cannot write to 7"):
        examine(7)
    with pytest.raises(InputError, match=r"is not the URI of a Tiled server"):
        examine("htps://localhost")


# Directories


def test_a_directory(tmp_path, readable):
    place = tmp_path / "data"
    serve(place, announce=False).close()
    before = tree(place)
    found = examine(place, detectors=[readable])
    assert [check.name for check in found.checks] == [
        *JOURNAL, "catalog", "catalog room", *SERVER, "detector files",
    ]  # fmt: skip
    assert set(verdicts(found).values()) == {"good"}
    assert found.journal == place / "journal"
    assert f"`tilewright serve {place} --readable" in by_name(found)["detector files"].advice
    assert tree(place) == before


def test_a_directory_that_a_server_has_open(ours):
    found = examine(ours.directory)
    assert [check.name for check in found.checks] == [*JOURNAL, "catalog", "catalog room", *SERVER]
    assert (verdicts(found)["server"], verdicts(found)["catalog"]) == ("not checked", "good")
    assert "give its address with the key" in next(check.advice for check in found.checks if check.advice)
    assert found.healthy


def test_a_directory_without_a_catalog(tmp_path):
    found = examine(tmp_path / "nowhere")
    assert by_name(found)["catalog"].finding == f"there is no catalog in {tmp_path}/nowhere"
    assert verdicts(found)["tables"] == "not checked"
    assert not found.healthy
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_moved(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with serve(first, announce=False) as server, closing(target(server).connect()) as remote:
        trial.deliver(remote, "run", trial.trial_run("run", time.time(), trial.SCALARS))
        assert check_paths(first, tables=first / "storage.duckdb").verdict == "good"
        configured = check_paths(first, tables=first / "other.duckdb")
    assert configured.verdict == "warning"
    assert configured.finding.endswith(
        f"has tables in {first}/storage.duckdb, which `tilewright serve` does not read"
    )
    first.rename(second)
    moved = check_paths(second)
    assert moved.verdict == "bad"
    assert f"names {first}/storage.duckdb, which is not there" in moved.finding
    assert moved.advice == f"Move {second} back to where it was."
    (second / "catalog.db").write_bytes(b"no database" * 1000)
    assert "cannot be read: file is not a database" in check_paths(second).finding


# Stock servers


def test_tileds_own_duckdb_storage(server, container):
    found = examine(f"{container.uri}?api_key=secret")
    checks = by_name(found)
    assert verdicts(found) | {"tables": "", "live readers": ""} == dict.fromkeys([*JOURNAL, *SERVER], "good") | {
        "tables": "", "live readers": "",
    }  # fmt: skip
    assert checks["tables"].verdict == "warning"
    assert "integers past 2**53 are rounded" in checks["tables"].finding
    assert checks["live readers"].verdict == "bad"
    assert "Tiled's own DuckDB storage: the server may die" in checks["live readers"].finding
    assert "tree: tilewright.server.catalog:catalog_tree" in checks["live readers"].advice
    assert list(container) == []


def test_sqlite_has_no_lists(tmp_path):
    configuration = local_configuration(tmp_path / "data", "key", [])
    storages = configuration["trees"][0]["args"]["writable_storage"]
    storages[:] = [f"sqlite:///{tmp_path}/data/storage.sqlite"]
    (tmp_path / "config.yml").write_text(yaml.safe_dump(configuration))
    with serve_config(tmp_path / "config.yml", port=0, announce=False) as server:
        checks = by_name(examine(server.uri))
        assert checks["tables"].verdict == "bad"
        assert "no arrays in events" in checks["tables"].finding
        assert checks["live readers"].verdict == "good"
        assert "(sqlite)" in checks["live readers"].finding
        assert checks["arrays"].verdict == "warning"
        assert "writable_storage" in checks["arrays"].advice
        assert runs_in(server) == []


# Keys


def test_a_wrong_key_and_none(ours):
    wrong = by_name(examine(f"{ours.address}?api_key=wrong1234"))
    assert (wrong["key"].verdict, wrong["key"].finding) == ("bad", "the server refuses it: Invalid API key")
    assert wrong["server"].verdict == "good"
    assert wrong["tables"].verdict == "not checked"
    none = by_name(examine(ours.address))
    assert none["key"].finding == "none was given, and the server wants one"
    assert "TILED_API_KEY" in none["key"].advice


def test_a_key_for_everything(several_users):
    server, key = several_users
    found = examine(f"{server.address}?api_key={key('inherit')}")
    assert set(verdicts(found).values()) == {"good"}
    assert by_name(found)["key"].finding.startswith("of alice: allows create:node, ")


def the_key(server, key):
    """Return what is said of a key."""
    with closing(target(f"{server.address}?api_key={key}").connect()) as remote:
        check, _ = keys.check_key(visit.Visit.of(remote))
    return check


@pytest.mark.parametrize(
    ("missing", "verdict", "advice"),
    [
        ("write:data", "bad", "no run can be written without"),
        ("read:metadata", "bad", "ask its owner for a new one"),
        ("register", "warning", "detectors' files cannot be registered"),
        ("delete:node", "warning", "a table that has to be made anew cannot be removed"),
    ],
)
def test_a_key_that_lacks_a_scope(several_users, missing, verdict, advice):
    server, key = several_users
    check = the_key(server, key(*(keys.ALL_SCOPES - {missing})))
    assert check.verdict == verdict
    assert advice in check.advice
    if missing != "read:metadata":
        assert check.finding.endswith(f"; not {missing}")
        assert f"Ask for a key with {missing}" in check.advice


def test_no_trial_that_could_not_be_removed(several_users):
    server, key = several_users
    found = by_name(examine(f"{server.address}?api_key={key(*(keys.ALL_SCOPES - {'delete:revision'}))}"))
    assert found["tables"].verdict == "not checked"
    assert found["tables"].finding == "no trial run was written, for it could not be removed again"
    admin = {"Authorization": f"Apikey {key('inherit')}"}
    assert httpx.get(f"{server.address}/api/v1/search/", headers=admin).json()["data"] == []


def test_a_key_that_runs_out(several_users):
    server, key = several_users
    check = the_key(server, key("inherit", seconds=3600))
    assert check.verdict == "warning"
    assert re.search(r", until 20\d\d-\d\d-\d\d \d\d:\d\d UTC$", check.finding)


@pytest.mark.parametrize(("method", "check"), [("POST", "tables"), ("GET", "key")])
def test_a_key_in_no_finding(ours, method, check):
    """Not even if the server repeats it."""

    def repeat(request):
        if request.method == method and "/metadata/" in request.url.path:
            detail = f"Bad key {request.headers['Authorization']}, api_key={ours.api_key}&"
            return httpx.Response(401, json={"detail": detail}, request=request)
        return None

    found = examine(meddled(ours, meddle=repeat))
    assert verdicts(found)[check] == "bad"
    assert "(key)" in by_name(found)[check].finding
    assert ours.api_key not in str(found) + json.dumps(found.to_dict()) + found._repr_html_()


# Servers that are none


@contextmanager
def answering(status=200, headers=(), body=b"", context=None):
    """Serve one answer to everything, at an address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response_only(status)
            for name, value in {
                "Content-Length": str(len(body)),
                "Connection": "close",
                **dict(headers),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = False
        if context is not None:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'http' if context is None else 'https'}://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


@contextmanager
def listening(say=b""):
    """Take connections; say nothing, or something and good-bye."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take():
            try:
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    connection.sendall(say)
                    if say:
                        connection.shutdown(socket.SHUT_WR)
            except OSError:  # closed
                return

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def the_server(address):
    """Return what the doctor says of a server that is none; all that depends on it is not checked."""
    found = examine(address)
    assert {name: verdicts(found)[name] for name in SERVER[1:]} == dict.fromkeys(SERVER[1:], "not checked")
    assert not found.healthy
    check = by_name(found)["server"]
    assert check.verdict == "bad"
    return check


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    check = the_server(address)
    assert check.finding == f"nobody listens at {address}"
    assert "tilewright serve" in check.advice


def test_a_name_that_is_not_known():
    assert the_server("http://nowhere.invalid:8000").finding == "the name nowhere.invalid is not known (DNS)"


def test_a_server_that_hangs(monkeypatch):
    monkeypatch.setattr(visit, "PATIENCE", 0.2)
    with listening() as address:
        check = the_server(address)
    assert check.finding.startswith(f"{address} takes the connection and does not answer within 0.2 s")


def test_a_server_that_speaks_something_else():
    with listening(b"220 mail.example.org ESMTP\r\n") as address:
        assert "does not speak HTTP" in the_server(address).finding


def test_tls_where_there_is_none():
    with answering() as address:
        check = the_server(address.replace("http:", "https:"))
    assert check.finding.startswith(f"{address.replace('http:', 'https:')} does not speak TLS")
    assert check.advice.startswith("Write http:// instead")


def test_a_certificate_that_nobody_vouches_for(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with answering(context=context) as address:
        check = the_server(address)
    assert check.finding == f"the certificate of {address} is not accepted: self-signed certificate"
    assert "SSL_CERT_FILE" in check.advice


def certificate(place):
    """Make a certificate for this machine, signed by itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = place / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        ({"status": 502}, "{} answers 502 Bad Gateway"),
        ({"status": 401}, "{} lets nobody in (401), not even to ask what it is"),
        ({"status": 404}, "what answers at {} (404) is not a Tiled server"),
        ({"body": b"<html>"}, "what answers at {} (200) is not a Tiled server"),
        ({"body": b'{"detail": 1}'}, "what answers at {} (200) is not a Tiled server"),
        (
            {"status": 301, "headers": {"Location": "https://tiled.example.org/api/v1/?api_key=secret"}},
            "{} sends on to https://tiled.example.org/api/v1/",
        ),
    ],
)
def test_answers_that_are_not_tileds(answer, finding):
    with answering(**answer) as address:
        assert the_server(address).finding == finding.format(address)


def test_a_tiled_server_that_is_old_and_late():
    body = json.dumps({"library_version": "0.1.5"}).encode()
    late = format_datetime(datetime.now(UTC) - timedelta(minutes=2), usegmt=True)
    with answering(body=body, headers={"Date": late}) as address:
        found = by_name(examine(address))
    assert found["server"].verdict == "good"
    assert (found["versions"].verdict, found["clocks"].verdict) == ("warning", "warning")
    assert "Upgrade Tiled on the server" in found["versions"].advice
    assert re.match(r"the server's is 1(19|20) s behind this machine's", found["clocks"].finding)
    assert found["key"].verdict == "not checked"  # its answers make no sense
    with answering(body=body) as address:
        assert by_name(examine(address))["clocks"].finding == "the server does not tell the time"


def test_a_slow_server(ours, monkeypatch):
    monkeypatch.setattr(meeting, "SLOW", 0.0)
    with closing(target(ours).connect()) as remote:
        check, _ = meeting.reach(visit.Visit.of(remote))
    assert (check.verdict, "nothing is lost" in check.advice) == ("warning", True)


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [((-1.5, 0.5), "good"), ((1.9, 3.9), "good"), ((2.1, 4.1), "warning"), ((-9.0, -7.0), "warning")],
)
def test_clocks(clock, verdict):
    assert meeting.check_clock(meeting.Server("0.2.20", 0.01, clock)).verdict == verdict


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("0.2.20", "good"), ("0.2.99.dev1", "good"), ("0.2.19", "warning"), ("9.0", "warning")],
)
def test_versions(version, verdict):
    assert meeting.check_versions(meeting.Server(version, 0.01, None)).verdict == verdict


def test_the_oldest_tiled_is_the_one_asked_for():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    oldest = ".".join(map(str, meeting.OLDEST_TILED))
    assert f"tiled[client]>={oldest}" in project["dependencies"]


# Storage


def test_a_value_that_comes_back_otherwise(ours, monkeypatch):
    exact = storage.differing
    monkeypatch.setattr(storage, "differing", lambda table: [*exact(table), "doctor_int8"])
    check = by_name(examine(ours.uri))["tables"]
    assert check.verdict == "bad"
    assert check.finding == "columns came back other than they were written: doctor_int8"


def test_every_kind_of_difference_is_seen(ours):
    with closing(target(ours).connect()) as remote:
        trial.deliver(remote, "seen", trial.trial_run("seen", time.time(), trial.COLUMNS))
        table = remote.read_table(("seen", "primary", "internal"), list(trial.COLUMNS))
        assert trial.remove(remote, "seen") is None
    assert storage.differing(table) == []
    for number, name in enumerate(trial.COLUMNS):
        column = table.column(name)
        turned = column.take([1, 0, 2, 3])  # two rows in each other's place
        assert storage.differing(table.set_column(number, name, turned)) == [name]
    where = table.schema.get_field_index("doctor_float_gaps")
    for values in ([0.0, math.nan, math.nan, 3.0], [0.0, None, None, 3.0], [0.0, None, 7.0, 3.0]):
        other = table.set_column(where, "doctor_float_gaps", pa.array(values, from_pandas=False))
        assert storage.differing(other) == ["doctor_float_gaps"]


def test_rows_that_get_lost(ours):
    """A server that takes rows, says so, and does not keep them."""

    def swallow(request):
        return (
            httpx.Response(200, json=None, request=request)
            if request.method == "PATCH" and "table" in request.url.path
            else None
        )

    found = examine(meddled(ours, meddle=swallow))
    assert by_name(found)["tables"].verdict == "bad"
    assert runs_in(ours) == []


def test_a_trial_that_cannot_be_removed(ours, monkeypatch):
    def keep(request):
        is_removal = request.method == "DELETE" and "/metadata/" in request.url.path
        return httpx.Response(500, request=request) if is_removal and runs_in(ours) else None

    monkeypatch.setattr(trial, "REMOVAL_PAUSES", (0.0, 0.0))
    found = examine(meddled(ours, meddle=keep))
    checks = by_name(found)
    assert checks["tables"].verdict == "good"
    assert checks["removal"].verdict == "bad"
    for run in runs_in(ours):
        assert run in checks["removal"].finding
        with closing(target(ours).connect()) as remote:
            assert trial.remove(remote, run) is None


def test_a_server_that_hangs_in_between(ours, monkeypatch):
    """Then no more is begun, and what was made is removed."""
    monkeypatch.setattr(storage, "LONG", 0.0)

    def hang(request):
        if request.method == "PATCH" and "table" in request.url.path:
            raise httpx.ReadTimeout("timed out", request=request)

    found = verdicts(examine(meddled(ours, meddle=hang)))
    assert (found["tables"], found["live readers"], found["arrays"]) == ("bad", "not checked", "not checked")
    assert runs_in(ours) == []


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("POST", r"/metadata/$"),
        ("POST", r"/metadata/.+/primary$"),
        ("PATCH", r"/table/partition/"),
        ("GET", r"/table/full/"),
    ],
)
def test_a_server_that_fails_once(ours, readable, method, route):
    """Each trial is made again, and nothing else is blamed for it."""
    failed = []

    def fail_once(request):
        trial_of = re.search(
            r"tilewright-doctor-[0-9a-f]+(-\w+)?", request.url.path + request.content.decode("latin-1")
        )
        if request.method == method and re.search(route, request.url.path) and trial_of[0] not in failed:
            failed.append(trial_of[0])
            return httpx.Response(500, request=request)
        return None

    found = examine(meddled(ours, meddle=fail_once), detectors=[readable])
    assert failed
    assert {name: verdict for name, verdict in verdicts(found).items() if verdict != "good"} == {}
    assert runs_in(ours) == list(readable.iterdir()) == []


def test_no_room_for_the_trial(ours, monkeypatch):
    monkeypatch.setattr(trial.tempfile, "TemporaryDirectory", fail(OSError(28, "No space left on device")))
    tables = by_name(examine(ours.uri))["tables"]
    assert (tables.verdict, "No space left on device" in tables.finding) == ("not checked", True)


def test_an_interruption_in_between(ours):
    def interrupt(request):
        if request.method == "PATCH" and "table" in request.url.path:
            assert runs_in(ours) != []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(meddled(ours, meddle=interrupt))
    assert runs_in(ours) == []


def test_detectors_directories(ours, tmp_path):
    found = examine(ours.uri, detectors=[tmp_path, tmp_path / "nowhere", "/proc/self"])
    unreadable, missing, foreign = [check for check in found.checks if check.name == "detector files"]
    assert unreadable.verdict == "bad"
    assert unreadable.finding.startswith(f"{tmp_path}: the server cannot read a file there")
    assert f"Add {tmp_path} to readable_storage" in unreadable.advice
    assert (missing.verdict, missing.finding.startswith(f"{tmp_path}/nowhere: ")) == ("bad", True)
    assert (foreign.verdict, foreign.finding.startswith("/proc/self: no trial file can be written")) == (
        "not checked", True,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == runs_in(ours) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a while")
def test_what_another_user_may_not_read(tmp_path):
    place = tmp_path / "private" / "data"
    (place / "journal").mkdir(parents=True)
    (place / "catalog.db").touch()
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        found = by_name(examine(place))
    finally:
        os.seteuid(0)
    assert found["journal directory"].finding == f"{place}/journal cannot be written: Permission denied"
    assert found["journals"].finding.startswith(f"cannot read the journals in {place}/journal: ")
    assert (found["catalog"].verdict, found["catalog"].finding) == ("bad", f"{place} may not be read")
    assert found["server"].verdict == "not checked"


# The journal directory


def test_a_journal_directory(tmp_path):
    place = tmp_path / "a" / "b"
    missing = {check.name: check for check in files.check_journal_directory(place)}
    assert missing.keys() == {"journal directory", "journal room"}
    assert "not there yet" in missing["journal directory"].finding
    assert list(tmp_path.iterdir()) == []
    place.mkdir(parents=True, mode=0o700)
    checks = {check.name: check for check in files.check_journal_directory(place)}
    assert {check.verdict for check in checks.values()} == {"good"}
    assert checks["journal mode"].finding == "700, for this user alone"
    place.chmod(0o750)
    mode = {check.name: check for check in files.check_journal_directory(place)}["journal mode"]
    assert (mode.verdict, mode.advice) == ("warning", f"chmod 700 {place}")
    assert list(place.iterdir()) == []


def test_a_file_in_the_place_of_the_journal_directory(tmp_path):
    (tmp_path / "file").touch()
    (check,) = files.check_journal_directory(tmp_path / "file")
    assert (check.verdict, check.finding) == ("bad", f"{tmp_path}/file cannot be written: Not a directory")


def test_a_journal_directory_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_try_writing", fail(OSError(28, "No space left on device")))
    (check,) = files.check_journal_directory(tmp_path)
    assert (check.verdict, check.finding) == ("bad", f"{tmp_path} cannot be written: No space left on device")
    assert check.advice.startswith("Make room there.")


@pytest.mark.parametrize(
    ("mount", "finding"),
    [
        ("server:/home {} nfs4 rw 0 0", "over the network (nfs4 at"),
        ("someone@host: {} fuse.sshfs rw 0 0", "over the network (fuse.sshfs at"),
        ("tmpfs {} tmpfs rw 0 0", "lies in memory (tmpfs at"),
    ],
)
def test_file_systems_that_do_not_suit(tmp_path, monkeypatch, mount, finding):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\n" + mount.format(tmp_path))
    monkeypatch.setattr(files, "MOUNTS", mounts)
    check = files.check_journal_directory(tmp_path)[0]
    assert check.verdict == "warning"
    assert finding in check.finding


@pytest.mark.parametrize(
    ("flock", "finding"),
    [(lambda *_: None, "give the same lock to two at once"), (None, "cannot be locked")],
)
def test_locks_that_do_not_hold(tmp_path, monkeypatch, flock, finding):
    monkeypatch.setattr(files.fcntl, "flock", flock or fail(OSError(37, "No locks available")))
    check = files.check_journal_directory(tmp_path)[0]
    assert check.verdict == "bad"
    assert finding in check.finding


@pytest.mark.parametrize(
    ("total", "free", "verdict"),
    [(100 << 30, 6 << 30, "good"), (100 << 30, 4 << 30, "warning"), (10 << 30, (1 << 30) - 1, "warning")],
)
def test_room(tmp_path, monkeypatch, total, free, verdict):
    usage = shutil.disk_usage(tmp_path)._replace(total=total, free=free)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    assert files.check_room("room", tmp_path).verdict == verdict


def fail(error):
    def failing(*_, **__):
        raise error

    return failing


# Journals


def record(directory, uid, catalog):
    writer = directory.create(Header(uid, catalog, time.time() - 7200, "test"))
    writer.append(encode("start", {"uid": uid, "time": 0.0}))
    return writer


def test_journals_that_wait(tmp_path):
    directory = JournalDirectory(tmp_path)
    name = "http://127.0.0.1:8000/api/v1"

    def journals():
        return check_journals(tmp_path, name)

    assert [check.finding for check in journals()] == ["none"]
    writer = record(directory, "a", name)
    (recording,) = journals()
    assert (recording.verdict, recording.finding[:16]) == ("good", "1 being recorded")
    writer.close()
    (waiting,) = journals()
    assert waiting.verdict == "warning"
    assert re.fullmatch(
        r"1 journal \(\d+ bytes, the oldest of 2 h ago\) for this catalog, and nobody delivers",
        waiting.finding,
    )
    assert f"`tilewright deliver --catalog {name} --journal {tmp_path}`" in waiting.advice
    claim = directory.claim(writer.path)
    (delivering,) = journals()
    assert (delivering.verdict, "1 being delivered" in delivering.finding) == ("good", True)
    claim.release()
    directory.archive(writer.path, verified=False)
    record(directory, "b", "http://elsewhere/api/v1").close()
    (tmp_path / "c.twj").write_text("no journal")
    assert [(check.verdict, re.sub(r" \(.*?\)", "", check.finding)) for check in journals()] == [
        ("warning", "1 journal for other catalogs: http://elsewhere/api/v1"),
        ("warning", "1 journal, delivered as far as they could be read and understood"),
        ("bad", "1 journal that cannot be read, such as c.twj"),
    ]


# The diagnosis


def test_a_diagnosis():
    checks = (
        Check("one", Verdict.GOOD, "as it should be"),
        Check("two", Verdict.WARNING, "<b>so</b>", "Change it."),
        Check("three", Verdict.NOT_CHECKED, "no server"),
    )
    found = Diagnosis("http://x", Path("/j"), checks)
    assert found.healthy
    assert str(found).splitlines() == [
        "good         one: as it should be",
        "warning      two: <b>so</b>",
        "             -> Change it.",
        "not checked  three: no server",
        "3 checks: 1 warning, 1 not checked",
    ]
    assert "&lt;b&gt;so&lt;/b&gt;" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["checks"][1] == {
        "name": "two", "verdict": "warning", "finding": "<b>so</b>", "advice": "Change it.",
    }  # fmt: skip
    sick = Diagnosis("x", Path("/j"), (*checks, Check("four", Verdict.BAD, "gone", "Get it back.")))
    assert not sick.healthy
    assert sick.summary == "4 checks: 1 bad, 1 warning, 1 not checked"
