"""Folders that a directory's server may read from, kept beside its catalog: paths come in, those of earlier times go out, too.

`tilewright.server.embedded` calls this. What was registered once can be read when the directory is opened again, by whatever
command, without its folders being named each time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "readable_storage.txt"
_HEAD = """\
# Folders with files of others that the server of this directory may read, one a line. They were named once, by `serve`,
# `tilewright record` or `tilewright process`, and stay. Take a line out, and what lies there can no longer be read.
"""


def remembered(directory: Path, named: Iterable[str], *, keep: bool) -> list[str]:
    """Return the folders that were named before or are named now.

    Parameters
    ----------
    directory
        Of the catalog.
    named
        Absolute paths.
    keep
        Whether those that are new are kept for later times.

    Raises
    ------
    InputError
        If the file that keeps them cannot be read or written.
    """
    place = directory / NAME
    try:
        lines = place.read_text().splitlines() if place.exists() else []
        before = [line for line in lines if line.strip() and not line.startswith("#")]
        new = [path for path in dict.fromkeys(named) if path not in before and "\n" not in path]
        if new and keep:
            beside = place.with_suffix(".new")
            beside.write_text("\n".join([*(lines or _HEAD.splitlines()), *new, ""]))
            os.replace(beside, place)  # noqa: PTH105 - at once, or not at all
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}, which keeps the folders to read from, cannot be used: {error}") from error
    return [*before, *new]
