"""What is said before something large is fetched, and how far it is: a sentence and the number of pieces come in.

`arrays` calls this. The sentence goes to stderr wherever that leads; a bar is drawn below it only on a terminal or in
a notebook, and taken away at the end, whatever the end is.
"""

from __future__ import annotations

from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from tiled.client.utils import is_jupyter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def announced(sentence: str, pieces: int) -> Iterator[Callable[[], object]]:
    """Say what is about to be fetched; yield what is to be called in this thread whenever a piece of it has come.

    Parameters
    ----------
    sentence
        What it is, and how large.
    pieces
        How many there are; of a single one no bar is drawn.
    """
    draw = _in_notebook if is_jupyter() else _on_terminal
    with draw(sentence, pieces) as advance:
        yield advance


@contextmanager
def _on_terminal(sentence: str, pieces: int) -> Iterator[Callable[[], object]]:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TaskProgressColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    drawn = console.is_terminal and pieces > 1
    with Progress(*columns, console=console, transient=True, disable=not drawn) as progress:
        task = progress.add_task("", total=pieces)
        yield lambda: progress.advance(task)


@contextmanager
def _in_notebook(sentence: str, pieces: int) -> Iterator[Callable[[], object]]:
    """Draw with HTML alone: rich has no bar in a notebook without ipywidgets, which is not everywhere."""
    from IPython.display import HTML, display  # noqa: PLC0415 - is there, for this is a notebook

    text = f"<div>{escape(sentence)}</div>"
    show: Any = HTML  # which has no types, as display
    handle = display(show(text), display_id=True)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        bar = f'<progress max="{pieces}" value="{done}"></progress>' if pieces > 1 else ""
        handle.update(show(f"{text}{bar}"))

    try:
        yield advance
    finally:
        handle.update(show(text))
