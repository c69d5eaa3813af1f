"""How much an association may still bring: asked again and again while an instance arrives."""

from dataclasses import dataclass

from receiver.capacity import Capacity
from shared.settings.fields import format_size
from shared.settings.receiving import Receiver


def over_limit(instance: int, association: int, settings: Receiver) -> str:
    """Words for a limit that files of these sizes, in bytes, are over; empty if there is none."""
    largest, most = settings.max_instance_size, settings.max_association_size
    if largest is not None and instance > largest:
        return f"instance over {format_size(largest)}"
    if most is not None and association > most:
        return f"association over {format_size(most)}"
    return ""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Over a limit it is the instance that is refused, and those after it; what was stored stands.

    An A-ABORT would take back what was answered with success, and have it all sent again.
    """

    settings: Receiver
    capacity: Capacity

    @property
    def under_reserve(self) -> bool:
        return self.capacity.room().under_reserve

    def objection(self, instance: int, before: int) -> str:
        """Why an instance of so many bytes until now may not go on, after `before` bytes in others
        of its association; empty if it may."""
        if self.under_reserve:
            return "storage is full"
        return over_limit(instance, before + instance, self.settings)
