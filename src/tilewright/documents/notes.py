"""What a run's reader is told: sentences about what was changed or set aside. All who understand documents write some.

A hostile run may give rise to as many sentences as it has documents, each as long as the document: both are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.documents.kinds import Unencodable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_NOTES = 1000
MAX_NOTE_LENGTH = 600
"""Characters of one sentence."""
_MAX_QUOTE_LENGTH = 80
_KEY = re.compile(r"(api_key=|Apikey )[^\s&'\"<>]+", re.IGNORECASE)


@dataclass(slots=True)
class Notes:
    """Sentences, each once, in order.

    Examples
    --------
    >>> notes = Notes()
    >>> for sentence in ("one", "two", "one"):
    ...     notes.add(sentence)
    >>> list(notes)
    ['one', 'two']
    """

    _sentences: dict[str, None] = field(default_factory=dict)
    _left_out: int = 0

    def add(self, sentence: str) -> None:
        """Take a sentence; one too many is only counted."""
        sentence = shortened(sentence.encode("utf-8", "backslashreplace").decode(), MAX_NOTE_LENGTH)
        if sentence in self._sentences:
            return
        if len(self._sentences) < MAX_NOTES:
            self._sentences[sentence] = None
        else:
            self._left_out += 1

    def __iter__(self) -> Iterator[str]:
        yield from self._sentences
        if self._left_out:
            yield f"{self._left_out} more notes are left out"


def quoted(value: Any, length: int = _MAX_QUOTE_LENGTH) -> str:
    """Return a value as a sentence shows it: its repr, shortened; raises nothing, whatever the value is.

    Examples
    --------
    >>> quoted("scan"), quoted("x" * 100, length=8)
    ("'scan'", "'xxxxxx…")
    """
    if isinstance(value, Unencodable):
        return shortened(value.text, length)
    try:
        return shortened(without_keys(repr(value)), length)
    except Exception as error:  # noqa: BLE001 - a deep nest or a huge integer has no repr; its type has to do
        return f"<{type(value).__name__}, no repr: {type(error).__name__}>"


def without_keys(text: str) -> str:
    """Return the repr of somebody's object without the API keys in it: a server, or a client, shows its address.

    Examples
    --------
    >>> without_keys("<EmbeddedServer http://127.0.0.1:8000/api/v1?api_key=secret directory='data'>")
    "<EmbeddedServer http://127.0.0.1:8000/api/v1?api_key=… directory='data'>"
    """
    return _KEY.sub(r"\1…", text)


def label(name: Any) -> str:
    """Return a name as a sentence shows it: as it is if it is a short and plain text, else quoted.

    Examples
    --------
    >>> label("primary"), label("a b")
    ('primary', "'a b'")
    """
    if (
        isinstance(name, str)
        and 0 < len(name) <= _MAX_QUOTE_LENGTH
        and name.isprintable()
        and " " not in name
    ):
        return name
    return quoted(name)


def shortened(text: str, length: int) -> str:
    """Cut a text to this many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
