"""Whom we call, and who we are to them."""

from dataclasses import dataclass

from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Peer:
    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are as a requestor, and how long we wait (seconds)."""

    ae_title: str
    implementation_class_uid: str
    implementation_version_name: str
    max_pdu_length: int
    connect_timeout: float
    response_timeout: float

    @classmethod
    def of(cls, settings: Settings) -> "Caller":
        return cls(
            settings.exporter.ae_title,
            settings.dicom.implementation_class_uid,
            settings.dicom.implementation_version_name,
            settings.dicom.max_pdu_length,
            settings.exporter.connect_timeout,
            settings.exporter.response_timeout,
        )
