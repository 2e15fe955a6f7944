"""In comes a persister, out comes a verdict: a suite of tests to subclass, for every place that holds values by paths.

    class TestMyPersister(PersisterContract):
        @pytest.fixture
        def persister(self): ...     # an empty one, with allow_delete=True

pytest collects the subclass and runs every test of the contract with it.
"""
# ruff: noqa: D102 - the names of the tests say what they say

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tilewright.errors import InputError, SetupError

try:
    import pytest
except ModuleNotFoundError as error:
    raise SetupError("tilewright.testing.persisters needs pytest: python -m pip install pytest") from error

if TYPE_CHECKING:
    from tilewright.stores import Persister

AWKWARD = (
    "ü/日本/\N{GRINNING FACE}",
    "e\u0301 and é",
    " leading and trailing ",
    "a+b &=,;:@'\"<>|",
    "what?/50%/#1/{x}/~y/%2F/~7E",
    "back\\slash",
    "..x/.y/z.",
    "*/[a-z]",
    "CON/aux.txt",
    "n" * 255,
)
"""Paths that a place may be tempted to take for something else."""
REFUSED = (
    *("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b"),
    *("a\0b", "a\nb", "\ud800", "n" * 256, "ü" * 128, "n/" * 600 + "n"),
    *(5, None, ("a", "b"), b"a"),
)
"""What is no path, anywhere."""


def value_of(path: str) -> bytes:
    """Return a value that says where it belongs."""
    return f"value of {path}".encode()


class PersisterContract:
    """What every persister owes: a mapping to the letter, in the order of its paths."""

    big: ClassVar[int] = 8 << 20
    """Bytes of the largest value that is tried."""

    @pytest.fixture
    def persister(self) -> NoReturn:
        """Return an empty persister with `allow_delete=True`."""
        raise SetupError(f"{type(self).__name__} must override the fixture `persister`")

    def test_empty(self, persister: Persister) -> None:
        assert (list(persister), len(persister), "a" in persister) == ([], 0, False)
        assert persister.get("a") is None
        with pytest.raises(KeyError):
            persister.popitem()

    def test_written_is_read(self, persister: Persister) -> None:
        persister["a/b/c"] = value_of("a/b/c")
        assert persister["a/b/c"] == value_of("a/b/c")
        assert type(persister["a/b/c"]) is bytes
        assert "a/b/c" in persister

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_what_is_like_bytes_comes_back_as_bytes(self, persister: Persister, kind: Any) -> None:
        persister["a"] = kind(b"abc")
        assert persister["a"] == b"abc"

    def test_missing(self, persister: Persister) -> None:
        persister["a/b"] = b"1"
        for path in ("a", "a/b/c", "b", "a/c", "A/b"):
            assert path not in persister
            assert persister.get(path, "default") == "default"
            with pytest.raises(KeyError):
                persister[path]
            with pytest.raises(KeyError):
                del persister[path]

    def test_no_path(self, persister: Persister) -> None:
        for path in REFUSED:
            wrong: Any = path
            assert wrong not in persister
            assert persister.get(wrong) is None
            with pytest.raises(InputError, match="is no path in a store"):
                persister[wrong] = b""
            with pytest.raises(KeyError):
                persister[wrong]
        assert list(persister) == []

    def test_no_value(self, persister: Persister) -> None:
        for value in (None, 5, "text", [1], object()):
            with pytest.raises(InputError, match="Cannot store"):
                persister["a"] = value
        assert "a" not in persister

    def test_replaced(self, persister: Persister) -> None:
        for value in (b"short", b"a longer value", b"other values !", b"", b"x"):
            persister["a/b"] = value
            assert persister["a/b"] == value
            assert list(persister.listing()) == [("a/b", len(value))]

    def test_empty_value(self, persister: Persister) -> None:
        persister["a"] = b""
        assert persister["a"] == b""
        assert "a" in persister

    def test_every_byte(self, persister: Persister) -> None:
        persister["a"] = bytes(range(256)) * 3
        assert persister["a"] == bytes(range(256)) * 3

    def test_big_value(self, persister: Persister) -> None:
        value = bytes(range(251)) * (self.big // 251)
        persister["big"] = value
        assert persister["big"] == value

    def test_awkward_paths(self, persister: Persister) -> None:
        for path in AWKWARD:
            persister[path] = value_of(path)
            assert path in persister
        assert dict(persister) == {path: value_of(path) for path in AWKWARD}

    def test_paths_that_look_alike(self, persister: Persister) -> None:
        paths = ["A", "a", "é", "e\u0301", "a ", "a.", "%41", "~41"]
        for path in paths:
            persister[path] = value_of(path)
        assert {path: persister[path] for path in persister} == {path: value_of(path) for path in paths}

    def test_order(self, persister: Persister) -> None:
        paths = [
            "b/1",
            "b.txt/1",
            "b-/2",
            "a",
            "c/d/e",
            "b/10",
            "b/2",
            "c0",
            "ä",
            "Z",
            "\N{GRINNING FACE}",
            "\uffee",
        ]
        for path in paths:
            persister[path] = value_of(path)
        assert list(persister) == list(persister.keys()) == sorted(paths)
        assert list(persister.values()) == [value_of(path) for path in sorted(paths)]
        assert len(persister) == len(paths)
        assert list(persister.listing()) == [(path, len(value_of(path))) for path in sorted(paths)]

    def test_in_reads_no_value(self, persister: Persister, monkeypatch: pytest.MonkeyPatch) -> None:
        persister["a"] = b"1"
        monkeypatch.setattr(type(persister), "_read", lambda *_: pytest.fail("a value was read"))
        assert "a" in persister
        assert "b" not in persister
        assert list(persister) == ["a"]
        assert len(persister) == 1

    def test_delete(self, persister: Persister) -> None:
        for path in ("a/1", "a/2", "b"):
            persister[path] = value_of(path)
        del persister["a/1"]
        assert persister.pop("b") == value_of("b")
        assert list(persister) == ["a/2"]
        assert persister.popitem() == ("a/2", value_of("a/2"))
        assert persister.pop("a/2", None) is None
        assert len(persister) == 0

    def test_delete_and_write_again(self, persister: Persister) -> None:
        persister["a/b"] = b"1"
        del persister["a/b"]
        assert "a/b" not in persister
        persister["a/b"] = b"2"
        assert persister["a/b"] == b"2"

    def test_clear(self, persister: Persister) -> None:
        persister.update({"a": b"1", "b/c": b"2"})
        persister.clear()
        assert list(persister) == []

    def test_nothing_is_deleted_unless_that_is_allowed(self, persister: Persister) -> None:
        persister.update({"a": b"1", "b": b"2"})
        persister.allow_delete = False
        for attempt in (
            lambda: persister.__delitem__("a"),
            lambda: persister.pop("a"),
            lambda: persister.pop("a", None),
            persister.popitem,
            persister.clear,
        ):
            with pytest.raises(SetupError, match="allow_delete=True"):
                attempt()
        assert dict(persister) == {"a": b"1", "b": b"2"}
        persister["a"] = b"3"
        assert persister["a"] == b"3"

    def test_setdefault_and_equality(self, persister: Persister) -> None:
        assert persister.setdefault("a", b"1") == b"1"
        assert persister.setdefault("a", b"2") == b"1"
        assert persister == {"a": b"1"}
        assert persister != {"a": b"2"}

    def test_writing_while_iterating(self, persister: Persister) -> None:
        paths = [f"s{number}/{block:04d}" for number in range(2) for block in range(5)]
        for path in paths:
            persister[path] = value_of(path)
        seen = []
        for path in persister:
            seen.append(path)
            persister[path] = b"replaced"
            persister[f"new/{path}"] = b"new"
        assert [path for path in seen if not path.startswith("new/")] == paths
        assert len(persister) >= 2 * len(paths)

    def test_two_writers_of_different_paths(self, persister: Persister) -> None:
        def write(writer: str) -> None:
            for number in range(8):
                persister[f"shared/folder/{writer}{number}"] = value_of(f"{writer}{number}")

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(write, "ab"))
        expected = {f"shared/folder/{one}{n}": value_of(f"{one}{n}") for one in "ab" for n in range(8)}
        assert dict(persister) == expected

    def test_parts_of_values(self, persister: Persister) -> None:
        persister["a"], persister["b"] = bytes(range(100)), bytes(range(100, 200))
        rooms = [bytearray(size) for size in (100, 5, 1)]
        wanted = (("a", 0), ("b", 40), ("a", 99))
        persister.read_into([(*one, memoryview(room)) for one, room in zip(wanted, rooms, strict=True)])
        assert rooms == [bytes(range(100)), bytes(range(140, 145)), bytes([99])]
        for start in (96, 100, 150):
            with pytest.raises(InputError, match="'a' is too short"):
                persister.read_into([("a", start, memoryview(bytearray(5)))])
        with pytest.raises(KeyError):
            persister.read_into([("c", 0, memoryview(bytearray(5)))])
        with pytest.raises(KeyError):
            persister.read_into([("a", 0, memoryview(bytearray(5))), ("c", 0, memoryview(bytearray(5)))])
