"""What a recorder wrote into a file's header comes in, what it tells comes out as `Told`; `metadata` calls it.

One module a kind of header. Nothing here raises for what a header holds: what is wrong becomes a remark.
"""

from tilewright.sources.recordings.headers import audiomoth, bext, guano_text, tags, wamd
from tilewright.sources.recordings.headers.told import Told

__all__ = ["Told", "audiomoth", "bext", "guano_text", "tags", "wamd"]
