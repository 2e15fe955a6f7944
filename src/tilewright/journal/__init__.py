"""The durable record of runs: the only thing the acquisition thread writes and the delivery reads."""

from tilewright.documents import Unencodable
from tilewright.journal.claims import Claim, Claimant
from tilewright.journal.directory import JournalDirectory, default_directory
from tilewright.journal.disk import Disk
from tilewright.journal.encoding import decode, encode
from tilewright.journal.listing import Entry, Twin
from tilewright.journal.open_run import OpenRun
from tilewright.journal.reader import JournalReader, is_journal
from tilewright.journal.recorder import Recorder
from tilewright.journal.records import Damage, Header
from tilewright.journal.tail import MEMORY_LIMIT, Budget, Tail
from tilewright.journal.writer import JournalWriter

__all__ = [
    "MEMORY_LIMIT",
    "Budget",
    "Claim",
    "Claimant",
    "Damage",
    "Disk",
    "Entry",
    "Header",
    "JournalDirectory",
    "JournalReader",
    "JournalWriter",
    "OpenRun",
    "Recorder",
    "Tail",
    "Twin",
    "Unencodable",
    "decode",
    "default_directory",
    "encode",
    "is_journal",
]
