"""Names of the files of a sequence, from the template of a StreamResource.

In come `uri`, `template` and `filename`, then indices of rows; out go the files' URIs. Called by file
sequences and by files of unknown format. Pure.

    index of a row  *  files a row  -  files before this resource  =  number in the file's name
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tilewright.documents import is_text, label, quoted
from tilewright.errors import InputError

# %06d and %6.6d as areaDetector writes them, {:06d} and {0:06d} as Python does.
MAX_FILES = 1_000_000
"""Files of one StreamDatum: each of them gets a name, and is told to the server."""
_MAX_WIDTH = 255
"""Characters of a number in a file's name; file systems allow no more in all of it."""
_NUMBER = re.compile(r"(?P<old>%[-+ #0]*\d*(?:\.\d+)?d)|\{0?(?::(?P<new>[^{}]*))?\}")


@dataclass(frozen=True, slots=True)
class FileNames:
    """URIs of the files of one sequence, as a function of their number.

    Examples
    --------
    >>> FileNames.parse("file://localhost/data/", "%s%s_%6.6d.tif", "scan").uri(7)
    'file://localhost/data/scan_000007.tif'
    >>> FileNames.parse("file://localhost/data", "/img_{:03d}.tif").uri(7)
    'file://localhost/data/img_007.tif'
    >>> FileNames.parse("file://localhost/data/one.tif").uri(7)
    'file://localhost/data/one.tif'
    """

    before: str
    """What precedes the number, from the start of the URI."""
    number: str
    """A number's format, old style if it begins with %; empty for a template without a number."""
    after: str
    """What follows the number."""

    @classmethod
    def parse(cls, uri: str, template: Any = "", filename: Any = "") -> FileNames:
        """Understand a template of either style.

        Parameters
        ----------
        uri
            Of the directory, or the beginning of the files' URIs: the name is appended as it is, except that
            two slashes become one.
        template
            Holds at most one number. The first `%s` is the file name, further ones are empty.
        filename
            For the first `%s`.

        Raises
        ------
        InputError
            If the template has two numbers or a field that is not a number, or one of the texts is none.
        """
        if not (is_text(template) and is_text(filename)):
            raise InputError(
                f"Template {quoted(template)} and filename {quoted(filename)} of {label(uri)}: expected texts."
            )
        fields = list(_NUMBER.finditer(template))
        if len(fields) > 1:
            raise InputError(
                f"Template {quoted(template)} of {label(uri)}: expected one number in it, found {len(fields)}."
            )
        if not fields:
            before, number, after = template, "", ""
        else:
            (field,) = fields
            before, after = template[: field.start()], template[field.end() :]
            number = field["old"] or "{:" + (field["new"] or "") + "}"
        if "{" in before + after:
            raise InputError(
                f"Template {quoted(template)} of {label(uri)}: expected a number such as '%06d' or '{{:06d}}' and no"
                " other field."
            )
        if any(
            len(width) > len(str(_MAX_WIDTH)) or int(width) > _MAX_WIDTH
            for width in re.findall(r"\d+", number)
        ):
            raise InputError(f"Template {quoted(template)}: its number is wider than a file's name can be.")
        # A name may hold % or {: it is put in only now.
        names = iter([filename])
        before, after = (re.sub("%s", lambda _: next(names, ""), part) for part in (before, after))
        if uri.endswith("/") and before.startswith("/"):
            before = before.lstrip("/")
        parsed = cls(uri + before, number, after)
        if "\0" in parsed.uri(0):  # with {:c}, the number would be a character
            raise InputError(f"Template {quoted(template)} of {label(uri)} makes names with a NUL.")
        return parsed

    def uri(self, index: int) -> str:
        """Return the URI of the file with this number."""
        try:
            number = self.number % index if self.number.startswith("%") else self.number.format(index)
        except ValueError as error:
            raise InputError(f"{self.number!r} is no format for the number of a file ({error}).") from error
        return f"{self.before}{number}{self.after}"


@dataclass(slots=True)
class NumberedFiles:
    """The files of one StreamResource, counted from 0.

    The indices of the rows go on from one resource to the next, while the numbers in the names begin again.
    Emitters that let the indices begin again too are understood: theirs are less than the files before.

    Examples
    --------
    >>> second = NumberedFiles(FileNames.parse("b", "_{}"))
    >>> second.uris(3, 5, files_before=3), second.uris(5, 6, files_before=5)
    (['b_0', 'b_1'], ['b_2'])
    >>> restarted = NumberedFiles(FileNames.parse("b", "_{}"))
    >>> restarted.uris(0, 2, files_before=3)
    ['b_0', 'b_1']
    """

    names: FileNames
    files_per_row: int = 1
    _first: int | None = None
    """Index, in files, of the file with number 0; None before the first datum."""

    def uris(self, start: int, stop: int, *, files_before: int) -> list[str]:
        """Return the URIs for the rows from `start` to before `stop`.

        Parameters
        ----------
        files_before
            Files of the array so far; counts at the first call.

        Raises
        ------
        InputError
            If the rows are before the first of this resource.
        """
        first, last = start * self.files_per_row, stop * self.files_per_row
        origin = self._first
        if origin is None:
            origin = files_before if first >= files_before else 0
        if first < origin:
            raise InputError(
                f"Rows {start} to {stop} run backwards: the files {self.names.uri(0)} and so on begin at file {origin}"
                f" of the array, but these rows at file {first}."
            )
        if last - first > MAX_FILES:
            raise InputError(
                f"Rows {start} to {stop} would be {last - first} files; expected up to {MAX_FILES}."
            )
        self._first = origin
        return [self.names.uri(index - origin) for index in range(first, last)]
