"""A step, and what the gate says of it."""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum

PROBE = "probe:"  # before a lane: the step that tries it while it is shut, and that step's own lane


class Queue(StrEnum):
    """Where granted steps are published; workers announce their places for each."""

    DISPATCH = "dispatch"
    PIPELINE = "pipeline"
    EXPORT = "export"


class Priority(IntEnum):
    STAT = 0
    NORMAL = 1
    LOW = 2

    @classmethod
    def named(cls, name: str) -> "Priority":
        return cls[name.upper()]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to run. Steps of a lane share a cap; lanes of a queue share its workers."""

    id: str
    queue: Queue
    lane: str
    job: str = ""
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Grant:
    """A step that may start: to be published as a Celery message."""

    step_id: str
    token: str
    attempts: int  # that came before


@dataclass(frozen=True, slots=True)
class Run:
    """A step that was started: the right to run it, and to say how it ended."""

    step: Step
    token: str
    caller: str
    attempt: int
    breaks: int  # starts, this one included, that came to no end that the step's body foresaw
    held_up: float = 0  # for how long (s) its runs have ended by the storage's or machine's fault
    submitted: float = math.inf  # POSIX time, where it is known


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a step's lane leads to failed: it is held to one place until a step of it is done.

    After so many failures in a row the lane is shut until its probe is done; what was submitted
    `patience` seconds ago goes all the same, to be given up.
    """

    shut_after: int
    patience: float


class StepEnd(StrEnum):
    DONE = "done"
    FAILED = "failed"
    RETRYING = "retrying"
    WITHDRAWN = "withdrawn"  # there was nothing to do: it may be submitted anew
