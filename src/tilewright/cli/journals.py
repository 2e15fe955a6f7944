"""`tilewright journal ls | cat | verify | prune`: what is recorded and not delivered yet, or kept for a while."""

from __future__ import annotations

import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import CATALOG_VARIABLE, counted, journal_directory, writable
from tilewright.errors import InputError, NotFoundError, TilewrightError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.delivery import Target
    from tilewright.documents import Document
    from tilewright.journal import JournalReader
    from tilewright.journal.inspection import Inspection
    from tilewright.journal.overview import JournalList

LEADING = (
    "time",
    "name",
    "plan_name",
    "scan_id",
    "seq_num",
    "data_key",
    "exit_status",
    "reason",
    "data",
    "data_keys",
)
"""What is shown first of a document, so far as it has it."""
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BYTES = {"": 1, "B": 1} | {
    f"{prefix}{unit}": base**power
    for power, prefix in enumerate("kMGT", start=1)
    for unit, base in (("B", 1000), ("iB", 1024))
}


def seconds(text: str) -> float:
    """Return the seconds in a text such as 7d, 12h or 30 min.

    >>> seconds("7d"), seconds("1.5 h")
    (604800.0, 5400.0)
    """
    return _measured(text, SECONDS, "a time such as 7d, 12h, 30min or 90s")


def size(text: str) -> int:
    """Return the bytes in a text such as 1GiB, 500 MB or 0.

    >>> size("1GiB"), size("1.5 kB"), size("0")
    (1073741824, 1500, 0)
    """
    return int(_measured(text, BYTES, "a size such as 1GiB, 500MB or 0"))


def _measured(text: str, units: dict[str, int], expected: str) -> float:
    known = {unit.lower(): value for unit, value in units.items()}
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if found is None or found[2].lower() not in known:
        raise typer.BadParameter(f"{text!r} is not {expected}")
    return float(found[1]) * known[found[2].lower()]


app = typer.Typer(
    help="What is recorded and not delivered yet, and what was delivered and is kept for a while.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
JournalOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIRECTORY",
        help="Where the journals lie. Default: TILEWRIGHT_JOURNAL, else the user's own, as for writers.",
    ),
]
CatalogOption = Annotated[
    str | None,
    typer.Option(
        envvar=CATALOG_VARIABLE,
        help="A directory of `tilewright serve`: the journals are those beside its data.",
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="The uid of a run, or the first characters of it, or a journal's file."
    ),
]


@app.command()
def ls(journal: JournalOption = None, catalog: CatalogOption = None) -> None:
    """List the journals, one line each; those that wait come first.

    On a terminal, uids are cut to what is enough to name a run; piped, they are whole.
    """
    from tilewright.journal.overview import list_journals  # noqa: PLC0415 - slow to import

    listed = list_journals(journal_directory(journal, catalog))
    if len(listed):
        typer.echo(_listed_text(listed))
    typer.echo(listed.totals[0].upper() + listed.totals[1:] + ".")


@app.command()
def cat(
    run: RunArgument,
    journal: JournalOption = None,
    catalog: CatalogOption = None,
    *,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON lines of [name, document], which `tilewright replay` takes."),
    ] = False,
) -> None:
    """Print the documents of a journal.

    What of it cannot be read is told on stderr, with its place; then the exit status is 1.
    """
    from tilewright.journal import JournalReader  # noqa: PLC0415 - slow to import

    path = _found(run, journal_directory(journal, catalog))[0]
    with JournalReader(path) as reader:
        if as_json:
            _print_json(reader)
        else:
            _print_lines(reader)
        for damage in reader.damage:
            typer.echo(f"tilewright: {path}: {damage}", err=True)
        raise typer.Exit(1 if reader.damage else 0)


@app.command()
def verify(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]…", help="uids or beginnings of them, or files. Default: all."),
    ] = None,
    journal: JournalOption = None,
    catalog: Annotated[
        str | None,
        typer.Option(
            envvar=CATALOG_VARIABLE,
            help="Compare with this catalog, value by value: the address of a server, or a directory.",
        ),
    ] = None,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make the catalog what the journals say, where it differs.")
    ] = False,
) -> None:
    """Check that journals are whole and their documents in order, and that the catalog has all of them.

    The exit status is 1 if anything is wrong.
    """
    if repair and catalog is None:
        raise InputError("--repair needs --catalog: which one is to be put right?")
    directory = journal_directory(journal, catalog)
    paths = [path for run in runs for path in _found(run, directory)] if runs else _all(directory)
    if not paths:
        typer.echo(f"No journals in {directory}.")
    with ExitStack() as stack:
        where = None if catalog is None else _target(catalog, stack)
        good, compared = True, False
        away: TransientError | None = None
        for path in paths:
            inspection = _inspected(path)
            good = good and inspection is not None and inspection.sound
            if where is None or inspection is None or not _is_for(inspection, where) or away is not None:
                continue
            compared = True
            try:
                good = _is_equal(inspection, where, repair=repair) and good
            except TransientError as error:  # the others are looked at all the same
                away = error
            except TilewrightError as error:
                typer.echo(f"  {error}")
                good = False
    if away is not None:
        raise away
    if where is not None and paths and not compared:
        typer.echo(f"None of these is for {where.name}: nothing was compared.")
    raise typer.Exit(0 if good else 1)


@app.command()
def prune(
    journal: JournalOption = None,
    catalog: CatalogOption = None,
    *,
    older_than: Annotated[
        float, typer.Option(parser=seconds, metavar="AGE", help="Remove those delivered longer ago.")
    ] = "7d",  # type: ignore[assignment]  # typer parses it
    keep: Annotated[
        int, typer.Option(parser=size, metavar="SIZE", help="Remove the oldest while all are larger.")
    ] = "1GiB",  # type: ignore[assignment]  # typer parses it
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
) -> None:
    """Remove journals of delivered and verified runs; no others are touched."""
    from tilewright.journal import JournalDirectory  # noqa: PLC0415 - slow to import
    from tilewright.journal.overview import entries_in, size_text  # noqa: PLC0415

    directory = journal_directory(journal, catalog)
    delivered = [entry for entry in entries_in(directory) if entry.state == "delivered"]
    removed = (
        JournalDirectory(directory).prune(keep_seconds=older_than, keep_bytes=keep, dry_run=dry_run)
        if delivered
        else []  # and the directory is not made
    )
    sizes = {entry.path: entry.size for entry in delivered}
    for path in removed:
        typer.echo(f"{path.name}  {size_text(sizes.get(path, 0))}")
    did = "would be removed" if dry_run else "removed"
    kept = counted(len(delivered) - len(removed), "delivered journal")
    total = size_text(sum(sizes.get(path, 0) for path in removed))
    typer.echo(f"{counted(len(removed), 'journal')} {did} ({total}), {kept} kept.")


def _all(directory: Path) -> list[Path]:
    from tilewright.journal.overview import entries_in  # noqa: PLC0415 - slow to import

    return [entry.path for entry in entries_in(directory)]


def _found(run: str, directory: Path) -> list[Path]:
    """Return the journals of the run that a user means by a word, those that wait first.

    Raises
    ------
    NotFoundError
        If there is none.
    InputError
        If there are several runs that begin so.
    """
    from tilewright.journal.overview import entries_in  # noqa: PLC0415 - slow to import

    if Path(run).is_file():
        return [Path(run)]
    entries = entries_in(directory)
    found: dict[str, list[Path]] = {}
    for entry in entries:
        uid = entry.path.name if entry.header is None else entry.header.run
        if uid.startswith(run):
            found.setdefault(uid, []).append(entry.path)
    if run in found:
        return found[run]
    if len(found) > 1:
        raise InputError(f"several runs begin with {run!r}: {', '.join(found)}; give more of the uid")
    if not found:
        raise NotFoundError(
            f"no journal of a run {run!r} in {directory}, which has {counted(len(entries), 'journal')}"
        )
    return next(iter(found.values()))


def _listed_text(listed: JournalList) -> str:
    """Return the journals as text, with what is wrong with one on a line of its own below it."""
    from tilewright.cli.printing import aligned  # noqa: PLC0415 - slow to import
    from tilewright.journal.overview import HEADINGS, SHORT_UID  # noqa: PLC0415

    rows = [list(row) for row in (HEADINGS, *listed.rows(SHORT_UID if sys.stdout.isatty() else None))]
    problems = [row.pop() for row in rows][1:]
    lines = aligned(rows).splitlines()
    text = [lines[0]]
    for line, journal, problem in zip(lines[1:], listed, problems, strict=True):
        text += [line, f"  {problem}"] if journal.problem else [line]
    return "\n".join(text)


def _print_json(reader: JournalReader) -> None:
    """Print documents as JSON lines; say on stderr what JSON cannot hold, and what `tilewright replay` would not take."""
    from tilewright.documents import DOCUMENT_NAMES, NOTE, to_json  # noqa: PLC0415 - slow to import

    converted, first, left_out = 0, "", 0
    for name, doc in _documents(reader):
        if name == NOTE:
            typer.echo(f"tilewright: note: {doc.get('text')}", err=True)
        elif name not in DOCUMENT_NAMES or not isinstance(doc, dict):
            left_out += 1
        else:
            content, notes = to_json(doc, lenient=True)
            typer.echo(json.dumps([name, content]))
            converted += len(notes)
            first = first or next((f"{name}: {note}" for note in notes), "")
    if converted:
        typer.echo(
            f"tilewright: {counted(converted, 'value')} that JSON cannot hold; the first: {first}", err=True
        )
    if left_out:
        typer.echo(
            f"tilewright: {counted(left_out, 'record')} left out that hold no document known here", err=True
        )


def _print_lines(reader: JournalReader) -> None:
    width = get_terminal_size().columns if sys.stdout.isatty() else None
    for number, document in enumerate(_documents(reader), start=1):
        line = f"{number:>6}  {_document_text(*document)}"
        typer.echo(line if width is None or len(line) <= width else f"{line[: width - 1]}…")


def _document_text(name: str, doc: Any) -> str:
    """Return a document as a line: what tells most of it first, its time as UTC."""
    from tilewright.cli.printing import utc_text  # noqa: PLC0415 - slow to import
    from tilewright.documents import to_json  # noqa: PLC0415

    content, _ = to_json(doc, lenient=True)
    if not isinstance(content, dict):
        return f"{name:<15}  {_shown(content)}"
    order = [*(key for key in LEADING if key in content), *(key for key in content if key not in LEADING)]
    parts = [
        f"{key} {utc_text(content[key]) if key == 'time' and _is_number(content[key]) else _shown(content[key])}"
        for key in order
    ]
    return f"{name:<15}  {'  '.join(parts)}"


def _shown(value: Any) -> str:
    """Return a value as JSON, with letters of all languages, which a terminal can show."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _documents(reader: JournalReader) -> Iterator[Document]:
    """Yield all that can be read, also what is behind damage; what is being written is no damage."""
    from tilewright.journal.disk import is_being_written  # noqa: PLC0415 - slow to import

    more, ended = True, not is_being_written(reader.path)
    while more:
        yield from reader
        more = ended and reader.give_up_tail()


def _target(catalog: str, stack: ExitStack) -> Target:
    from tilewright.delivery import target  # noqa: PLC0415 - slow to import

    return target(stack.enter_context(writable(catalog, make=False)))


def _inspected(path: Path) -> Inspection | None:
    """Return what is found in a journal, and print it; None if the file cannot be read."""
    from tilewright.journal.inspection import inspect  # noqa: PLC0415 - slow to import

    try:
        inspection = inspect(path)
    except OSError as error:  # delivered and put aside at this moment, or a link that leads nowhere
        typer.echo(f"{path}: not checked: {error.strerror or error}")
        return None
    typer.echo(_inspection_text(inspection))
    return inspection


def _is_for(inspection: Inspection, where: Target) -> bool:
    return inspection.header is not None and inspection.header.is_for(where.name)


def _is_equal(inspection: Inspection, where: Target, *, repair: bool) -> bool:
    """Compare a journal with the catalog, and put that right if asked; print what comes of it."""
    from tilewright.delivery import verify as verification  # noqa: PLC0415 - slow to import

    if inspection.recording:
        typer.echo("  not compared with the catalog: it is being recorded")
        return True
    comparison = verification.compare(inspection.path, where)
    _print_indented(str(comparison))
    if repair and not comparison.equal:
        comparison = verification.repair(inspection.path, where)
        _print_indented(f"{'repaired' if comparison.equal else 'not repaired'}: {comparison}")
    return comparison.equal


def _print_indented(text: str) -> None:
    typer.echo("\n".join(f"  {line}" for line in text.splitlines()))


def _inspection_text(inspection: Inspection) -> str:
    rows = ", ".join(f"{stream} {counted(number, 'row')}" for stream, number in inspection.streams.items())
    end = "" if inspection.stopped else ", being recorded" if inspection.recording else ", no stop document"
    verdict = "sound" if inspection.sound else counted(len(inspection.faults), "fault")
    documents = counted(inspection.documents, "document")
    lines = [f"{inspection.path}: {verdict}: {documents} ({rows or 'no rows'}){end}"]
    return "\n".join([*lines, *(f"  {fault}" for fault in inspection.faults)])
