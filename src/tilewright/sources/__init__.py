"""Things that emit documents. In come files and instruments, out go `(name, document)` pairs.

`files` replays files of documents; the command line and the tests call it.
"""

from tilewright.sources.files import DocumentFile, document_file, read_documents

__all__ = ["DocumentFile", "document_file", "read_documents"]
