"""The storage tree: one folder for each state that data can be in; moving it is one rename."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.ids import is_id


@dataclass(frozen=True, slots=True)
class Usage:
    """How full the file system is, as `df` counts: what only root may use is not free."""

    total: int
    used: int
    free: int

    @property
    def used_percent(self) -> float:
        usable = self.used + self.free
        return 100 * self.used / usable if usable else 100.0


class StorageTree:
    """Paths under `storage.root`, one POSIX file system that every process mounts alike."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / "incoming"
        self.committed = root / "committed"
        self.aborted = root / "aborted"
        self.deliveries = root / "deliveries"
        self.jobs = root / "jobs"
        self.groups = root / "groups"
        self.commitments = root / "commitments"
        self.reports = root / "reports"
        self.paused = root / "paused"
        self.quarantine = root / "quarantine"
        self.trash = root / "trash"

    def create(self) -> None:
        """Makes the folders that are missing; patient data is nobody else's to read."""
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        for folder in (
            self.incoming,
            self.committed,
            self.aborted,
            self.deliveries,
            self.jobs,
            self.groups,
            self.commitments,
            self.reports,
            self.paused,
            self.quarantine,
            self.trash,
        ):
            folder.mkdir(mode=0o750, exist_ok=True)

    def usage(self) -> Usage:
        """Space of the file system now, in bytes.

        Raises:
            OSError: the storage is away.
        """
        stat = os.statvfs(self.root)
        return Usage(
            total=stat.f_blocks * stat.f_frsize,
            used=(stat.f_blocks - stat.f_bfree) * stat.f_frsize,
            free=stat.f_bavail * stat.f_frsize,
        )


def ids_in(folder: Path) -> Iterator[str]:
    """The ids that have a folder here, oldest first; anything else that lies about is skipped."""
    return iter(sorted(entry.name for entry in folder.iterdir() if is_id(entry.name)))
