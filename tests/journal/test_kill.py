"""A process that records is killed at any instant; what it had recorded is there."""

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time

import pytest

from tilewright.journal import JournalDirectory, JournalReader, encode

ROUNDS = 20
LONGEST = 0.03
"""Seconds that a process records at most."""
RECORDER = '''
"""Forks a process for each line, which records without a pause and counts what it has recorded in shared memory."""
import itertools, mmap, os, struct, sys
from pathlib import Path
from tilewright.journal import JournalDirectory, Recorder

def documents(size):
    yield "start", {"uid": "run", "time": 0.0}
    yield "descriptor", {"uid": "d", "run_start": "run", "time": 0.0, "data_keys": {}, "name": "primary"}
    for number in itertools.count(2):
        yield "event", {"uid": f"e{number}", "descriptor": "d", "seq_num": number, "filler": "x" * size}

def record(folder, size):
    count = mmap.mmap(os.open(folder / "count", os.O_RDWR), 8)
    recorder = Recorder(JournalDirectory(folder / "journal"), "http://catalog", lambda *_: None, lambda *_: None)
    for number, document in enumerate(documents(size), 1):
        recorder.record(*document)
        struct.pack_into("<q", count, 0, number)

for line in sys.stdin:
    folder, size = line.split()
    pid = os.fork()
    if pid == 0:
        record(Path(folder), int(size))
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("ended", flush=True)
'''


@pytest.fixture(scope="module")
def recorder():
    with subprocess.Popen(
        [sys.executable, "-c", RECORDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def counter(tmp_path):
    """Return memory shared with the recording process: how many documents it has recorded."""
    path = tmp_path / "count"
    path.write_bytes(bytes(8))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8) as count:
        yield lambda: struct.unpack("<q", count)[0]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_no_document_is_lost_whose_callback_had_returned(recorder, tmp_path, counter, number):
    chance = random.Random(number)
    recorder.stdin.write(f"{tmp_path} {chance.choice([0, 400, 100_000])}\n")
    recorder.stdin.flush()
    pid = int(recorder.stdout.readline())
    while number % 5 and not counter():  # else it is killed before it has begun, or while it begins
        time.sleep(0.001)
    time.sleep(chance.uniform(0, LONGEST))
    os.kill(pid, signal.SIGKILL)
    assert recorder.stdout.readline() == "ended\n"
    acknowledged = counter()

    directory = JournalDirectory(tmp_path / "journal")
    path = directory.find("run", "http://catalog")
    if path is None:
        assert acknowledged == 0
        return
    assert not directory.is_recording(path)
    with JournalReader(path) as reader:
        documents = list(reader)
        assert reader.torn_bytes() == reader.size() - reader.position
        assert reader.damage == []
    assert acknowledged <= len(documents) <= acknowledged + 1
    assert [doc["seq_num"] for name, doc in documents[2:]] == list(range(2, len(documents)))
    writer = directory.reopen(path)
    writer.append(encode("stop", {"run_start": "run"}))
    writer.close()
    with JournalReader(path) as reader:
        assert list(reader) == [*documents, ("stop", {"run_start": "run"})]
        assert reader.damage == []
