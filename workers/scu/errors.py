"""How an association as requestor fails."""

from shared.upper_layer.pdu import AssociateReject


class ScuError(Exception):
    """The send cannot go on; what was not confirmed has to be sent again."""


class ConnectError(ScuError):
    """No TCP connection to the peer."""


class RejectedError(ScuError):
    """The peer answered with A-ASSOCIATE-RJ."""

    def __init__(self, reject: AssociateReject) -> None:
        super().__init__(reject.describe())
        self.reject = reject


class AssociationLostError(ScuError):
    """Aborted, reset, silent past the deadline, or against the protocol."""


class NotAcceptedError(Exception):
    """The peer took no presentation context for this SOP class in this transfer syntax."""


def in_words(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
