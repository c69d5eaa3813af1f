"""What a kind of pipeline is: how it is checked beforehand, and how one attempt of it is run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from shared.job import Job
from shared.job_folder import Attempt, JobFolder
from shared.locked_file import LockedFile
from shared.settings.sections import PipelineSection
from workers.attempts.handover import EngineAttempt
from workers.steps.lease import Lease


@dataclass(frozen=True, slots=True)
class AttemptRun:
    """One attempt: its job, its folders, and the lock that its children inherit."""

    job: Job
    folder: JobFolder
    attempt: Attempt
    lock: LockedFile
    lease: Lease
    tell_progress: Callable[[float], None] = lambda fraction: None  # 0 to 1


def with_told(text: str, told: str) -> str:
    return f'{text}; the engine says: "{told}"' if told else text


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`folder` holds what is exported, relative to the job's folder."""

    folder: str
    told: str = ""  # by an engine, for the history alone: it may hold anything


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    reason: str  # without text of the program's own: it may name a patient
    final: bool = False  # another attempt cannot help
    told: str = ""  # by an engine, for the history alone: it may hold anything

    @property
    def in_history(self) -> str:
        return with_told(self.reason, self.told)


@dataclass(frozen=True, slots=True)
class NotNow:
    """To be tried again later; that was no attempt."""

    reason: str
    give_up_after: float  # seconds since the first such end


@dataclass(frozen=True, slots=True)
class CallAgain:
    """An engine has not said that it has the attempt, which goes on."""

    reason: str
    delay: float | None = None  # seconds, where the engine said so
    uncertain: bool = False  # it may have it all the same, and be at work


@dataclass(frozen=True, slots=True)
class Taken:
    """An engine has the attempt, and will tell how it ended."""

    deadline: float  # seconds that it has


AttemptEnd = Succeeded | AttemptFailed | NotNow | CallAgain | Taken
SectionT = TypeVar("SectionT", bound=PipelineSection, contravariant=True)


class NotStoppedError(Exception):
    """An engine was not told to stop, which is to be tried again; why, without address and data."""


@runtime_checkable
class StopsEngines(Protocol[SectionT]):
    """What kinds have, too, whose sections may say that they stop engines."""

    def stop(self, section: SectionT, job: Job, called: EngineAttempt) -> None:
        """Tells an engine that nobody wants its attempt any more.

        Raises:
            NotStoppedError: it could not be told.
        """


class Kind(Protocol[SectionT]):
    def check(self, section: SectionT) -> list[str]:
        """What on this machine would keep the pipeline from running, a line each."""

    def trigger(self, section: SectionT, run: AttemptRun) -> AttemptEnd:
        """Runs an attempt to its end, or until an engine has it.

        Raises:
            LeaseLostError, StepWithdrawnError, StoppingError: it was interrupted, and is over.
        """
