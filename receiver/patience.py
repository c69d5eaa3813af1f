"""How long a peer may let us wait: for its A-ASSOCIATE-RQ, for the rest of a PDU, or at all."""

from typing import NamedTuple

from shared.settings.receiving import Receiver


class Limit(NamedTuple):
    """How long the next bytes may take, and what it means if they do not come."""

    seconds: float
    words: str


class Patience:
    """Only waiting for the peer counts, so that a slow disk of ours ends no association.

    Except for the length of the association, if that has a limit: it is how long others may have
    to wait for this one's slot.
    """

    def __init__(self, settings: Receiver) -> None:
        self._settings = settings
        self._associated = False
        self._pdu: int | None = None  # the one under way, by its number
        self._left = settings.artim_timeout  # for what is under way now

    def limit(self, age: float = 0) -> Limit:
        """How long the next bytes may take, `age` seconds after the connection was opened."""
        limit = self._next()
        longest = self._settings.max_association_time
        if longest is not None and self._associated and longest - age < limit.seconds:
            return Limit(longest - age, "the association took too long")
        return limit

    def _next(self) -> Limit:
        if not self._associated:
            return Limit(self._left, "no A-ASSOCIATE-RQ in time")
        if self._pdu is not None:
            return Limit(self._left, "a PDU was not ended in time")
        return Limit(self._settings.idle_timeout, "no traffic")

    def associated(self) -> None:
        """The A-ASSOCIATE-RQ is whole."""
        self._associated = True
        self._pdu = None

    def received(self, waited: float, pdu_under_way: int | None) -> None:
        """Bytes came after `waited` seconds, and left off within the PDU of that number, if any."""
        if self._associated and pdu_under_way != self._pdu:
            self._left = self._settings.pdu_timeout
        else:
            self._left -= waited
        self._pdu = pdu_under_way
