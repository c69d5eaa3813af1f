"""What associations receive into: little each, large for those that have much coming just now."""

from typing import Final

_FIRST: Final = 16 << 10  # enough for one that sends no instances
_OWN: Final = 64 << 10
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


class ReceiveBuffer:
    """One association's: `memory` is what to receive into next."""

    def __init__(self, lender: Buffers) -> None:
        self._lender = lender
        self._own = self.memory = bytearray(_FIRST)

    def enlarge(self) -> None:
        """More of a data set is coming."""
        if self.memory is self._own:
            if len(self._own) < _OWN:
                self._own = bytearray(_OWN)
            self.memory = self._lender.borrow() or self._own

    def give_back(self) -> None:
        """Nothing large is coming now."""
        if self.memory is not self._own:
            self._lender.give_back(self.memory)
            self.memory = self._own
