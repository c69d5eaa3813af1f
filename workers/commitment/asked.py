"""`commitment-<destination>.json`: each time that a destination was asked, on disk before it is."""

from datetime import UTC, datetime
from pathlib import Path

from shared.commitment.transaction import forget_transaction
from shared.delivery import Record
from shared.job_folder import JobFolder
from shared.tree import StorageTree

_PREFIX, _SUFFIX = "commitment-", ".json"


class Question(Record):
    """One N-ACTION, from before it is sent on."""

    transaction_uid: str
    round: int  # as that of the send log
    at: datetime
    accepted: bool = False  # the destination has said that it will report
    closed: bool = False  # it has, or what it would say is not true any more


class Asked(Record):
    questions: tuple[Question, ...] = ()

    @classmethod
    def read(cls, folder: JobFolder, destination: str) -> "Asked":
        try:
            return cls.model_validate_json(_path(folder, destination).read_bytes())
        except FileNotFoundError:
            return cls()

    def write_for(self, folder: JobFolder, destination: str) -> None:
        self.write(_path(folder, destination))

    def begun(self, transaction_uid: str, round_: int) -> "Asked":
        question = Question(transaction_uid=transaction_uid, round=round_, at=datetime.now(UTC))
        return Asked(questions=(*self.questions, question))

    def accepted(self) -> "Asked":
        """The last one."""
        *earlier, last = self.questions
        return Asked(questions=(*earlier, last.model_copy(update={"accepted": True})))

    def closed(self, *transaction_uids: str) -> "Asked":
        closed = {"closed": True}
        return Asked(
            questions=tuple(
                each.model_copy(update=closed) if each.transaction_uid in transaction_uids else each
                for each in self.questions
            )
        )

    def accepted_in(self, round_: int) -> list[Question]:
        return [each for each in self.questions if each.accepted and each.round == round_]


def forget_transactions(tree: StorageTree, folder: JobFolder) -> None:
    """Before the job's folder goes."""
    for path in folder.path.glob(f"{_PREFIX}*{_SUFFIX}"):
        for question in Asked.model_validate_json(path.read_bytes()).questions:
            forget_transaction(tree, question.transaction_uid)


def _path(folder: JobFolder, destination: str) -> Path:
    return folder.path / f"{_PREFIX}{destination}{_SUFFIX}"
