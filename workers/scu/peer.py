"""Whom we call, and who we are to them."""

from dataclasses import dataclass

from shared.settings import Settings
from shared.settings.sections import Destination
from shared.settings.tls import DestinationTls


@dataclass(frozen=True, slots=True)
class Peer:
    ae_title: str
    host: str
    port: int
    tls: DestinationTls | None = None  # None: plain TCP

    @classmethod
    def of(cls, destination: Destination) -> "Peer":
        return cls(destination.ae_title, destination.host, destination.port, destination.tls)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are as a requestor, and how long we wait (seconds)."""

    ae_title: str
    implementation_class_uid: str
    implementation_version_name: str
    max_pdu_length: int
    connect_timeout: float
    response_timeout: float  # from the last byte sent to the last one of the answer
    association_timeout: float = 30  # from the connection to the A-ASSOCIATE-AC
    pdu_timeout: float = 60  # for the peer to take a whole PDU of ours

    @classmethod
    def of(cls, settings: Settings, destination: Destination | None = None) -> "Caller":
        """What the destination says of timeouts goes before what the exporter says."""
        exporter = settings.exporter
        if destination is not None:
            exporter = exporter.towards(destination)
        return cls(
            exporter.ae_title,
            settings.dicom.implementation_class_uid,
            settings.dicom.implementation_version_name,
            settings.dicom.max_pdu_length,
            exporter.connect_timeout,
            exporter.response_timeout,
            exporter.association_timeout,
            exporter.pdu_timeout,
        )
