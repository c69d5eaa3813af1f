"""How long a peer may let us wait: for its A-ASSOCIATE-RQ, for the rest of a PDU, or at all."""

from typing import NamedTuple

from shared.settings.sections import Receiver


class Limit(NamedTuple):
    """How long the next bytes may take, and what it means if they do not come."""

    seconds: float
    words: str


class Patience:
    """Only waiting for the peer counts, so that a slow disk of ours ends no association."""

    def __init__(self, settings: Receiver, longest_pdu: int) -> None:
        self._settings = settings
        self._longest_pdu = longest_pdu
        self._associated = False
        self._mid_pdu = False
        self._left = settings.artim_timeout  # for what is under way now
        self._bytes = 0  # since it began

    def limit(self) -> Limit:
        if not self._associated:
            return Limit(self._left, "no A-ASSOCIATE-RQ in time")
        if self._mid_pdu:
            return Limit(self._left, "a PDU was not ended in time")
        return Limit(self._settings.idle_timeout, "no traffic")

    def associated(self) -> None:
        """The A-ASSOCIATE-RQ is whole."""
        self._associated = True
        self._mid_pdu = False

    def received(self, count: int, waited: float, *, mid_pdu: bool) -> None:
        """`count` bytes came after `waited` seconds, and left off within a PDU or after one."""
        self._bytes += count
        # A PDU under way since the last bytes began has ended by now if more has come than a PDU
        # can hold: what is under way then is another one.
        began = mid_pdu and (not self._mid_pdu or self._bytes >= self._longest_pdu)
        if began and self._associated:
            self._left, self._bytes = self._settings.pdu_timeout, 0
        else:
            self._left -= waited
        self._mid_pdu = mid_pdu
