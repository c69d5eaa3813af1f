"""What a kind of pipeline is: how it is checked beforehand, and how one attempt of it is run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.locked_file import LockedFile
from shared.settings.sections import PipelineSection
from workers.lease import Lease


@dataclass(frozen=True, slots=True)
class AttemptRun:
    """One attempt: its job, its folders, and the lock that its children inherit."""

    job: Job
    folder: JobFolder
    attempt: Attempt
    lock: LockedFile
    lease: Lease
    tell_progress: Callable[[float], None] = lambda fraction: None  # 0 to 1


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`folder` holds what is exported, relative to the job's folder."""

    folder: str


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    reason: str  # without text of the program's own: it may name a patient
    final: bool = False  # another attempt cannot help


@dataclass(frozen=True, slots=True)
class NotNow:
    """To be tried again later; that was no attempt."""

    reason: str
    give_up_after: float  # seconds since the first such end


AttemptEnd = Succeeded | AttemptFailed | NotNow
SectionT = TypeVar("SectionT", bound=PipelineSection, contravariant=True)


class Kind(Protocol[SectionT]):
    def check(self, section: SectionT) -> list[str]:
        """What on this machine would keep the pipeline from running, a line each."""

    def trigger(self, section: SectionT, run: AttemptRun) -> AttemptEnd:
        """Runs an attempt to its end.

        Raises:
            LeaseLostError, StepWithdrawnError, StoppingError: it was interrupted, and is over.
        """
