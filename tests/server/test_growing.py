"""The steps by which an array in files becomes longer while its detector writes, as the server takes them."""

import threading

import numpy as np
import pytest

from tilewright.delivery import target
from tilewright.delivery.failures import NotThereError
from tilewright.delivery.steps import Bundle, Create, LookAgain, Update
from tilewright.formats.checking import DECLARED, FILES
from tilewright.server import growing, serve

PATH = ("array",)


@pytest.fixture(scope="module")
def server(readable):
    with serve(readable_storage=[readable], announce=False) as server:
        yield server


@pytest.fixture
def remote(catalog):
    return target(catalog).connect()


@pytest.fixture
def ask(remote):
    """Return a function that has one step taken, and returns what came of it."""

    def ask(step):
        bundle, results = Bundle(remote), []
        bundle.add(step, results.append)
        bundle.send()
        return results[0]

    return ask


def write(folder, *rows):
    for row in rows:
        np.save(folder / f"{row}.npy", np.full((2, 2), row, dtype="<u2"))


def images(folder, rows, first=0, **described):
    """Return the data source of so many images, with its files from the first new one on."""
    structure = {
        "data_type": {"endianness": "little", "kind": "u", "itemsize": 2, "dt_units": None},
        "chunks": [[1] * rows or [0], [2], [2]],
        "shape": [rows, 2, 2],
        "dims": None,
        "resizable": False,
    }
    names = ("data_uri", "is_directory", "parameter", "num")
    files = [
        dict(zip(names, (f"file://localhost{folder}/{number}.npy", False, "data_uris", number), strict=True))
        for number in range(first, rows)
    ]
    return {
        "structure_family": "array",
        "structure": structure,
        "mimetype": "multipart/related;type=application/x-npy",
        "parameters": {},
        "management": "external",
        "assets": files,
        **described,
    }


def create(folder, rows, *, growing=True):
    return Create(PATH, "array", {}, [], images(folder, rows), growing=growing)


def published(remote):
    node = remote.get(PATH)
    return node.structure["shape"][0], node.data_source["properties"]


def test_the_answers_say_how_many_rows_are_published(folder, ask, remote):
    write(folder, 0, 1)
    made = ask(create(folder, 3)).data_source
    assert made["rows"] == 2
    assert ask(Update(PATH, images(folder, 5, 3, id=made["id"]), growing=True)) == 2
    rows, properties = published(remote)
    assert (rows, properties[FILES]) == (2, 2)
    assert properties[DECLARED] == {"structure": images(folder, 5)["structure"], "properties": {}}
    assert ask(LookAgain(PATH, made["id"])) == 2
    write(folder, 2, 3)
    assert ask(LookAgain(PATH, made["id"])) == 4
    write(folder, 4)
    assert ask(LookAgain(PATH, made["id"])) == 5
    assert ask(LookAgain(PATH, made["id"])) == 5
    assert published(remote) == (5, {})
    assert len(remote.get(PATH).data_source["assets"]) == 5


def test_steps_that_do_not_say_so_publish_what_they_say(folder, ask, remote):
    """Such as those of a delivery of an earlier version, and at the end of a run."""
    made = ask(create(folder, 3, growing=False)).data_source
    assert made["rows"] == 3
    assert ask(Update(PATH, images(folder, 4, 3, id=made["id"]))) == 4
    assert published(remote) == (4, {})


def test_an_update_that_comes_late_changes_nothing(folder, ask, remote):
    write(folder, 0, 1)
    made = ask(create(folder, 1)).data_source["id"]
    late = Update(PATH, images(folder, 3, 1, id=made), growing=True)
    assert ask(late) == 2
    assert ask(Update(PATH, images(folder, 5, 3, id=made), growing=True)) == 2
    before = remote.get(PATH)
    assert ask(late) == 2
    assert remote.get(PATH) == before
    write(folder, 2, 3)
    assert ask(late) == 2  # what it promises is less than what is promised by now
    assert ask(LookAgain(PATH, made)) == 4
    assert ask(late) == 4
    write(folder, 4)
    assert ask(LookAgain(PATH, made)) == 5
    before = remote.get(PATH)
    assert ask(late) == 5
    assert remote.get(PATH) == before
    assert len(before.data_source["assets"]) == 5


def test_an_array_of_another_kind_is_replaced(folder, ask, remote):
    """As when a data key is declared anew."""
    write(folder, 0, 1)
    made = ask(create(folder, 3)).data_source["id"]
    other = images(folder, 2, id=made)
    other["structure"] |= {"shape": [2, 4], "chunks": [[1, 1], [4]]}
    assert ask(Update(PATH, other | {"assets": []}, growing=True)) == 2
    assert remote.get(PATH).structure["shape"] == [2, 4]


def test_two_requests_at_once_take_turns(folder, ask, remote, catalog, monkeypatch):
    """The end of the run arrives while an earlier request, given up by its client, still looks at a slow disk."""
    made = ask(create(folder, 3)).data_source["id"]
    looking, over = threading.Event(), threading.Event()
    look = growing.look

    def slow(*arguments):
        looking.set()
        over.wait()
        return look(*arguments)

    monkeypatch.setattr(growing, "look", slow)

    def send(step, done):
        bundle = Bundle(target(catalog).connect())
        bundle.add(step, done.append)
        bundle.send()

    late, last = [], []
    threads = [threading.Thread(target=send, args=(LookAgain(PATH, made), late))]
    threads[0].start()
    looking.wait()
    threads.append(threading.Thread(target=send, args=(Update(PATH, images(folder, 3, 3, id=made)), last)))
    threads[1].start()
    write(folder, 0)
    over.set()
    for thread in threads:
        thread.join()
    assert (late, last) == ([1], [3])
    assert published(remote) == (3, {})


def test_nowhere(folder, ask):
    made = ask(create(folder, 1)).data_source["id"]
    for step in (
        LookAgain(("none",), made),
        LookAgain(PATH, made + 1),
        Update(PATH, images(folder, 1), growing=True),
    ):
        with pytest.raises(NotThereError):
            ask(step)


@pytest.mark.parametrize(
    "mimetype", ["multipart/related;type=application/x-npy", "application/x-hdf5", "application/x-zarr"]
)
@pytest.mark.parametrize("rows", [[2], [1, 1]])
def test_an_array_without_rows_can_be_read(mimetype, rows, tmp_path, ask, readable, remote):
    """As JSON: Tiled cannot send as bytes what has none."""
    described = images(
        readable / "nowhere" / tmp_path.name, len(rows), mimetype=mimetype, properties={"rows": rows}
    )
    described["structure"] |= {"shape": [2, 2, 2], "chunks": [[1, 1], [2], [2]]}
    if mimetype.startswith("multipart"):
        described = images(readable / "nowhere" / tmp_path.name, 2)
    else:
        described["parameters"] = {"dataset": "d"} if mimetype.endswith("hdf5") else {}
    assert ask(Create(PATH, "array", {}, [], described, growing=True)).data_source["rows"] == 0
    answer = remote.http.get(
        "/".join((remote.api, "array", "full", *remote.root, *PATH)), headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (200, [])
