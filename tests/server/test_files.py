"""The route that looks at the files behind a run: who may ask, what is opened, and that it does not fall silent."""

import json
import os
import time
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from tiled.structures.array import ArrayStructure
from tiled.structures.core import Spec
from tiled.structures.data_source import Asset, DataSource

from tilewright.formats import looking
from tilewright.server import files, serve

NPY = "multipart/related;type=application/x-npy"


@pytest.fixture(scope="module")
def server(readable):
    with serve(readable_storage=[readable], announce=False) as server:
        yield server


@pytest.fixture
def run(client):
    """A run with one stream, as a plain container."""
    run = client.create_container(uuid.uuid4().hex, specs=[Spec("BlueskyRun", "3.0")])
    run.create_container("primary", specs=[Spec("BlueskyEventStream", "3.0")])
    return run


@pytest.fixture
def add(run):
    """Return a function that registers an array of NPY files in the stream."""

    def add(key, *uris):
        structure = ArrayStructure.from_array(np.zeros((len(uris), 2), "<u2"))
        assets = [Asset(str(uri), False, "data_uris", number) for number, uri in enumerate(uris)]
        source = DataSource("array", structure, None, NPY, {}, {}, assets, "external")
        run["primary"].base.new("array", [source], key=key, metadata={}, specs=[])

    return add


def ask(server, path, *, key=True):
    headers = {"Authorization": f"Apikey {server.api_key}"} if key else {}
    return httpx.get(f"{server.address}/api/v1/tilewright/files/{path}", headers=headers)


def address(path):
    return f"file://localhost{path}"


def found(answer):
    assert answer.status_code == httpx.codes.OK, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_only_runs_and_streams_and_only_with_a_key(server, client, run):
    client.create_container("box")
    path = run.path_parts[-1]
    assert ask(server, path, key=False).status_code == httpx.codes.UNAUTHORIZED
    assert ask(server, "box").status_code == httpx.codes.NOT_FOUND
    assert ask(server, "").status_code == httpx.codes.NOT_FOUND
    assert ask(server, f"{path}/away").status_code == httpx.codes.NOT_FOUND
    assert found(ask(server, path)) == []
    assert found(ask(server, f"{path}/primary")) == []


def test_what_is_found(server, run, add, readable):
    np.save(readable / "a.npy", np.zeros(2, "<u2"))
    np.save(readable / "b.npy", np.zeros(2, "<f4"))
    add("sound", address(readable / "a.npy"))
    add("other", address(readable / "b.npy"), address(readable / "no.npy"))
    add("far", "https://example.org/x.npy")
    path = run.path_parts[-1]
    arrays = {tuple(each["path"]): each for each in found(ask(server, path))}
    assert list(arrays) == [("primary", "sound"), ("primary", "other"), ("primary", "far")]
    kinds = {key[1]: [each["kind"] for each in it["verdict"]["findings"]] for key, it in arrays.items()}
    assert kinds == {"sound": [], "other": ["dtype", "missing"], "far": ["unreadable"]}
    assert arrays["primary", "sound"]["verdict"]["right"] == arrays["primary", "sound"]["source"]
    assert [each["path"] for each in found(ask(server, f"{path}/primary"))] == [["sound"], ["other"], ["far"]]


def test_nothing_outside_the_readable_storage_is_touched(server, run, add, readable, tmp_path, monkeypatch):
    """Not even whether it is there is told, whichever way it is written."""
    np.save(tmp_path / "x.npy", np.zeros(2, "<u2"))
    np.save(readable / "in.npy", np.zeros(2, "<u2"))
    (readable / "sub").mkdir(exist_ok=True)
    around = os.path.relpath(tmp_path / "x.npy", readable)
    add("plain", address(tmp_path / "x.npy"))
    add("around", address(f"{readable}/{around}"))
    add("database", f"duckdb:///{tmp_path}/x.npy")
    add("relative", f"duckdb:///x/{readable}/in.npy")
    add("away", address(tmp_path / "no.npy"))
    add("inside", address(f"{readable}/sub/../in.npy"))
    add("odd", address(f"{readable}/s p%20#ä/in.npy"))
    opened = []
    monkeypatch.setattr(looking, "_open", lambda path, **_: opened.append(path))
    monkeypatch.setattr(looking, "_measure", lambda path, _: opened.append(path))
    arrays = found(ask(server, run.path_parts[-1]))
    kinds = {each["path"][-1]: [one["kind"] for one in each["verdict"]["findings"]] for each in arrays}
    inside = ("inside", "odd")
    outside = ("plain", "around", "database", "relative", "away")
    assert kinds == {key: ["outside"] for key in outside} | {key: [] for key in inside}
    assert {Path(os.path.normpath(path)) for path in opened} == {readable / "in.npy", readable / "s p%20"}


def test_a_pipe_is_not_waited_for(server, run, add, readable):
    os.mkfifo(readable / "pipe.npy")
    add("pipe", address(readable / "pipe.npy"))
    (array,) = found(ask(server, run.path_parts[-1]))
    (finding,) = array["verdict"]["findings"]
    assert finding["kind"] == "unreadable"
    assert finding["text"] == "cannot be opened: is neither a file nor a directory"


def test_a_file_that_may_not_be_opened(server, run, add, readable, monkeypatch):
    np.save(readable / "shut.npy", np.zeros(2, "<u2"))
    add("shut", address(readable / "shut.npy"))

    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(looking, "_open", refuse)
    (array,) = found(ask(server, run.path_parts[-1]))
    (finding,) = array["verdict"]["findings"]
    assert finding["kind"] == "unreadable"
    assert array["verdict"]["right"] is None


def test_a_slow_disk_is_no_silence_and_holds_up_nobody(server, run, add, readable, monkeypatch):
    np.save(readable / "slow.npy", np.zeros(2, "<u2"))
    add("slow", address(readable / "slow.npy"))
    monkeypatch.setattr(files, "_SIGN_OF_LIFE_SECONDS", 0.05)
    is_slow = looking._open

    def slowly(path, **arguments):
        time.sleep(0.5)
        is_slow(path, **arguments)

    monkeypatch.setattr(looking, "_open", slowly)
    answer = ask(server, run.path_parts[-1])
    assert answer.text.startswith("\n\n")
    assert len(found(answer)) == 1
