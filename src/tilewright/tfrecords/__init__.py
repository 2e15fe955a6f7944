"""TFRecord files of embeddings, without TensorFlow: paths come in, records, vectors and the places of these go out.

`sources` read whole files with it, `formats` single vectors on the server, `clients` the places of vectors to map a file into memory. No
documents here.

    records      an open file: the record at a place
    framing      one record after the other, and what is damaged; `searching` finds the next one behind damage
    examples     the data of a record, parsed by protobuf (`messages`)
    positions    where the vectors of a file lie; `wire` finds them in the head of a record, and `remembering` keeps what was found
    reading      some vectors of a file
    fingerprints what a file contains, in 32 digits
    writing      files for tests and examples
"""

from tilewright.tfrecords.examples import FEATURES, Example, parse
from tilewright.tfrecords.fingerprints import Fingerprint, fingerprint
from tilewright.tfrecords.framing import Damage, frames
from tilewright.tfrecords.positions import (
    NOT_IN_ONE_PIECE,
    Positions,
    count_intact,
    positions,
    positions_in,
)
from tilewright.tfrecords.reading import read_vectors
from tilewright.tfrecords.records import Frame, OpenFile
from tilewright.tfrecords.remembering import Remembered
from tilewright.tfrecords.searching import find_record
from tilewright.tfrecords.writing import encode_example, framed, write_records

__all__ = [
    "FEATURES",
    "NOT_IN_ONE_PIECE",
    "Damage",
    "Example",
    "Fingerprint",
    "Frame",
    "OpenFile",
    "Positions",
    "Remembered",
    "count_intact",
    "encode_example",
    "find_record",
    "fingerprint",
    "framed",
    "frames",
    "parse",
    "positions",
    "positions_in",
    "read_vectors",
    "write_records",
]
