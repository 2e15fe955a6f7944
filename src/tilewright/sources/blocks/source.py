"""A stream of blocks comes in, as a microphone's buffer gives them; the documents of a run a session go out.

Users take it, with `play` or `microphone`, or an iterator of their own.

    (session, offset, bytes) ─▶ the session's run ─▶ documents
                                `sessions`, `session_run`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.documents import quoted
from tilewright.errors import InputError
from tilewright.sources.blocks.sessions import Block, Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tilewright.audio import Pcm
    from tilewright.documents import Document

_TRIPLE = 3


class Blocks:
    """Blocks of sound as the documents of runs, one a session, with a stream for each sensor.

    Parameters
    ----------
    blocks
        Yields `Block`s, or tuples that begin like one: (session, offset, bytes).
    pcm
        What the bytes are; a mapping where sensors differ. Default: what `blocks` says itself (``blocks.pcm``), as `play` does.
    name
        Goes into the start documents, and is what a flyer is called.
    unit
        What a session is counted in from 1970, if it is a number: "s", "ms", "us" or "ns".
    sensors
        By the name of a sensor, what is known of it: gain, position …
    md
        What else goes into the start documents.

    Raises
    ------
    InputError
        If it does not say what the bytes are, or there is no such unit.

    Examples
    --------
    >>> from tilewright.audio import Pcm
    >>> pcm = Pcm(44_100)
    >>> source = Blocks([(1566065093213, 0, bytes(200)), (1566065093213, 200, bytes(200))], pcm, unit="ms")
    >>> [name for name, document in source.documents()]
    ['start', 'descriptor', 'event', 'event', 'stop']
    """

    def __init__(
        self,
        blocks: Iterable[Any],
        pcm: Pcm | Mapping[str, Pcm] | None = None,
        *,
        name: str = "blocks",
        unit: str = "s",
        sensors: Mapping[str, Mapping[str, Any]] | None = None,
        md: Mapping[str, Any] | None = None,
    ) -> None:
        said = getattr(blocks, "pcm", None) if pcm is None else pcm
        if said is None:
            raise InputError(
                "What the bytes of the blocks are is not told: give pcm=Pcm(rate, bits, channels)."
            )
        self.name = name
        self._blocks = blocks
        self._sessions = Sessions(said, unit=unit, sensors=sensors or {}, about={**(md or {}), "name": name})

    def documents(self) -> Iterator[Document]:
        """Yield the documents of the stream, each as soon as its block came; to its end, which stops all runs.

        The run of a session is stopped some time after another one has begun; what comes of it after that is a run of its own, which
        says what it `continues`. If the stream fails, its runs are stopped as failed, and what it raised is raised.

        Raises
        ------
        InputError
            If something came that is no block. What came before it is recorded.
        """
        try:
            for item in self._blocks:
                yield from self._sessions.take(self._checked(item))
        except Exception as error:
            yield from self._sessions.stop(f"{type(error).__name__}: {error}")
            raise
        yield from self._sessions.stop()

    @staticmethod
    def _checked(item: Any) -> Block:
        if isinstance(item, Block):
            return item
        if not isinstance(item, tuple) or not _TRIPLE <= len(item) <= len(Block._fields):
            raise InputError(f"{quoted(item)} is no block: expected (session, offset, bytes), or a Block.")
        return Block(*item)
