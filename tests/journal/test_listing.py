import os
import time

import pytest

from tilewright.journal import Header, JournalDirectory, Twin, encode

HEADER = Header("run", "http://one/api/v1", 3.0, "test")


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path)


def fill(writer, numbers):
    ends = []
    for number in numbers:
        writer.append(encode("event", {"number": number}))
        ends.append(writer._file.position())
    return ends


def make(directory, header=HEADER, numbers=range(5)):
    writer = directory.create(header)
    fill(writer, numbers)
    writer.close()
    return writer.path


def header(uid):
    return Header(uid, None, 0.0, "test")


def test_every_file_is_listed_with_its_state(directory):
    recording = directory.create(header("recording"))
    paths = {
        state: make(directory, header(state)) for state in ("waiting", "delivered", "unverified", "claimed")
    }
    (directory.path / "unreadable.twj").write_bytes(b"something else")
    (directory.delivered / "old.twj").write_bytes(b"")
    (directory.path / "nowhere.twj").symlink_to("not-there")
    for verified, name in ((True, "delivered"), (False, "unverified")):
        directory.archive(paths[name], verified=verified)
    claim = directory.claim(paths["claimed"])
    for age, name in enumerate(("recording", "waiting", "claimed", "unreadable")):
        os.utime(directory.path / f"{name}.twj", (time.time() - 1000 + age,) * 2)
    entries = {entry.path.stem: entry for entry in directory.entries()}
    assert list(entries) == [
        *("nowhere", "recording", "waiting", "claimed", "unreadable", "old", "delivered", "unverified")
    ] or list(entries)[:5] == ["nowhere", "recording", "waiting", "claimed", "unreadable"]
    assert {name: entry.state for name, entry in entries.items()} == {
        "nowhere": "unreadable",
        "recording": "recording",
        "waiting": "waiting",
        "claimed": "waiting",
        "unreadable": "unreadable",
        "old": "unreadable",
        "delivered": "delivered",
        "unverified": "unverified",
    }
    assert entries["waiting"].header == header("waiting")
    assert entries["waiting"].problem is None
    assert entries["waiting"].size == paths["waiting"].stat().st_size
    assert entries["waiting"].modified == paths["waiting"].stat().st_mtime
    assert entries["waiting"].claimant is None
    assert entries["claimed"].claimant.pid == os.getpid()
    assert "it begins with b'somethin', expected" in entries["unreadable"].problem
    assert entries["old"].problem.startswith(
        f"{directory.delivered / 'old.twj'} is not a Tilewright journal: it is empty"
    )
    assert entries["nowhere"].problem.endswith(
        "nowhere.twj cannot be read: No such file or directory (a symbolic link to not-there)"
    )
    claim.release()
    recording.close()


def test_a_damaged_header_is_a_problem_of_a_readable_journal(directory):
    path = make(directory)
    data = bytearray(path.read_bytes())
    data[30] ^= 0xFF
    path.write_bytes(data)
    (entry,) = directory.entries()
    assert (entry.state, entry.header.run) == ("waiting", "run")
    assert "damaged header" in entry.problem
    assert directory.find("run", HEADER.catalog) == path


@pytest.mark.parametrize(
    ("numbers", "relation", "where"),
    [
        (range(5), "same", None),
        (range(3), "shorter", 2),
        (range(0), "shorter", -1),
        (range(9), "longer", 4),
        ([0, 1, 7, 3, 4], "different", 1),
        ([7], "different", -1),
    ],
)
def test_other_journals_of_a_run_are_compared_with_it(directory, numbers, relation, where):
    twin = make(directory, Header(HEADER.run, HEADER.catalog, 9.0, "another software"), numbers)
    twin.rename(directory.delivered / "any name.twj")
    make(directory, Header(HEADER.run, "http://another", 3.0, "test"))
    make(directory, header("another"))
    (directory.path / "no journal.twj").write_bytes(b"")
    writer = directory.create(HEADER)
    ends = [writer._file.position(), *fill(writer, range(5))]
    offset = None if where is None else ends[where + 1]
    assert directory.same_run(writer.path) == [Twin(directory.delivered / "any name.twj", relation, offset)]
    writer.close()


def test_a_link_to_the_same_file_is_no_other_journal(directory):
    path = make(directory)
    (directory.path / "link.twj").symlink_to(path)
    os.link(path, directory.delivered / path.name)
    assert directory.same_run(path) == []


def test_damage_makes_a_difference_where_it_is(directory):
    path = make(directory)
    twin = directory.delivered / path.name
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    twin.write_bytes(data)
    ((relation, offset),) = [(twin.relation, twin.offset) for twin in directory.same_run(path)]
    assert relation == "shorter"
    assert offset < path.stat().st_size
