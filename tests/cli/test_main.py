"""The command line as a whole: help, version, errors."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from tilewright.cli import app, main
from tilewright.errors import InputError

COMMANDS = [command.callback.__name__ for command in app.registered_commands]
GROUPS = [group.name for group in app.registered_groups]


def test_the_commands():
    assert COMMANDS == [
        "demo",
        "serve",
        "replay",
        "deliver",
        "doctor",
        "runs",
        "show",
        "table",
        "verify",
        "plot",
    ]
    assert GROUPS == ["record", "process", "journal"]


def test_help_names_every_command(cli):
    result = cli("--help")
    assert result.status == 0
    assert all(f"\n  {command} " in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    result = cli(command, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: tilewright {command} ")
    assert result.err == ""


def test_help_shows_brackets_as_they_are(cli):
    assert '[name, document] or {"name",' in cli("replay", "--help").out


def test_version(cli):
    assert cli("--version").out == f"tilewright {version('tilewright')}\n"


def test_no_command_shows_the_help(cli):
    result = cli()
    assert "Commands:" in result.out + result.err


@pytest.mark.parametrize("arguments", [["fly"], ["runs", "--colour"], ["show"], ["runs", "--limit", "-3"]])
def test_a_usage_error_has_status_2(cli, arguments):
    result = cli(*arguments)
    assert result.status == 2
    assert "Error: " in result.err


def test_an_error_is_one_line_and_status_1(cli, tmp_path):
    result = cli("runs", "--catalog", tmp_path / "nowhere")
    assert result.status == 1
    assert result.error.startswith("tilewright: There is no catalog")
    assert result.error.endswith("Name one with --catalog, or with TILEWRIGHT_CATALOG.")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_verbose_raises_wherever_it_stands(tmp_path, place):
    arguments = ["replay", str(tmp_path / "nothing.json"), "--catalog", str(tmp_path)]
    arguments.insert(place, "--verbose")
    with pytest.raises(InputError, match=r"cannot replay .*nothing\.json: No such file"):
        main(arguments)


def test_verbose_shows_the_traceback(tmp_path):
    command = [sys.executable, "-c", "from tilewright.cli import main; main()"]
    arguments = ["replay", "nothing.json", "--verbose"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "InputError: cannot replay nothing.json" in done.stderr


def test_an_error_nobody_thought_of_is_one_line_too(cli, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr("tilewright.clients.open_catalog", fail)
    result = cli("runs")
    assert result.status == 1
    assert (
        result.error == "tilewright: unexpected ZeroDivisionError: division by zero (--verbose shows where)"
    )


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from tilewright.cli import main; main()", "--version"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
