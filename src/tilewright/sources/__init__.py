"""Things that emit documents. In come files and instruments, out go `(name, document)` pairs.

    Blocks           blocks of sound, as a microphone's buffer gives them: a run a session
    Cable            files of a fibre-optic cable (DAS): the run of an acquisition
    Embeddings       TFRecords of vectors of sound: the run of a dataset
    Recordings       folders of audio recorders' files: the run of a deployment
    read_documents   files of documents, replayed

A source has a method `documents()` that yields those of a run; `as_flyer` makes a Bluesky device of any.
Names are imported when they are first used: some sources take long to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.sources.blocks import Blocks
    from tilewright.sources.das import Cable
    from tilewright.sources.embeddings import Embeddings
    from tilewright.sources.files import DocumentFile, document_file, read_documents
    from tilewright.sources.flying import as_flyer
    from tilewright.sources.recordings import Recordings

__all__ = [
    "Blocks",
    "Cable",
    "DocumentFile",
    "Embeddings",
    "Recordings",
    "as_flyer",
    "document_file",
    "read_documents",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "blocks": ["Blocks"],
        "das": ["Cable"],
        "embeddings": ["Embeddings"],
        "files": ["DocumentFile", "document_file", "read_documents"],
        "flying": ["as_flyer"],
        "recordings": ["Recordings"],
    },
)
