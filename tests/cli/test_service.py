"""The systemd unit: what it runs exists, and systemd takes every line of it."""

import os
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from typer.main import get_command

from tilewright.cli import app
from tilewright.journal.directory import ENVIRONMENT_VARIABLE

UNIT = Path(__file__).parents[2] / "server_config" / "tilewright-deliver.service"


@pytest.fixture(scope="module")
def service():
    unit = ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    assert unit.sections() == ["Unit", "Service", "Install"]
    return unit["Service"]


def test_every_option_is_one_of_the_command(service):
    program, command, *options = service["ExecStart"].split()
    assert Path(program).name == "tilewright"
    known = {name for parameter in get_command(app).commands[command].params for name in parameter.opts}
    used = {option for option in options if option.startswith("-")}
    assert used == {"--watch", "--journal"}
    assert used <= known
    mentioned = set(re.findall(r"--[a-z-]+(?= FILE in ExecStart)", UNIT.read_text()))
    assert mentioned == {"--key-file"}
    assert mentioned <= known


def test_it_may_write_where_the_journals_are(service):
    options = service["ExecStart"].split()
    journal = options[options.index("--journal") + 1]
    assert service["ReadWritePaths"] == journal
    text = UNIT.read_text()
    assert f"RequiresMountsFor={journal}\n" in text
    assert f"{ENVIRONMENT_VARIABLE}={journal} " in text


def test_the_key_is_in_a_file_of_its_own(service):
    assert "install -D -m 600 /dev/stdin " + service["EnvironmentFile"] in UNIT.read_text()
    assert not {"Environment", "PassEnvironment"} & set(service)
    assert service["Restart"] == "on-failure"


def test_the_variables_it_names_are_read():
    from tilewright.cli.common import CATALOG_VARIABLE
    from tilewright.delivery.target import KEY_VARIABLE
    from tilewright.writer import DELIVER_VARIABLE

    named = set(re.findall(r"\b(TIL\w+)=", UNIT.read_text()))
    assert named == {CATALOG_VARIABLE, KEY_VARIABLE, DELIVER_VARIABLE, ENVIRONMENT_VARIABLE}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_takes_it(service, tmp_path):
    command = tmp_path / "tilewright"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(service["ExecStart"].split()[0], str(command)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, complaints) == (0, []), done.stderr
