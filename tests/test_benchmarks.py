"""The benchmarks run, and turn what they measure into lines, tables and a chart; how fast anything is, is not tested."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
PLUGINS, CORE = "bluesky-tiled-plugins", "bluesky.callbacks"


@pytest.fixture
def bench(monkeypatch):
    """Return a function that imports a module of what the benchmarks share."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not there: this is not a checkout")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: importlib.import_module(f"bench.{name}")


def results_of(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_case_has_a_script_and_a_place_on_the_page(bench):
    cases = bench("cases")
    page = (ROOT / "docs" / "performance.md").read_text()
    assert {case.script for case in cases.CASES.values()} == set(cases.SCRIPTS)
    for script in cases.SCRIPTS:
        assert (BENCHMARKS / f"{script}.py").exists()
        for place in (script, "circumstances", "goals", "chart"):
            assert f"<!-- {place}: begin" in page
            assert f"<!-- {place}: end -->" in page


def test_a_script_measures_and_prints_a_line_a_case(bench):
    arguments = ["--repeats", "2", "--scale", "0.0005", "--writers", "tilewright"]
    found = results_of("unthrottled", *arguments)
    assert [line["case"] for line in found] == ["unthrottled-median", "unthrottled-999", "unthrottled-worst"]
    for line in found:
        assert (line["implementation"], line["size"]) == ("tilewright", "50 events of 10 keys")
        assert line["runs"] == 2
        assert 0 < line["least"] <= line["median"] <= line["most"]
        assert "ratio" not in line  # to whom


def test_ratios_are_to_the_best_peer_whichever_way_is_better(bench):
    lines = bench("lines").lines
    results = {
        "tilewright": [{"scalars-10": 100.0, "import": 1.0}, {"scalars-10": 300.0, "import": 3.0}],
        PLUGINS: [{"scalars-10": 10.0, "import": 8.0}],
        CORE: [{"scalars-10": 20.0, "import": 4.0}],
    }
    found = {(line.case, line.implementation): line for line in lines(results, {PLUGINS: "5 events"})}
    assert {key: line.ratio for key, line in found.items()} == {
        ("scalars-10", "tilewright"): 10,
        ("scalars-10", PLUGINS): 0.5,
        ("scalars-10", CORE): 1,
        ("import", "tilewright"): 2,
        ("import", PLUGINS): 0.5,
        ("import", CORE): 1,
    }
    ours = found["scalars-10", "tilewright"]
    assert (ours.median, ours.least, ours.most, ours.runs, ours.unit) == (200, 100, 300, 2, "events/s")
    assert found["import", PLUGINS].size == "5 events"


def test_what_should_be_nothing_has_no_ratio(bench):
    results = {"tilewright": [{"memory-growth": 0.0}], PLUGINS: [{"memory-growth": -3.0}]}
    assert [line.ratio for line in bench("lines").lines(results, {})] == [None, None]


@pytest.mark.parametrize(
    ("case", "ours", "others", "expected"),
    [
        ("scalars-10", 100_000.0, {}, True),
        ("scalars-10", 99_999.0, {}, False),
        ("import", 0.3, {}, True),
        ("import", 0.31, {}, False),
        ("live-200-slowed", 0.0, {}, True),
        ("live-200-slowed", 0.1, {}, False),
        ("import-writer", 1.0, {}, None),  # no goal
        ("reading-table", 1.0, {PLUGINS: 5.0}, True),
        ("reading-table", 1.0, {PLUGINS: 4.9}, False),
        ("reading-table", 1.0, {PLUGINS: 4.9, "the server alone": 0.8}, True),
        ("reading-table", 1.0, {PLUGINS: 4.9, "the server alone": 0.79}, False),
    ],
)
def test_whether_a_goal_is_reached(bench, case, ours, others, expected):
    results = {name: [{case: value}] for name, value in {"tilewright": ours, **others}.items()}
    found = bench("lines").lines(results, {})
    reached = bench("report").reached
    assert [reached(line, found) for line in found] == [expected, *[None] * len(others)]


def test_the_page_is_drawn_from_the_figures_alone(bench, tmp_path):
    report, lines = bench("report"), bench("lines").lines
    results = {"tilewright": [{"scalars-10": 120_000.0}], PLUGINS: [{"scalars-10": 5_000.0}]}
    found = tuple(lines(results, dict.fromkeys(results, "200,000 events")))
    one = report.Measurement("scalars", "--repeats 1", "2026-01-02", "a machine", "programs", 61.0, found)
    report.save(tmp_path / "performance.jsonl", {"scalars": one})
    assert report.load(tmp_path / "performance.jsonl") == {"scalars": one}

    for _ in range(2):  # what was drawn is drawn over
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--redraw", "--output", str(tmp_path)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    page = (tmp_path / "performance.md").read_text()
    (ours,) = [row for row in page.splitlines() if "**tilewright**" in row]
    assert ours.split(" | ")[1:] == [
        "**tilewright**",
        "200,000 events",
        "**120,000 events/s**",
        "120,000 … 120,000",
        "1",
        "24",
        "100,000 events/s",
        "yes |",
    ]
    assert page.count("1 of the 1 goals that were measured are reached.") == 1
    assert "## What falls short, and why" in page  # what is around the tables stays
    assert "24 \N{MULTIPLICATION SIGN}" in (tmp_path / "performance.svg").read_text()
