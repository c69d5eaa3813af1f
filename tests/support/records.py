"""Records of associations, as a receiver writes them."""

from datetime import UTC, datetime
from typing import Any


def association_fields(association_id: str, **fields: Any) -> dict[str, Any]:
    """From CT01 to BRAIN, begun now; `fields` are laid over it."""
    return {
        "id": association_id,
        "receiver": "tests",
        "calling_ae_title": "CT01",
        "called_ae_title": "BRAIN",
        "ae_title": "BRAIN",
        "peer_address": "127.0.0.1",
        "peer_implementation_class_uid": "1.2.3.4",
        "peer_implementation_version_name": "TESTS",
        "settings_revision": "r",
        "started": datetime.now(UTC),
    } | fields
