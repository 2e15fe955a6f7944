"""Rules for paths: which prefix fits, what it becomes, and what is refused at once."""

import json
from pathlib import Path

import pytest

from tilewright.documents import PathMap, path_rules, read_path_map
from tilewright.documents.path_map import VARIABLE
from tilewright.errors import InputError, SetupError

RULES = {
    "/mnt/det": "/data/det",
    "/mnt/det/fast/": "file://localhost/ssd/fast",
    "file://localhost/mnt/my data": "/data/mine",
    "C:\\data": "/data/windows",
    "file://localhost/D:/raw": "E:\\raw",
    "\\\\nas\\share": "/nas",
    "file://ioc1/home": "/ioc1/home",
}


@pytest.mark.parametrize(
    ("uri", "mapped"),
    [
        ("file://localhost/mnt/det/a.h5", "file://localhost/data/det/a.h5"),
        ("file:///mnt/det/a.h5", "file://localhost/data/det/a.h5"),
        ("file:/mnt/det/a.h5", "file://localhost/data/det/a.h5"),
        ("FILE://LOCALHOST/mnt/det/a.h5", "file://localhost/data/det/a.h5"),
        ("/mnt/det/a.h5", "file://localhost/data/det/a.h5"),
        ("file://localhost/mnt/det", "file://localhost/data/det"),
        ("file://localhost/mnt/det/", "file://localhost/data/det/"),
        ("file://localhost/mnt/det/sub/x/", "file://localhost/data/det/sub/x/"),
        ("file://localhost/mnt//det/a.h5", "file://localhost/data/det/a.h5"),
        ("file://localhost//mnt/./det//a.h5", "file://localhost/data/det//a.h5"),
        ("file://localhost/mnt/other/../det/a.h5", "file://localhost/data/det/a.h5"),
        ("file://localhost/mnt/det/a b%20c.h5#3", "file://localhost/data/det/a b%20c.h5#3"),
        # Of two that fit, the longer one.
        ("file://localhost/mnt/det/fast/a.h5", "file://localhost/ssd/fast/a.h5"),
        ("file://localhost/mnt/det/faster/a.h5", "file://localhost/data/det/faster/a.h5"),
        # Percent-encoded or not.
        ("file://localhost/mnt/my data/a.h5", "file://localhost/data/mine/a.h5"),
        ("file://localhost/mnt/my%20data/a.h5", "file://localhost/data/mine/a.h5"),
        # Windows, where case makes no difference.
        ("file://localhost/C:/data/a.h5", "file://localhost/data/windows/a.h5"),
        ("file:///c:/Data/a.h5", "file://localhost/data/windows/a.h5"),
        ("C:\\data\\sub\\a.h5", "file://localhost/data/windows/sub/a.h5"),
        ("file://localhost/C:\\data\\a.h5", "file://localhost/data/windows/a.h5"),
        ("file://localhost/D:/raw/a.h5", "file://localhost/E:/raw/a.h5"),
        ("file://nas/share/a.h5", "file://localhost/nas/a.h5"),
        ("\\\\nas\\share\\a.h5", "file://localhost/nas/a.h5"),
        ("file://ioc1/home/a.h5", "file://localhost/ioc1/home/a.h5"),
    ],
)
def test_what_a_path_becomes(uri, mapped):
    assert PathMap.of(RULES).apply(uri) == mapped


@pytest.mark.parametrize(
    "uri",
    [
        "file://localhost/mnt/detector/a.h5",  # no whole name
        "file://localhost/mnt",
        "file://localhost/data/det/a.h5",
        "file://localhost/mnt/DET/a.h5",
        "file://localhost/mnt/det/../other/a.h5",
        "file://ioc1/mnt/det/a.h5",  # of another machine
        "file://localhost/home/a.h5",
        "file://localhost/C:/database/a.h5",
        "http://localhost/mnt/det/a.h5",
        "s3://mnt/det/a.h5",
        "mnt/det/a.h5",
        "",
    ],
)
def test_what_fits_no_rule_stays_as_it_is(uri):
    assert PathMap.of(RULES).apply(uri) == uri


def test_from_and_to_the_root():
    assert PathMap.of({"/": "/data"}).apply("file:///mnt/a.h5") == "file://localhost/data/mnt/a.h5"
    assert PathMap.of({"/mnt": "/"}).apply("file:///mnt/a.h5") == "file://localhost/a.h5"
    assert PathMap.of({"/mnt": "/"}).apply("file:///mnt") == "file://localhost/"
    assert PathMap.of({"Z:": "/data"}).apply("file:///Z:/a.h5") == "file://localhost/data/a.h5"
    assert PathMap.of({}).apply("/mnt/a.h5") == "/mnt/a.h5"


def test_a_mapped_path_is_not_mapped_again():
    rules = PathMap.of({"/mnt": "/data", "/data": "/mnt"})
    assert rules.apply("file://localhost/mnt/a") == "file://localhost/data/a"
    assert rules.apply("file://localhost/data/a") == "file://localhost/mnt/a"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"mnt/det": "/data"}, r"has 'mnt/det'; expected an absolute path"),
        ({"/mnt": "data"}, r"has 'data'"),
        ({"": "/data"}, r"has ''"),
        ({"/mnt": None}, r"has None"),
        ({1: "/data"}, r"has 1"),
        ({"/mnt": ["/data"]}, r"has \['/data'\]"),
        ({"C:data": "/data"}, r"has 'C:data'"),
        ({"http://host/mnt": "/data"}, r"has 'http://host/mnt'"),
        ({"/mnt\0": "/data"}, r"has '/mnt"),
        ({"\\\\": "/data"}, r"expected an absolute path"),
        ({"/mnt/det": "/a", "file:///mnt/det/": "/b"}, r"has /mnt/det/ twice"),
        ({"C:\\Data": "/a", "c:/data": "/b"}, r"twice"),
        (["/mnt"], r"expected a mapping"),
        ("/mnt", r"expected a mapping"),
        (None, r"expected a mapping"),
    ],
)
def test_what_cannot_be_meant(rules, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        PathMap.of(rules)


def test_the_same_said_twice_is_no_mistake():
    assert PathMap.of({"/mnt/det": "/a", "/mnt/det/": "/a"}).apply("/mnt/det/x") == "file://localhost/a/x"


def test_a_file_of_rules(tmp_path):
    path = tmp_path / "paths.yml"
    path.write_text("# detectors\n/mnt/det: /data/det\nC:\\data: /data/windows\n")
    assert read_path_map(path) == {"/mnt/det": "/data/det", "C:\\data": "/data/windows"}
    path.write_text(json.dumps(RULES))
    assert read_path_map(path) == RULES
    path.write_text("# none yet\n")
    assert read_path_map(path) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- /mnt\n", r"paths\.yml: a path map is \['/mnt'\]; expected a mapping"),
        (b"mnt: /data\n", r"paths\.yml: a path map has 'mnt'"),
        (b"/mnt: {to: /data}\n", r"paths\.yml: a path map has \{'to'"),
        (b"a: b: c", r"neither YAML nor JSON"),
        (b"\xff\xfe", r"cannot be read"),
        (b"!!python/object:os.system {}", r"neither YAML nor JSON"),
    ],
)
def test_a_file_of_something_else(tmp_path, content, reason):
    path = tmp_path / "paths.yml"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=reason):
        read_path_map(path)


def test_no_such_file(tmp_path):
    with pytest.raises(SetupError, match=r"none\.yml cannot be read: .*No such file"):
        read_path_map(tmp_path / "none.yml")


def test_where_a_writer_has_its_rules_from(tmp_path, monkeypatch):
    assert path_rules(None) == {}
    path = tmp_path / "paths.yml"
    path.write_text("/mnt: /data\n")
    monkeypatch.setenv(VARIABLE, str(path))
    assert path_rules(None) == {"/mnt": "/data"}
    assert path_rules({"/other": "/place"}) == {"/other": "/place"}
    assert path_rules({}) == {}  # none at all
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.yml"))
    assert path_rules({}) == {}
    with pytest.raises(SetupError, match="cannot be read"):
        path_rules(None)
    with pytest.raises(InputError, match="absolute"):
        path_rules({"mnt": "/data"})


def test_the_example_is_one():
    rules = PathMap.of(read_path_map(Path(__file__).parents[2] / "server_config" / "paths.yml"))
    assert rules.apply("file://localhost/mnt/det/fast/a.h5") == "file://localhost/ssd/fast/a.h5"
    assert rules.apply("file://localhost/Z:/a.h5") == "file://localhost/data/windows/a.h5"
    assert rules.apply("file://ioc1/home/det/a.h5") == "file://localhost/data/ioc1/a.h5"
