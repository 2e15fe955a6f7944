"""Folders of audio recordings come in, the documents of a deployment go out.

`Recordings` is what users and the command line take; `names`, `metadata` and `headers` know what recorders write.
"""

from tilewright.sources.recordings.source import Recordings

__all__ = ["Recordings"]
