"""The files behind a run: they are looked at, here or by the server; what is wrong with them goes out, or is put right.

Called by `verification`. What a file has to hold is decided in `tilewright.formats.checking`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tiled.utils import path_from_uri

from tilewright.clients.http import file_checks
from tilewright.clients.layout import stream_parts, stream_paths
from tilewright.delivery.verify import MOST_PROBLEMS
from tilewright.formats.base import Asset, DataSource
from tilewright.formats.checking import CORRECTED, Finding, Verdict, declared, described
from tilewright.formats.looking import examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tilewright.delivery.target import Target
    from tilewright.delivery.verify import Comparison

_FILES_TOLD = 10
"""How many files of one array get a sentence of their own."""
_FROM_HERE = "its files were looked at from this machine: the server cannot be asked whether it can read them"


@dataclass(frozen=True, slots=True)
class _Array:
    """One array of a run, and what was found of its files."""

    path: tuple[str, ...]
    """Below the run."""
    source_id: int
    files: int
    source: DataSource
    verdict: Verdict

    @property
    def name(self) -> str:
        return "/".join(self.path)

    @property
    def is_right(self) -> bool:
        """Whether the catalog says of it what its files bear out."""
        return self.verdict.right == self.source


def with_files(comparison: Comparison, run: Any, where: Target, *, repair: bool) -> Comparison:
    """Return a comparison to which is added what the files of the run have to say.

    Parameters
    ----------
    comparison
        Of the run with its report or its journal.
    run
        The `Run`.
    where
        The catalog that it is in.
    repair
        Whether to correct structures first.
    """
    arrays, from_here = _looked_at(run)
    if repair:
        wrong = [array for array in arrays if array.verdict.right is not None and not array.is_right]
        if wrong:
            _correct(comparison.run, wrong, where)
            run.refresh()  # its notes have changed
            arrays, from_here = _looked_at(run)
    remarks = [line for array in arrays if array.is_right for line in _remarks(array)]
    problems = [line for array in arrays if not array.is_right for line in _problems(array)]
    return replace(
        comparison,
        problems=(*comparison.problems, *_bounded(problems)),
        files=sum(array.files for array in arrays),
        remarks=(*comparison.remarks, *([_FROM_HERE] if from_here else []), *_bounded(remarks)),
    )


def _looked_at(run: Any) -> tuple[list[_Array], bool]:
    """Return the arrays of a run whose files were looked at, and whether this machine has done it."""
    link = run.item["links"]["search"]
    checks = file_checks(run.context, link)
    if checks is None:
        return list(_look_from_here(run.context, link)), True
    return [_from_json(check) for check in checks], False


def _from_json(check: Mapping[str, Any]) -> _Array:
    verdict = check["verdict"]
    findings = tuple(Finding(**finding) for finding in verdict["findings"])
    right = None if verdict["right"] is None else DataSource(**verdict["right"])
    return _Array(
        path=tuple(check["path"]),
        source_id=check["id"],
        files=check["files"],
        source=DataSource(**check["source"]),
        verdict=Verdict(findings, right, verdict["obstacle"], verdict["count"]),
    )


def _look_from_here(context: Any, link: str) -> Iterator[_Array]:
    """Yield the arrays of a run on a server that is not ours, which puts files after one another as they are."""
    for stream in stream_paths(context, link).values():
        parts = stream_parts(context, f"{link}/{stream}", {"include_data_sources": True})
        for path, item in parts.items():
            for theirs in item["attributes"].get("data_sources") or []:
                if theirs["management"] != "external":
                    continue
                fields = ("structure_family", "structure", "mimetype", "parameters")
                source = DataSource(
                    **{name: theirs[name] for name in fields}, properties=theirs.get("properties") or {}
                )
                assets = [
                    Asset(each["data_uri"], each["parameter"], each["num"], each["is_directory"])
                    for each in theirs["assets"]
                ]
                verdict = examine(source, assets, each_is_cut=False).bounded(MOST_PROBLEMS)
                yield _Array(
                    (*stream.split("/"), *path.split("/")), theirs["id"], len(assets), source, verdict
                )


def _problems(array: _Array) -> Iterator[str]:
    """Yield a sentence for each file, and one of what was declared and what is there."""
    yield from _told(array)
    verdict, promised = array.verdict, declared(array.source)
    if promised.structure_family != "array":
        return
    was = f"{array.name}: declared is {described(promised.structure)}"
    now = "" if array.source == promised else f", corrected before to {described(array.source.structure)}"
    if verdict.right is None:
        yield f"{was}{now}; that cannot be corrected: {verdict.obstacle}"
    else:
        yield f"{was}{now}; in its files is {described(verdict.right.structure)}: to be corrected with repair"


def _remarks(array: _Array) -> Iterator[str]:
    yield from _told(array)
    promised = declared(array.source)
    if promised != array.source:
        was, now = described(promised.structure), described(array.source.structure)
        yield f"{array.name}: declared was {was}; it has been corrected to {now}"


def _told(array: _Array) -> Iterator[str]:
    findings = array.verdict.findings[:_FILES_TOLD]
    for finding in findings:
        yield f"{array.name}: {_file(finding.uri)} {finding.text}"
    if array.verdict.count > len(findings):
        yield f"{array.name}: and {array.verdict.count - len(findings):,} more files"


def _file(uri: str) -> str:
    try:
        return str(path_from_uri(uri))
    except ValueError:  # none of a file
        return uri


def _bounded(lines: Sequence[str]) -> list[str]:
    """Return lines up to some number, and how many there are more."""
    if len(lines) <= MOST_PROBLEMS:
        return list(lines)
    return [
        *lines[: MOST_PROBLEMS - 1],
        f"and {len(lines) - MOST_PROBLEMS + 1:,} more sentences on further arrays",
    ]


def _correct(uid: str, arrays: Sequence[_Array], where: Target) -> None:
    """Tell the server what the arrays are, by their files; and the readers of the run, what they were declared to be."""
    remote = where.connect()
    try:
        for array in arrays:
            assert array.verdict.right is not None, "only those are given that can be corrected"
            source = asdict(array.verdict.right)
            # Files that are named would be added; those there are stay as they are.
            body = {**source, "id": array.source_id, "management": "external", "assets": []}
            remote.put_data_source((uid, *array.path), body)
        node = remote.get((uid,))
        notes = list((node.metadata if node is not None else {}).get("notes") or [])
        names = tuple(f"{CORRECTED}{array.name} " for array in arrays)
        kept = [note for note in notes if not (isinstance(note, str) and note.startswith(names))]
        remote.set_metadata((uid,), {"notes": [*kept, *_notes(arrays)]})
    finally:
        remote.close()


def _notes(arrays: Sequence[_Array]) -> Iterator[str]:
    for array in arrays:
        right = array.verdict.right
        assert right is not None, "only those are given that can be corrected"
        promised = declared(right)
        if promised != right:
            was, now = described(promised.structure), described(right.structure)
            yield f"{CORRECTED}{array.name} was declared as {was}; it is {now}."
