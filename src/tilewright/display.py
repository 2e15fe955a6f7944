"""How result objects look in a notebook: a title and rows of cells come in, HTML goes out; `_repr_html_` calls it.

Everything is escaped. There are no colours of its own but for verdicts, and these are of a middle lightness, so that
it reads on white and on black. All style is inline: some viewers of notebooks drop everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Tone: TypeAlias = Literal["plain", "quiet", "good", "warning", "bad"]

_TONES: dict[Tone, str] = {
    "plain": "",
    "quiet": "opacity:0.65;",
    "good": "color:#2b9a59;font-weight:600;",
    "warning": "color:#c07f00;font-weight:600;",
    "bad": "color:#d9483b;font-weight:600;",
}
_FRAME = "max-width:80em;margin:0.3em 0;line-height:1.35;"
_TITLE = "font-weight:600;padding:0.1em 0;"
_TABLE = "border-collapse:collapse;margin:0.2em 0;table-layout:auto;color:inherit;font-size:inherit;"
_CELL = (  # Jupyter sets cells flush right
    "text-align:left;vertical-align:top;padding:0.15em 1.2em 0.15em 0;overflow-wrap:break-word;"
)
_LONG = 24
"""Characters from which on a text may be broken into lines."""
_RULE = "border-bottom:1px solid rgba(128,128,128,0.4);"
"""Beneath the headings."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and how it is meant."""

    text: str
    tone: Tone = "plain"


Content: TypeAlias = "Cell | str | int | float"
"""What stands in a cell; numbers as Python writes them."""


def html_facts(title: str, facts: Mapping[str, Content], *, note: str = "") -> str:
    """Return what there is to know about one thing: names on the left, values on the right.

    Parameters
    ----------
    title, note
        A line above and a line below; the latter may be left out.

    >>> "<td" in html_facts("Run", {"uid": "<8f3a>"}), "&lt;8f3a&gt;" in html_facts("Run", {"uid": "<8f3a>"})
    (True, True)
    """
    rows = "".join(
        f"<tr>{_cell(Cell(name, 'quiet'), heading=True)}{_cell(value)}</tr>" for name, value in facts.items()
    )
    return _framed(title, f'<table style="{_TABLE}">{rows}</table>' if rows else "", note)


def html_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[Content]], *, note: str = ""
) -> str:
    """Return many things of a kind, one a row; without rows, title and note only.

    Parameters
    ----------
    title, note
        A line above and a line below; the latter may be left out.
    headings
        Above the columns; left out if all are empty.
    """
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    head = "".join(_cell(Cell(heading, "quiet"), heading=True, style=_RULE) for heading in headings)
    head = f"<thead><tr>{head}</tr></thead>" if any(headings) else ""
    table = f'<table style="{_TABLE}">{head}<tbody>{body}</tbody></table>'
    return _framed(title, table if body else "", note)


def _framed(title: str, content: str, note: str) -> str:
    below = f'<div style="{_TONES["quiet"]}">{_escaped(note)}</div>' if note else ""
    return f'<div style="{_FRAME}"><div style="{_TITLE}">{_escaped(title)}</div>{content}{below}</div>'


def _cell(content: Content, *, heading: bool = False, style: str = "") -> str:
    cell = content if isinstance(content, Cell) else Cell(str(content))
    tag = "th" if heading else "td"
    style += "white-space:pre-wrap;" if len(cell.text) >= _LONG else "white-space:pre;"
    if heading:
        style += "font-weight:normal;"
    return f'<{tag} style="{_CELL}{style}{_TONES[cell.tone]}">{_escaped(cell.text)}</{tag}>'


def _escaped(text: str) -> str:
    """Return a text that no browser takes for markup, and that UTF-8 can hold."""
    return escape(text.encode("utf-8", "backslashreplace").decode())
