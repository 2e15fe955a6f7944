"""What has to survive a power cut: the names in a directory. Stores that samples and vectors are converted to call it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk."""
    if os.name == "nt":  # where directories cannot be opened, and the file system sees to it
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
