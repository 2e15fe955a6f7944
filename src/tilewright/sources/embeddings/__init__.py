"""Files of embeddings come in, the documents of a dataset go out.

`Embeddings` is what users and the command line take; `names` knows what the names of recordings tell.
"""

from tilewright.sources.embeddings.names import PATTERN
from tilewright.sources.embeddings.source import Embeddings

__all__ = ["PATTERN", "Embeddings"]
