"""`tilewright doctor`: what is printed, and with which exit status."""

import io
import json
import os
import signal

import pytest
from rich.console import Console

from tilewright.cli import doctor
from tilewright.clients.doctor import Check, Diagnosis, Verdict
from tilewright.clients.doctor import server as doctor_server


@pytest.fixture
def diagnosis(tmp_path):
    checks = (
        Check("server", Verdict.GOOD, "http://x answers in 5 ms"),
        Check("key", Verdict.WARNING, "allows [red]little[/red]", "Ask for more."),
        Check("tables", Verdict.NOT_CHECKED, "no trial run was written"),
    )
    return Diagnosis("http://x", tmp_path, checks)


def test_a_healthy_catalog(cli, address, monkeypatch):
    monkeypatch.setattr(doctor_server, "SLOW", 60)  # how busy this machine is, is not what is asked
    result = cli("doctor", "--catalog", address)
    assert (result.status, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line for line in lines[:-1] if not line.startswith("good         ")] == []
    assert lines[-1] == f"{len(lines) - 1} checks: all good"
    assert address.partition("api_key=")[2] not in result.out


def test_something_bad(cli, address, tmp_path):
    result = cli(
        "doctor",
        "--catalog",
        address,
        "--detectors",
        tmp_path / "nowhere",
        "--journal",
        tmp_path / "journals",
    )
    assert (result.status, result.err) == (1, "")
    assert f"bad          detector files: {tmp_path}/nowhere: there is no such directory" in result.out
    assert "             -> Check the path." in result.out.splitlines()
    assert f"{tmp_path}/journals" in result.out
    assert list(tmp_path.iterdir()) == []


def test_json(cli, tmp_path):
    result = cli("doctor", "--catalog", tmp_path / "nowhere", "--json")
    found = json.loads(result.out)
    assert (result.status, found["healthy"], found["catalog"]) == (1, False, str(tmp_path / "nowhere"))
    assert {check["name"]: check["verdict"] for check in found["checks"]}["catalog"] == "bad"


def test_the_default_is_the_usual_directory(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("doctor")
    assert result.status == 1
    assert f"there is no catalog in {tmp_path}/tilewright_data" in result.out


def test_a_wrong_address_is_an_error(cli):
    result = cli("doctor", "--catalog", "htps://x?api_key=secret")
    assert (result.status, result.error) == (
        1, "tilewright: 'htps://x' is not the URI of a Tiled server: expected http://… or https://…",
    )  # fmt: skip


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_on_a_terminal(diagnosis, width):
    page = io.StringIO()
    Console(file=page, width=width, force_terminal=True).print(doctor._table(diagnosis))
    lines = page.getvalue().splitlines()
    text = " ".join(page.getvalue().split())
    assert len(lines) >= 6
    for part in ("answers", "[red]little[/red]", "more."):
        assert part in text
    for mark, verdict in (("✓", "good"), ("!", "warning"), ("-", "not checked")):
        assert f"{mark} {verdict}" in text


def test_sigterm_unwinds():
    """So that a trial run under way is removed."""
    before = signal.getsignal(signal.SIGTERM)
    removed = []

    def examine():
        with doctor._ended_in_order():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                signal.pause()
            finally:
                removed.append(True)

    with pytest.raises(SystemExit) as end:
        examine()
    assert (end.value.code, removed) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) is before
