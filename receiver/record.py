"""What is written down of an association: the record beside its data, and one line in the log."""

from datetime import UTC, datetime

import structlog

from shared.delivery import Association
from shared.ended_association import EndedAssociation
from shared.settings import Settings
from shared.settings.receiving import AeTitleEntry
from shared.upper_layer.associate import AssociateRequest

_MAX_VERSION_NAME = 16  # of an implementation (PS3.7 D.3.3.2)
_MAX_UID = 64

log = structlog.get_logger()


def association_record(
    association_id: str,
    receiver: str,
    request: AssociateRequest,
    peer_address: str,
    entry: AeTitleEntry,
    settings: Settings,
) -> Association:
    """The record of an association that begins now."""
    peer = request.user_information
    return Association(
        id=association_id,
        receiver=receiver,
        calling_ae_title=request.calling_ae_title,
        called_ae_title=request.called_ae_title,
        ae_title=entry.title,
        peer_address=peer_address,
        # Cut to what they may be: a peer could send 64 KB of anything.
        peer_implementation_class_uid=peer.implementation_class_uid[:_MAX_UID],
        peer_implementation_version_name=peer.implementation_version_name[:_MAX_VERSION_NAME],
        settings_revision=settings.revision,
        started=datetime.now(UTC),
    )


def log_end(ended: EndedAssociation) -> None:
    """The one line that an association leaves in the log."""
    write = log.info if ended.end == "released" else log.warning
    write("association ended", **ended.model_dump(exclude={"ended", "receiver"}))
