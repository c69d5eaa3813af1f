"""What is remembered of an association once it has ended: a line in the log, a record in Redis."""

from datetime import datetime
from typing import Literal

from shared.delivery import Record


class EndedAssociation(Record):
    """No patient data; of a refused association too."""

    id: str
    receiver: str
    peer: str  # address
    calling: str  # AE title
    called: str  # AE title
    contexts_offered: int
    contexts_accepted: int
    instances: int  # kept
    bytes: int  # of their files
    seconds: float
    ended: datetime
    end: Literal["released", "aborted", "refused"]
    # Aborted: "peer" by an A-ABORT, "connection" when it was lost, else "us".
    # Refused: result, source and reason of the A-ASSOCIATE-RJ (PS3.8 table 9-21), like "1,1,7".
    cause: str = ""
    reason: str = ""  # in words
