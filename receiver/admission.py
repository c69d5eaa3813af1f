"""Who may associate: the answer to an A-ASSOCIATE-RQ, before anything is negotiated."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from receiver.certificate_names import allows
from shared import ae_title
from shared.settings import Settings
from shared.settings.fields import caller_matches
from shared.settings.receiving import AeTitleEntry, Receiver
from shared.settings.tls import Tls
from shared.sop_classes import is_storage
from shared.upper_layer.associate import APPLICATION_CONTEXT, AssociateRequest

_PROTOCOL_VERSION_1: Final = 1  # bit 0; the other bits are not tested (PS3.8 table 9-11)


@dataclass(frozen=True, slots=True)
class Load:
    """How the receiver stands at this moment."""

    at_limit: bool  # of associations
    storage_full: bool  # over the watermark or under the reserve
    draining: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    ae_title: AeTitleEntry  # ours: whose settings apply
    may_report: bool = False  # what it commits to keep: it is a destination, and calls our exporter

    @property
    def may_store(self) -> bool:
        return bool(self.ae_title.pipeline_names)


@dataclass(frozen=True, slots=True)
class Refused:
    """The fields of an A-ASSOCIATE-RJ (PS3.8 table 9-21), and words for the log."""

    result: int
    source: int
    reason: int
    words: str


WRONG_VERSION: Final = Refused(1, 2, 2, "protocol version not supported")
WRONG_APPLICATION_CONTEXT: Final = Refused(1, 1, 2, "application context name not supported")
UNKNOWN_CALLED_AE_TITLE: Final = Refused(1, 1, 7, "called AE title not recognized")
CALLER_NOT_ALLOWED: Final = Refused(1, 1, 3, "calling AE title not recognized")
CALLER_NOT_CERTIFIED: Final = Refused(
    1, 1, 3, "calling AE title not recognized: not that of its certificate"
)
AT_LIMIT: Final = Refused(2, 3, 2, "local limit exceeded: associations")
STORAGE_FULL: Final = Refused(2, 3, 1, "temporary congestion: storage is full")
DRAINING: Final = Refused(2, 3, 1, "temporary congestion: the receiver is being stopped")


def admit(
    request: AssociateRequest,
    peer_address: str,
    settings: Settings,
    load: Load,
    certificate_names: Collection[str] | None = None,
) -> Admitted | Refused:
    """The answer, from what the request says and how the receiver stands.

    `certificate_names` are those of the certificate that the peer has shown; None: came without
    TLS.
    """
    if not request.protocol_version & _PROTOCOL_VERSION_1:
        return WRONG_VERSION
    if request.application_context != APPLICATION_CONTEXT:
        return WRONG_APPLICATION_CONTEXT
    decision = _admit_by_title(request, peer_address, settings)
    if isinstance(decision, Refused):
        return decision
    if not _vouched_for(request.calling_ae_title, certificate_names, settings.receiver.tls):
        return CALLER_NOT_CERTIFIED
    if load.at_limit:
        return AT_LIMIT
    if decision.may_store and _proposes_storage(request):
        if load.draining:
            return DRAINING
        if load.storage_full:
            return STORAGE_FULL
    return decision


def _admit_by_title(
    request: AssociateRequest, peer_address: str, settings: Settings
) -> Admitted | Refused:
    entry = _called(request.called_ae_title, settings)
    may_report = _may_report(request, settings)
    title = request.calling_ae_title
    if entry and _may_call(title, peer_address, entry, settings.receiver):
        return Admitted(entry, may_report)
    if may_report:
        # As one of our AE titles that has no pipelines, which settings cannot say.
        exporter = settings.exporter.ae_title
        return Admitted(AeTitleEntry.model_construct(title=exporter), may_report)
    return UNKNOWN_CALLED_AE_TITLE if entry is None else CALLER_NOT_ALLOWED


def _may_report(request: AssociateRequest, settings: Settings) -> bool:
    """Storage commitment comes to whom it was asked by, from whom it was asked of (PS3.4 J.3)."""
    return request.called_ae_title == settings.exporter.ae_title and any(
        each.storage_commitment and each.ae_title == request.calling_ae_title
        for each in settings.destinations.values()
    )


def _called(title: str, settings: Settings) -> AeTitleEntry | None:
    if entry := settings.ae_title(title):
        return entry
    default = settings.receiver.default_ae_title
    if settings.receiver.verify_called_ae_title or default is None or ae_title.fault(title):
        return None
    return settings.ae_title(default)


def _may_call(title: str, address: str, entry: AeTitleEntry, receiver: Receiver) -> bool:
    if ae_title.fault(title):
        return False
    if entry.allowed_calling and not _listed(title, address, entry.allowed_calling):
        return False
    # Without a list for the whole receiver, the AE title's own one is the verification.
    verified_by_own_list = entry.allowed_calling and not receiver.allowed_calling
    if receiver.verify_calling_ae_title and not verified_by_own_list:
        return _listed(title, address, receiver.allowed_calling)
    return True


def _vouched_for(title: str, certificate_names: Collection[str] | None, tls: Tls | None) -> bool:
    """For a peer that came over TLS, by its certificate."""
    if certificate_names is None or tls is None:
        return True
    return allows(certificate_names, title, tls.allowed_calling)


def _listed(title: str, address: str, callers: Iterable[str]) -> bool:
    return any(caller_matches(caller, title, address) for caller in callers)


def _proposes_storage(request: AssociateRequest) -> bool:
    return any(is_storage(context.abstract_syntax) for context in request.presentation_contexts)
