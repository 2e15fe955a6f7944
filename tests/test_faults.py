"""Exactly once, whatever the server does: each fault between a writer and a real server, and a slice of the campaign."""

import contextlib
import dataclasses
import doctest
import importlib
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pandas as pd
import psutil
import pytest

from tilewright import TiledWriter, open_catalog
from tilewright.delivery import nodes, worker
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs
from tilewright.testing.faults import Answer, Cut, Down, Late, Reset, Silence, Slow, Withhold
from tilewright.testing.proxy import FaultyProxy

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
APPEND = {"method": "PATCH", "route": "table/partition"}
BUNDLE = {"method": "POST", "route": "tilewright/bundle"}
SILENCE_SECONDS = 0.6
"""After which the delivery takes the server for gone, in these tests."""
ALLOWED_CALL = 0.5
"""Seconds that a call for a document may take on a busy machine: no request is waited for, but for the stop document's."""

FAULTS = {
    "dies of a request": Down(0.3),
    "silence": Silence(),
    "reset before the request is through": Reset(0.5),
    "reset when the request is through": Reset(1.0),
    "500": Answer(500),
    "502": Answer(502),
    "503": Answer(503),
    "429": Answer(429, retry_after=1),
    "401": Answer(401),
    "403": Answer(403),
    "commits and answers 500": Answer(500, committed=True),
    "commits and answers 502": Answer(502, committed=True),
    "commits and never answers": Withhold(),
    "answers when the client has given up": Withhold(SILENCE_SECONDS + 0.3),
    "half an answer": Cut(0.5),
    "no answer but an end": Cut(0.0),
    "commits when the client was cut off": Late(0.5),
    "commits long after, when all is done": Late(2.5),
    "commits when the client has given up": Late(0.4, hang_up=False),
    "slow": Slow(latency=0.3, bytes_per_second=40_000),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Make the delivery wait less than it would: what is late here is late by more than that."""
    monkeypatch.setenv("TILEWRIGHT_TIMEOUT", str(SILENCE_SECONDS))
    monkeypatch.setattr(worker, "FIRST_RETRY", 0.1)
    monkeypatch.setattr(nodes, "SETTLE_SECONDS", 0.3)


@pytest.fixture
def proxy(server):
    with FaultyProxy(server.uri) as proxy:
        yield proxy


@pytest.fixture
def writer(proxy, tmp_path):
    with TiledWriter(
        proxy.uri, journal=tmp_path / "journal", on_stop="return", deliver="thread", strict=True
    ) as writer:
        yield writer


@pytest.fixture
def assert_there_once(server):
    """Return a function that compares what was given with what can be read, once nothing is under way any more."""

    def check(proxy, documents):
        assert proxy.settle(10)
        with open_catalog(server.uri) as catalog:
            assert compare_runs(documents, catalog.__getitem__) == []
            report = catalog[documents[0][1]["uid"]].metadata["tilewright"]
        assert (report["state"], report["verified"]) == ("complete", True)

    return check


def deletions(proxy):
    return [record for record in proxy.log if record.method == "DELETE" and "/metadata/" in record.path]


def write(writer, documents):
    """Give documents; return the longest that a call took."""
    longest = 0.0
    for name, doc in documents:
        began = time.monotonic()
        writer(name, doc)
        longest = max(longest, time.monotonic() - began)
    return longest


@pytest.fixture
def stock(proxy):
    """Have the proxy hide what a stock server of Tiled's does not have."""
    proxy.inject(Answer(404), route="tilewright", times=None)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("where", [BUNDLE, APPEND], ids=["ours", "stock"])
def test_each_row_once(writer, proxy, assert_there_once, fault, where, request):
    """The fault hits the second request with rows, in mid-run."""
    if where is APPEND:
        request.getfixturevalue("stock")
    documents = simple_run(events=60)
    hit = proxy.inject(fault, **where, nth=2)
    longest = write(writer, documents[:30])
    assert writer.flush(20)
    longest = max(longest, write(writer, documents[30:]))
    assert longest < ALLOWED_CALL
    assert writer.flush(20)
    assert hit.hits == 1
    assert_there_once(proxy, documents)
    assert writer.status().waiting == ()
    assert deletions(proxy) == []  # it was right at once, not made anew in the end


@pytest.mark.parametrize(
    "fault",
    [Answer(500, committed=True), Late(0.5)],
    ids=["done and answered 500", "done late"],
)
@pytest.mark.usefixtures("stock")
def test_every_kind_of_request(writer, proxy, assert_there_once, fault):
    """Nodes being made, rows, their count, the report, the end of live streams: the first of each."""
    documents = simple_run(events=20)
    routes = ["metadata", "table/partition", "table/full", "stream/close"]
    hits = [proxy.inject(fault, route=route) for route in routes]
    hits.append(proxy.inject(fault, method="PATCH", route="metadata"))
    write(writer, documents)
    assert writer.flush(30)
    assert [hit.hits for hit in hits] == [1] * 5
    assert_there_once(proxy, documents)


def test_a_deletion_that_arrives_late(writer, proxy, assert_there_once):
    """It must not find the table that is made anew in the place of the one it was to delete."""
    documents = run_of({"x": [*range(20), 0.5, *range(20)]}, dtypes={"x": "<i8"})
    write(writer, documents[:15])
    assert writer.flush(20)
    hit = proxy.inject(Late(1.5), method="DELETE", route="metadata")
    write(writer, documents[15:])
    assert writer.flush(30)
    assert hit.hits == 1
    assert_there_once(proxy, documents)


def test_down_at_the_start(proxy, tmp_path, assert_there_once):
    documents = simple_run(events=20)
    with proxy.down():
        writer = TiledWriter(proxy.uri, journal=tmp_path, deliver="thread", strict=True)
        assert write(writer, documents) < 10  # that for the stop document gives up waiting before its 30 s
        wait_for(lambda: writer.status().last_error is not None)
    with writer:
        assert writer.flush(20)
    assert_there_once(proxy, documents)


def test_down_in_mid_run_and_back(writer, proxy, assert_there_once, caplog):
    """One line when delivery stops, one when it goes on."""
    caplog.set_level(logging.INFO, "tilewright")
    documents = simple_run(events=60)
    write(writer, documents[:30])
    assert writer.flush(20)
    caplog.clear()
    with proxy.down():
        write(writer, documents[30:])
        wait_for(lambda: writer.status().last_error is not None)
        time.sleep(1.0)  # it tries again, and says so no more
    assert writer.flush(20)
    assert_there_once(proxy, documents)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 2


def test_an_expired_key_in_mid_run(writer, proxy, assert_there_once, caplog):
    """The journal is kept, the user is told, and delivery goes on when the key is renewed."""
    documents = simple_run(events=60)
    write(writer, documents[:30])
    assert writer.flush(20)
    expired = proxy.inject(Answer(401), times=None)
    write(writer, documents[30:])
    assert not writer.flush(0.7)
    assert "401" in writer.status().last_error
    assert "401" in caplog.text
    assert httpx.URL(proxy.uri).params["api_key"] not in caplog.text
    assert len(list(writer.journal.glob("*.twj"))) == 1
    expired.remove()
    writer.renew_key(httpx.URL(proxy.uri).params["api_key"])
    assert writer.flush(20)
    assert_there_once(proxy, documents)


def test_a_server_that_asks_for_patience_is_left_alone(writer, proxy, assert_there_once):
    documents = simple_run(events=20)
    proxy.inject(Answer(429, retry_after=1))
    write(writer, documents)
    assert writer.flush(20)
    assert_there_once(proxy, documents)
    first, second = proxy.log[:2]
    assert first.status == 429
    assert second.time - first.time >= 1


@pytest.mark.parametrize("where", [BUNDLE, APPEND], ids=["ours", "stock"])
def test_two_appends_of_unknown_fate(writer, proxy, assert_there_once, where, request):
    """The second one while the first is still on its way."""
    if where is APPEND:
        request.getfixturevalue("stock")
    documents = simple_run(events=60)
    hits = [proxy.inject(fault, **where) for fault in (Late(1.5), Late(0.7), Withhold())]
    write(writer, documents)
    assert writer.flush(30)
    assert [hit.hits for hit in hits[:2]] == [1, 1]  # on a busy machine both are there before a third is sent
    assert_there_once(proxy, documents)


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def campaign(monkeypatch):
    """Return a function that imports a module of the campaign."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not there: this is not a checkout")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.mark.slow
def test_a_slice_of_the_campaign(campaign, tmp_path):
    """Processes killed, servers failing: all figures that should be 0 are."""
    table = tmp_path / "table.md"
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "--seed", "647", "--trials", "4", "--jobs", "2"]
    command += ["--output", str(table), "--folder", str(tmp_path / "trials"), "--verbose"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            printed, _ = process.communicate(timeout=150)
        finally:
            process.terminate()  # if it has not ended: it takes all its processes with it
    assert process.returncode == 0, printed
    rows = [line.strip("| \n") for line in table.read_text().splitlines() if line.startswith("| ")]
    figures = dict(row.split(" | ") for row in rows[2:])
    counts = {name: int(figure.replace(",", "")) for name, figure in figures.items() if figure[-1].isdigit()}
    assert counts["trials"] == 4
    assert counts["documents acknowledged"] > 1000
    assert counts["processes killed"] >= 3
    assert counts["requests hit by a fault"] >= 1
    for zero in (
        "documents or rows lost",
        "rows duplicated",
        "rows out of order",
        "wrong values",
        "unreadable runs",
        "trials with anything else amiss",
    ):
        assert counts[zero] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_campaign_that_is_stopped_leaves_no_process(campaign, tmp_path, number):
    command = [
        sys.executable,
        str(BENCHMARKS / "faults.py"),
        "--trials",
        "1",
        "--folder",
        str(tmp_path / "t"),
    ]
    with subprocess.Popen(command) as process:
        wait_for(lambda: servers_of(tmp_path), 30)
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert servers_of(tmp_path) == []


def servers_of(folder):
    """Return the processes that serve a directory in the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            found += [process] * ("serve" in words and any(str(folder) in word for word in words))
    return found


@pytest.mark.parametrize("name", ["check", "report", "plan", "documents"])
def test_the_examples_of_the_campaign(campaign, name):
    assert doctest.testmod(campaign(f"campaign.{name}")).failed == 0


@pytest.fixture
def given(campaign):
    """Return the documents of a trial, and how its one run would be read back."""
    documents, check = campaign("campaign.documents"), campaign("campaign.check")
    script = documents.documents(5, documents.Size(events=40, runs=1, plain=False))
    return script, reading_of(script, check)


def reading_of(script, check):
    from tilewright.testing.expected import expected_tables

    uid = script[0][1]["uid"]
    tables = {
        name: pd.DataFrame(
            {"seq_num": row.seq_num, "time": row.time, **row.data}
            | {f"ts_{key}": stamp for key, stamp in row.timestamps.items()}
            for row in table.rows
        )
        for name, table in expected_tables(script)[uid].items()
    }
    return check.Reading(script[0][1], script[-1][1], {"state": "complete"}, tables)


def test_the_checker_finds_nothing_where_nothing_is_wrong(campaign, given):
    script, reading = given
    findings = check_with(campaign, script, reading)
    assert findings.is_clean, findings.problems
    assert findings.runs == 1
    assert findings.rows == sum(len(table) for table in reading.tables.values()) > 10


def check_with(campaign, script, reading, acknowledged=None):
    check = campaign("campaign.check").check
    readings = {} if reading is None else {script[0][1]["uid"]: reading}
    return check(script, len(script) if acknowledged is None else acknowledged, readings, marks=True)


def lose(table):
    return table.drop(index=[1, 2])


def double(table):
    return pd.concat([table, table.tail(3)])


def swap(table):
    return table.iloc[[0, 2, 1, *range(3, len(table))]]


def change(table):
    return table.assign(label=["other", *table["label"][1:]])


def invent(table):
    return pd.concat([table, table.tail(1).assign(row=10_000)])


@pytest.mark.parametrize(
    ("spoil", "counts"),
    [
        (lose, {"lost": 2}),
        (double, {"duplicated": 3}),
        (swap, {"reordered": 1}),
        (change, {"wrong": 1}),
        (invent, {"wrong": 1}),
    ],
)
def test_the_checker_counts(campaign, given, spoil, counts):
    script, reading = given
    reading.tables["primary"] = spoil(reading.tables["primary"])
    findings = check_with(campaign, script, reading)
    fields = ("lost", "duplicated", "reordered", "wrong", "unreadable", "unmarked")
    assert {name: getattr(findings, name) for name in fields if getattr(findings, name)} == counts
    assert findings.problems


def test_the_checker_knows_what_need_not_be_there(campaign, given):
    """Of a process killed within the call for its last document, that one may be there or not."""
    script, reading = given
    spoilt = reading_without_stop(campaign, reading)
    assert check_with(campaign, script, spoilt, len(script) - 1).is_clean
    assert check_with(campaign, script, reading, len(script) - 1).is_clean
    assert check_with(campaign, script, spoilt).lost == 1
    assert check_with(campaign, script, None).lost == len(reading.tables["primary"]) + 1 + others(reading)
    assert check_with(campaign, script, None, 0).is_clean
    assert check_with(campaign, script, "no such thing").unreadable == 1


def others(reading):
    return sum(len(table) for name, table in reading.tables.items() if name != "primary")


def reading_without_stop(campaign, reading):
    return campaign("campaign.check").Reading(reading.start, None, {"state": "interrupted"}, reading.tables)


def test_a_stream_that_nobody_gave_is_wrong(campaign, given):
    script, reading = given
    reading.tables["another"] = reading.tables["primary"]
    findings = check_with(campaign, script, reading)
    assert (findings.wrong, findings.problems) == (
        1,
        [f"run {script[0][1]['uid']}: nobody gave stream another"],
    )


def test_what_hung_and_was_killed_for_it_is_not_counted_for_the_living(campaign):
    """Nor is a trial that could not be compared passed over."""
    report, trial, plan = (
        campaign("campaign.report"),
        campaign("campaign.trial"),
        campaign("campaign.plan").plan,
    )
    spared = next(one for one in (plan(1, number) for number in range(60)) if one.kill == "nothing")
    results = [
        trial.Result(spared),
        trial.Result(spared, hung=True),
        trial.Result(spared, problems=["no server"]),
    ]
    for result in results[:2]:
        result.findings.lost = 3
    figures = report.summary(results)
    assert figures["documents or rows lost"] == "6"
    assert figures["… where the acquiring process was not killed"] == "3"
    assert figures["trials with anything else amiss"] == "1"


@pytest.mark.parametrize(("kill", "amiss"), [("nothing", True), ("acquirer", True), ("killed", False)])
def test_an_acquisition_that_dies_by_itself_is_amiss(campaign, monkeypatch, tmp_path, kill, amiss):
    """Also where it was to be killed later: what it did not give cannot be lost."""
    trial, plan = campaign("campaign.trial"), campaign("campaign.plan").plan
    planned = dataclasses.replace(
        plan(1, 0), kill="acquirer" if kill == "killed" else kill, rival=False, fault_seconds=0
    )
    run = trial._Run(planned, None, tmp_path)
    monkeypatch.setattr(run, "_kill", lambda *_: None)
    ended = SimpleNamespace(has_ended=True, status=-signal.SIGKILL if kill == "killed" else 1)
    run._acquire(None, None, ended)
    assert bool(run.result.problems) == amiss


def test_a_run_cut_off_must_say_so(campaign, given):
    script, reading = given
    unmarked = campaign("campaign.check").Reading(reading.start, None, {}, reading.tables)
    assert check_with(campaign, script, unmarked, len(script) - 1).unmarked == 1


def test_a_trial_follows_from_its_numbers(campaign):
    plan, documents = campaign("campaign.plan").plan, campaign("campaign.documents").documents
    assert plan(1, 5) == plan(1, 5) != plan(1, 6)
    trial = plan(1, 5)
    assert repr(documents(trial.seed, trial.size)) == repr(documents(trial.seed, trial.size))
    kinds = {plan(1, number).kill for number in range(60)}
    assert kinds == {"nothing", "acquirer", "deliverer", "acquirer and deliverer", "server"}


def test_a_table_goes_where_the_page_has_its_place(campaign, tmp_path):
    put, page = campaign("bench.pages").put, tmp_path / "page.md"
    for text in ("one\n", "two\n"):
        put(page, "campaign", text)
        assert page.read_text() == text
    page.write_text("# Page\n\n<!-- campaign: begin. Why. -->\nold\n<!-- campaign: end -->\nrest\n")
    for text in ("one\n", "two\n"):
        put(page, "campaign", text)
        place = f"<!-- campaign: begin. Why. -->\n\n{text}\n<!-- campaign: end -->"
        assert page.read_text() == f"# Page\n\n{place}\nrest\n"


@pytest.mark.parametrize("place", ["campaign", "caller"])
def test_the_page_has_a_place_for_the_table(campaign, tmp_path, place):
    page = tmp_path / "page.md"
    page.write_text((BENCHMARKS.parent / "docs" / "reliability.md").read_text())
    before = len(page.read_text())
    campaign("bench.pages").put(page, place, "the table")
    assert "the table" in page.read_text()
    assert 0 < before - len(page.read_text()) < before / 2


def test_the_campaign_fails_when_a_trial_does(campaign, monkeypatch, capsys, tmp_path):
    faults, trial = campaign("faults"), campaign("campaign.trial")

    class Broken:
        def __init__(self, folder):
            folder.mkdir(parents=True)

        def run(self, planned):
            result = trial.Result(planned)
            result.findings.lost = planned.number
            return result

        def close(self):
            pass

    monkeypatch.setattr(faults, "Bench", Broken)
    for numbers, status in ((["0"], 0), (["0", "7"], 1)):
        only = [word for number in numbers for word in ("--only", number)]
        folder = tmp_path / "-".join(numbers)
        monkeypatch.setattr(sys, "argv", ["faults.py", "--seed", "4", "--folder", str(folder), *only])
        assert faults.main() == status
        assert folder.exists() == bool(status)  # what failed can be looked into
    assert "again: python benchmarks/faults.py --seed 4 --only 7" in capsys.readouterr().out
