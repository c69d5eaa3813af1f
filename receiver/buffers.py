"""Large receive buffers, for those associations that have much coming just now."""

from typing import Final

LARGE: Final = 256 << 10
_MOST = 64  # at once, over all associations: the others get on with smaller ones


class Buffers:
    """Borrowed and given back: kept by all who ever sent, they would be most of our memory."""

    def __init__(self) -> None:
        # Places for buffers, each made when first needed. `pop` and `append` need no lock.
        self._spare: list[bytearray | None] = [None] * _MOST

    def borrow(self) -> bytearray | None:
        """None if all are lent."""
        try:
            return self._spare.pop() or bytearray(LARGE)
        except IndexError:
            return None

    def give_back(self, buffer: bytearray) -> None:
        self._spare.append(buffer)
