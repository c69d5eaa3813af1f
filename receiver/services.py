"""What all associations of one receiver share."""

import threading
from dataclasses import dataclass, field

from receiver.admission import Load
from receiver.capacity import Capacity
from receiver.certificates import Certificates
from receiver.incoming import Incoming
from receiver.outbox import Outbox
from receiver.reporter import Reporter
from receiver.slots import Slots
from receiver.syncing import SyncPool
from receiver.tally import Tally
from shared.settings import Settings
from shared.settings.live import LiveSettings
from shared.tree import StorageTree

# Bound at the start: changing one of these needs a restart.
_FIXED = (
    "storage.root",
    "receiver.host",
    "receiver.port",
    "receiver.http",
    "redis.url",
    "log.level",
    "log.format",
)


@dataclass(frozen=True, slots=True)
class Services:
    live: LiveSettings
    tree: StorageTree
    incoming: Incoming
    slots: Slots
    capacity: Capacity
    syncs: SyncPool
    outbox: Outbox
    reporter: Reporter
    certificates: Certificates | None = None  # for TLS, where it is on
    tally: Tally = field(default_factory=Tally)
    draining: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def start(
        cls,
        settings: Settings,
        tree: StorageTree,
        incoming: Incoming,
        certificates: Certificates | None = None,
    ) -> "Services":
        return cls(
            LiveSettings(settings, _FIXED),
            tree,
            incoming,
            Slots(settings.receiver.max_associations),
            Capacity(tree.usage, settings.storage),
            SyncPool(),
            Outbox(settings),
            Reporter(settings),
            certificates,
        )

    @property
    def settings(self) -> Settings:
        """As they are now; an association takes them once, at its beginning."""
        return self.live.now

    def load(self) -> Load:
        return Load(
            at_limit=self.slots.at_limit,
            storage_full=self.capacity.room().full,
            draining=self.draining.is_set(),
        )

    def reload(self) -> None:
        """Reads the settings again; without a fault in them, new associations get them."""
        if self.live.reread():
            self.slots.limit = self.settings.receiver.max_associations
            self.capacity.follow(self.settings.storage)

    def stop(self) -> None:
        """Once no association is left.

        Raises:
            OSError: our folder in `incoming/` cannot be taken away.
        """
        self.syncs.close()
        self.outbox.close()
        self.reporter.close()
        self.incoming.close()
