"""Documents come in, go through a user's patches or normalizer, and go out as corrected; called by `TiledWriter`.

It happens before the journal, so that whoever delivers a journal delivers the same. A writer without patches and with
the usual normalizer has no part in this.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from event_model import RunRouter

from tilewright.documents.legacy import Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Emit = Callable[[str, dict[str, Any]], None]

logger = logging.getLogger(__name__)


class Corrections:
    """Passes documents of any number of runs through one normalizer a run.

    Parameters
    ----------
    emit
        Called with each corrected document.
    normalizer
        Bluesky's protocol: made with `patches` and `spec_to_mimetype`, has `subscribe`, is called with documents.
        None: documents pass as they are.
    patches, spec_to_mimetype
        As in `TiledWriter`.
    """

    def __init__(
        self,
        emit: Emit,
        normalizer: Any,
        patches: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]],
        spec_to_mimetype: Mapping[str, str],
    ) -> None:
        def factory(_name: str, _start: dict[str, Any]) -> tuple[list[Emit], list[Any]]:
            if normalizer is None:
                return [emit], []
            if normalizer is Translator:
                return [_Translated(Translator(spec_to_mimetype=spec_to_mimetype, patches=patches), emit)], []
            made = normalizer(patches=dict(patches), spec_to_mimetype=dict(spec_to_mimetype))
            made.subscribe(lambda name, doc: emit(str(getattr(name, "name", name)), doc))
            return [made], []

        self._route = RunRouter([factory])

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; what comes of it is emitted, now or with a later one.

        Raises
        ------
        Exception
            Whatever a patch or a normalizer raises.
        """
        self._route(name, doc)


class _Translated:
    """One run's documents through our own translation, for its patches."""

    def __init__(self, translator: Translator, emit: Emit) -> None:
        self._translator = translator
        self._emit = emit

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        documents = self._translator.translate(name, doc)
        if name == "stop":
            documents = [*self._translator.finish(), *documents]
            for note in self._translator.notes:
                logger.warning("Run %s: %s", doc.get("run_start"), note)
        for document in documents:
            self._emit(*document)
