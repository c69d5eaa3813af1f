"""What all associations of one receiver share."""

import threading
from dataclasses import dataclass, field

import structlog

from receiver.admission import Load
from receiver.buffers import Buffers
from receiver.capacity import Capacity
from receiver.certificates import Certificates
from receiver.incoming import Incoming
from receiver.outbox import Outbox
from receiver.reporter import Reporter
from receiver.slots import Slots
from receiver.syncing import SyncPool
from receiver.tally import Tally
from shared.certificate_files import CertificateFileError
from shared.settings import InvalidSettingsError, Settings
from shared.settings.live import LiveSettings
from shared.tree import StorageTree

log = structlog.get_logger()

# Bound at the start: changing one of these needs a restart.
_FIXED = (
    "storage.root",
    "receiver.host",
    "receiver.port",
    "receiver.plain",
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
    buffers: Buffers = field(default_factory=Buffers)
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
        """Reads settings and certificates again; without a fault, new associations get them."""
        if self.live.reread(self._take_certificates):
            self.slots.limit = self.settings.receiver.max_associations
            self.capacity.follow(self.settings.storage)

    def _take_certificates(self, found: Settings) -> None:
        before, tls = self.settings.receiver.tls, found.receiver.tls
        if self.certificates is not None and tls is not None:
            try:
                self.certificates.reload(tls)
            except CertificateFileError as error:
                raise InvalidSettingsError(str(found.source), [str(error)]) from None
        if (before and before.port) != (tls and tls.port):
            log.warning("this needs a restart, the old value stays", setting="receiver.tls.port")

    def stop(self) -> None:
        """Once no association is left.

        Raises:
            OSError: our folder in `incoming/` cannot be taken away.
        """
        self.syncs.close()
        self.outbox.close()
        self.reporter.close()
        self.incoming.close()
