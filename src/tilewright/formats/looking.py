"""The files of a data source, opened one after the other: its description comes in, a `Verdict` on it goes out.

Called by the server (`tilewright.server.files`), whose business it is to read them; and by `Run.verify(files=True)`, on
the machine of the client, where a server cannot be asked.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiled.utils import path_from_uri

from tilewright.das import is_url
from tilewright.errors import SetupError, TransientError
from tilewright.formats.checking import Finding, Looked, Verdict, judge
from tilewright.formats.registry import format_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tilewright.formats.base import Asset, DataSource, FileFacts
    from tilewright.formats.checking import Kind

_LONGEST_REASON = 300
"""Characters of what a library says of a file."""


def examine(
    source: DataSource,
    assets: Iterable[Asset],
    refusal: Callable[[str], str] = lambda _: "",
    *,
    each_is_cut: bool = True,
) -> Verdict:
    """Look at the files of a data source, and compare them with what was declared.

    Parameters
    ----------
    source
        As it is in the catalog.
    assets
        Its files, in order.
    refusal
        Says, of the address of a file, why it must not be opened; nothing if it may be.
    each_is_cut
        As in `checking.judge`.
    """
    looked = [look(source, asset, refusal) for asset in assets if asset.parameter is not None]
    return judge(source, looked, each_is_cut=each_is_cut)


class _Failed(Exception):  # noqa: N818 - a signal between our own functions
    """A file cannot be looked into."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


def look(source: DataSource, asset: Asset, refusal: Callable[[str], str]) -> Looked:
    """Look at one file of a data source; see `examine`."""
    uri = asset.data_uri
    try:
        at_url = format_for(source.mimetype).measure_url if is_url(uri) else None
        if at_url is not None:
            return Looked(uri, _measure_url(at_url, uri, source))
        path = _path(uri)
        if reason := refusal(uri):
            return Looked(uri, failure=Finding(uri, "outside", reason))
        _try_opening(path, asset)
        return Looked(uri, _measure(path, source))
    except _Failed as failed:
        return Looked(uri, failure=Finding(uri, failed.kind, failed.text))


def _path(uri: str) -> Path:
    try:
        path: Path = path_from_uri(uri)
    except ValueError as error:
        raise _Failed("unreadable", f"is no address of a file: {error}") from error
    return path


def _try_opening(path: Path, asset: Asset) -> None:
    try:
        _open(path, is_directory=asset.is_directory)
    except FileNotFoundError as error:
        raise _Failed("missing", "is missing") from error
    except NotADirectoryError as error:
        if path.is_file():
            raise _Failed("unreadable", "is a file, expected is a directory") from error
        raise _Failed("missing", "is missing") from error
    except OSError as error:
        raise _Failed("unreadable", f"cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # characters that no path has
        raise _Failed("unreadable", f"is no address of a file: {error}") from error


def _measure(path: Path, source: DataSource) -> FileFacts | None:
    measure = format_for(source.mimetype).measure
    if measure is None or source.structure_family != "array":
        return None
    try:
        return measure(path, source)
    except OSError as error:
        if error.errno is None:  # the library's own finding
            raise _Failed("damaged", f"cannot be understood: {_reason(error)}") from error
        kind: Kind = "locked" if isinstance(error, BlockingIOError) else "unreadable"
        raise _Failed(kind, f"cannot be opened: {error.strerror or error}") from error
    except ImportError as error:
        raise _Failed("unreadable", f"cannot be looked into without the package {error.name}") from error
    except Exception as error:
        raise _Failed("damaged", f"cannot be understood: {_reason(error)}") from error


def _measure_url(measure: Callable[[str, DataSource], FileFacts], url: str, source: DataSource) -> FileFacts:
    try:
        return measure(url, source)
    except FileNotFoundError as error:
        raise _Failed("missing", f"is missing: {_reason(error)}") from error
    except (SetupError, TransientError) as error:
        raise _Failed("unreadable", _reason(error)) from error
    except Exception as error:
        raise _Failed("damaged", f"cannot be understood: {_reason(error)}") from error


def _open(path: Path, *, is_directory: bool) -> None:
    """Open a file or directory, and close it again.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    mode = path.stat().st_mode
    if is_directory:
        with os.scandir(path):
            return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # to open a pipe would be to wait for its other end
        raise OSError("is neither a file nor a directory")
    with path.open("rb"):
        return


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())  # a library's may have several lines
    return f"{type(error).__name__}: {text}"[:_LONGEST_REASON]
