"""The states that a job's export to one destination can be in."""

from enum import StrEnum


class DestinationState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DELIVERED_WITH_WARNINGS = "delivered with warnings"
    AWAITING_COMMITMENT = "awaiting commitment"  # delivered; asked whether it is kept
    COMMITMENT_CONFIRMED = "commitment confirmed"
    NOT_CONFIRMED = "not confirmed"  # delivered, and nobody says that it is kept
    FAILED = "failed"
    DISCARDED = "discarded"  # by a person, who sends it elsewhere or not at all


SUCCESSES = frozenset(
    {
        DestinationState.DELIVERED,
        DestinationState.DELIVERED_WITH_WARNINGS,
        DestinationState.COMMITMENT_CONFIRMED,
    }
)
FAILURES = frozenset({DestinationState.FAILED, DestinationState.NOT_CONFIRMED})
ENDS = SUCCESSES | FAILURES | {DestinationState.DISCARDED}
