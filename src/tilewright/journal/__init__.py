"""The durable record of runs: the only thing the acquisition thread writes and the delivery reads."""

from tilewright.journal.directory import Claim, JournalDirectory, default_directory
from tilewright.journal.encoding import Unencodable, decode, encode
from tilewright.journal.file import Damage, Header, JournalReader, JournalWriter, is_journal
from tilewright.journal.recorder import OpenRun, Recorder

__all__ = [
    "Claim",
    "Damage",
    "Header",
    "JournalDirectory",
    "JournalReader",
    "JournalWriter",
    "OpenRun",
    "Recorder",
    "Unencodable",
    "decode",
    "default_directory",
    "encode",
    "is_journal",
]
