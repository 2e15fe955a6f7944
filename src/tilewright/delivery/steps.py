"""What is asked of a server, step by step; and bundles of steps, which cost no more than one of them.

A request costs a Tiled server 20 to 35 ms, of which next to nothing is the network's: each looks its node up again, key
by key, and commits by itself. A server of ours (`tilewright.server.bundles`) takes many steps in one request. A stock one
is asked in as many requests as there are steps, in the same order and with the same effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from tilewright.delivery.failures import FateUnknownError, refusal
from tilewright.delivery.remote import Node
from tilewright.formats.layout import data_type
from tilewright.tables.ragged import encode_ragged
from tilewright.tables.wire import checksum, encode_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from tilewright.delivery.remote import Path, Remote
    from tilewright.tables import Block

MAX_BYTES = 16 << 20
"""Steps with more rows than this go in several requests."""

Result = TypeVar("Result")


class Step(Protocol[Result]):
    """One thing that is asked of a server; it may be asked again. `do` names it in a bundle."""

    do: ClassVar[str]

    @property
    def path(self) -> Path:
        """The node it is about."""
        ...

    @property
    def size(self) -> int:
        """Bytes of data that it carries, about."""
        ...

    def body(self) -> dict[str, Any]:
        """Return the step as it travels."""
        ...

    def alone(self, remote: Remote) -> Result:
        """Ask for it in requests of its own."""

    def understand(self, answer: dict[str, Any], remote: Remote) -> Result:
        """Return what came of it in a bundle."""

    def holds(self, result: Result) -> bool:
        """Say whether the steps after it make sense; a server of ours decides likewise."""


class _Body:
    """A step that travels as it is."""

    __slots__ = ()
    do: ClassVar[str]

    @property
    def size(self) -> int:
        """Next to nothing."""
        return 0

    def body(self) -> dict[str, Any]:
        """Return the step as it travels."""
        return {"do": self.do} | {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]


class _Plain(_Body):
    """A step of which nothing comes but that it is done."""

    __slots__ = ()

    def understand(self, _answer: dict[str, Any], _remote: Remote) -> None:
        """Return nothing."""

    def holds(self, _result: None) -> bool:
        """Return True: what comes next does not depend on it."""
        return True


@dataclass(frozen=True, slots=True)
class Create(_Body):
    """Create a node, or find the one that is there: then the steps after it have to wait."""

    do: ClassVar[str] = "create"
    path: Path
    family: str
    metadata: dict[str, Any]
    specs: list[dict[str, str]]
    data_source: dict[str, Any] | None = None
    access_tags: list[str] | None = None
    growing: bool = False
    """As in `Update`."""

    def alone(self, remote: Remote) -> Node:
        """Return the node."""
        return remote.create(
            self.path,
            self.family,
            metadata=self.metadata,
            specs=self.specs,
            data_source=self.data_source,
            access_tags=self.access_tags,
        )

    def understand(self, answer: dict[str, Any], remote: Remote) -> Node:
        """Return the node."""
        if answer["created"]:
            structure = None if self.data_source is None else self.data_source["structure"]
            return Node(self.metadata, structure, answer["data_source"], created=True)
        return remote.adopt(self.path)

    def holds(self, result: Node) -> bool:
        """Only if it is new is it as asked for."""
        return result.created


@dataclass(frozen=True, slots=True)
class Append(_Plain):
    """Add rows to a table, of which the first is its row `first_row`."""

    do: ClassVar[str] = "append"
    path: Path
    table: pa.Table = field(repr=False)
    first_row: int

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return int(self.table.nbytes)

    def body(self) -> dict[str, Any]:
        """Return the step as it travels."""
        return {"do": self.do, "path": self.path, "rows": encode_rows(self.table, self.first_row)}

    def alone(self, remote: Remote) -> None:
        """Add them."""
        remote.append_rows(self.path, self.table, self.first_row)


@dataclass(frozen=True, slots=True)
class Write(_Plain):
    """Put rows `start` to before `stop` of a block into an array, from its row `first_row` on; it grows to hold them."""

    do: ClassVar[str] = "write"
    path: Path
    block: Block = field(repr=False)
    start: int
    stop: int
    first_row: int

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return self.block.row_bytes * (self.stop - self.start)

    def body(self) -> dict[str, Any]:
        """Return the step as it travels."""
        rows = self.block.dense(self.start, self.stop)
        return {
            "do": self.do,
            "path": self.path,
            "first_row": self.first_row,
            "shape": rows.shape,
            "data_type": data_type(rows.dtype),
            "data": rows.tobytes(),
        }

    def alone(self, remote: Remote) -> None:
        """Put them there."""
        remote.write_rows(self.path, self.block.dense(self.start, self.stop), self.first_row)


@dataclass(frozen=True, slots=True)
class Extend(_Plain):
    """Add the rows of a block from `start` on to a ragged array, of which the first is its row `first_row`."""

    do: ClassVar[str] = "extend"
    path: Path
    block: Block = field(repr=False)
    start: int
    first_row: int

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return self.block.ragged(self.start).flat.nbytes

    def body(self) -> dict[str, Any]:
        """Return the step as it travels."""
        return {"do": self.do, "path": self.path, "first_row": self.first_row, "rows": self._encoded()}

    def alone(self, remote: Remote) -> None:
        """Add them."""
        remote.extend_ragged(self.path, self._encoded(), self.block.rows - self.start, self.first_row)

    def _encoded(self) -> bytes:
        return encode_ragged(self.block.ragged(self.start), self.block.type)


class _Publishing(_Body):
    """A step that answers how many rows of an array the server shows; None if it does not say, or all that are promised."""

    __slots__ = ()

    def understand(self, answer: dict[str, Any], _remote: Remote) -> int | None:
        """Return how many rows."""
        rows: int | None = answer.get("rows")
        return rows

    def holds(self, _result: int | None) -> bool:
        """Return True: what comes next does not depend on it."""
        return True


@dataclass(frozen=True, slots=True)
class Update(_Publishing):
    """Replace a data source's structure and parameters, and add the assets it names."""

    do: ClassVar[str] = "update"
    path: Path
    data_source: dict[str, Any]
    growing: bool = False
    """Whether its files may still be written: a server of ours shows of them what it can read at that moment."""

    def alone(self, remote: Remote) -> None:
        """Replace and add."""
        remote.put_data_source(self.path, self.data_source)


@dataclass(frozen=True, slots=True)
class LookAgain(_Publishing):
    """Look again at the files of an array of which the server shows less than is promised."""

    do: ClassVar[str] = "look_again"
    path: Path
    source: int
    """The data source's id."""

    def alone(self, _remote: Remote) -> None:
        """Do nothing: this is for servers that take bundles, and those only show less."""


@dataclass(frozen=True, slots=True)
class SetItems(_Plain):
    """Set top-level items of a node's metadata."""

    do: ClassVar[str] = "set"
    path: Path
    items: dict[str, Any]

    def alone(self, remote: Remote) -> None:
        """Set them."""
        remote.set_metadata(self.path, self.items)


@dataclass(frozen=True, slots=True)
class Close(_Plain):
    """Tell live subscribers of a node that nothing more will come."""

    do: ClassVar[str] = "close"
    path: Path

    def alone(self, remote: Remote) -> None:
        """Tell them."""
        remote.close_stream(self.path)


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a table has, and in which order: see `tables.wire.checksum`."""

    rows: int
    order: int


@dataclass(frozen=True, slots=True)
class Check(_Body):
    """Read back how many rows a table has, and the order of a column of theirs; the steps after it need these."""

    do: ClassVar[str] = "check"
    path: Path
    column: str
    rows: int
    order: int | None
    """None if only their number matters."""

    def alone(self, remote: Remote) -> Count:
        """Return what is there."""
        column = remote.read_column(self.path, self.column)
        return Count(len(column), 0 if self.order is None else checksum(column))

    def understand(self, answer: dict[str, Any], _remote: Remote) -> Count:
        """Return what is there."""
        return Count(answer["rows"], answer["order"])

    def holds(self, result: Count) -> bool:
        """Only if it is as it should be."""
        return result.rows == self.rows and self.order in (None, result.order)


@dataclass(frozen=True, slots=True)
class Measure(_Body):
    """Read back whether an array has so many rows; the steps after it need these."""

    do: ClassVar[str] = "measure"
    path: Path
    rows: int

    def alone(self, remote: Remote) -> bool:
        """Return whether it has."""
        return remote.has_rows(self.path, self.rows)

    def understand(self, answer: dict[str, Any], _remote: Remote) -> bool:
        """Return whether it has."""
        return bool(answer["holds"])

    def holds(self, result: bool) -> bool:  # noqa: FBT001 - what `alone` returns
        """Only if it has."""
        return result


@dataclass(frozen=True, slots=True)
class Look(_Body):
    """Ask which directories of a run's files cannot be read; if there are some, the steps after it depend on the answer."""

    do: ClassVar[str] = "look"
    path: Path
    """Of the run."""
    arrays: tuple[tuple[Path, int | None, tuple[str, ...]], ...]
    """Of each array its node, the number of its dimensions (None: it is empty), and the URIs of the directories."""

    def body(self) -> dict[str, Any]:
        """Return the step as it travels: with each directory once."""
        directories = dict.fromkeys(uri for _, _, uris in self.arrays for uri in uris)
        return {"do": self.do, "path": self.path, "directories": list(directories)}

    def alone(self, remote: Remote) -> dict[str, str]:
        """Read a number of each array: all that a stock server tells is whether it can, and the first file is where."""
        unreadable: dict[str, str] = {}
        for path, dimensions, directories in self.arrays:
            can = dimensions is None or remote.can_read(path, dimensions)
            if can is None:  # nor will it tell of the others; and if its disk hangs, each takes as long
                break
            if not can:
                unreadable[directories[0]] = ""
        return unreadable

    def understand(self, answer: dict[str, Any], _remote: Remote) -> dict[str, str]:
        """Return why each of the directories cannot be read that cannot; an earlier server of ours says nothing."""
        return dict(answer.get("unreadable") or {})

    def holds(self, result: dict[str, str]) -> bool:
        """Only if there are none."""
        return not result


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Result]):
    step: Step[Result]
    then: Callable[[Result], None]
    failed: Callable[[Exception], bool]


class Bundle:
    """Steps that are taken together as far as the server can.

    Parameters
    ----------
    remote
        Who takes them.
    meanwhile
        Called when a request is ready to go out: what can be done while it is under way.
    """

    def __init__(self, remote: Remote, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._remote = remote
        self._meanwhile = meanwhile
        self._entries: list[_Entry[Any]] = []

    def add(
        self,
        step: Step[Result],
        then: Callable[[Result], None] = lambda _: None,
        failed: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        """Add a step at the end.

        Parameters
        ----------
        step
            What to ask for.
        then
            Called with what came of it; it may raise.
        failed
            Called with the reason if it was asked for, and is not known to be done. It says whether the rest can do without
            it; that is then sent another time.
        """
        self._entries.append(_Entry(step, then, failed))

    def send(self) -> bool:
        """Have the steps taken, and forget them.

        Returns
        -------
        False if one of them came out so that those after it do not make sense; these were not taken.

        Raises
        ------
        TransientError, FinalError
            As the requests do; the steps up to there are taken.
        """
        entries, self._entries = self._entries, []
        return all(self._send(group) for group in _requests(entries))

    def _send(self, entries: list[_Entry[Any]]) -> bool:
        if (answers := self._ask(entries)) is not None:
            return self._understand(entries, answers)
        self._meanwhile()
        for entry in entries:
            try:
                result = entry.step.alone(self._remote)
            except Exception as error:
                if entry.failed(error):
                    return False
                raise
            entry.then(result)
            if not entry.step.holds(result):
                return False
        return True

    def _ask(self, entries: list[_Entry[Any]]) -> list[dict[str, Any]] | None:
        try:
            return self._remote.send_bundle([entry.step.body for entry in entries], self._meanwhile)
        except Exception as error:
            for entry in entries:
                entry.failed(error)
            raise

    def _understand(self, entries: list[_Entry[Any]], answers: list[dict[str, Any]]) -> bool:
        for entry, answer in zip(entries, answers, strict=False):
            if "status" in answer:
                where = f"{entry.step.do} {'/'.join(entry.step.path)}"
                error = refusal(answer["status"], f"{where}: {answer['detail']}")
                if entry.failed(error):
                    return False
                raise error
            result = entry.step.understand(answer, self._remote)
            entry.then(result)
            if not entry.step.holds(result):
                return False
        if len(answers) < len(entries):
            raise FateUnknownError(f"{len(entries)} steps were asked for, {len(answers)} answered")
        return True


def _requests(entries: list[_Entry[Any]]) -> Iterator[list[_Entry[Any]]]:
    """Yield the entries in groups that are not too large for a request."""
    group: list[_Entry[Any]] = []
    size = 0
    for entry in entries:
        if group and size + entry.step.size > MAX_BYTES:
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.step.size
    if group:
        yield group
