"""Files of a fibre-optic cable come in, the documents of an acquisition go out.

`Cable` is what users and the command line take; `tilewright.das` knows what is in the files.
"""

from tilewright.sources.das.descriptors import ARRAY, STREAM
from tilewright.sources.das.source import Cable

__all__ = ["ARRAY", "STREAM", "Cable"]
