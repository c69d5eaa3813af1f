"""How a step's run ended; what the gate and Flower are told follows from it."""

from dataclasses import dataclass

from shared.registry.step import Trouble


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class TryAgain:
    """After `delay` seconds. An uncounted run was no attempt: it merely could not begin.

    A broken one came to an end that its body did not foresee; of these there may not be many.
    """

    delay: float
    reason: str
    counted: bool = True
    trouble: Trouble | None = None  # not its own, but that of what its lane leads to
    broken: bool = False
    held_up: bool = False  # by a storage that is full, say: no fault of its own
    holds_on: bool = False  # to its place in the lane: an engine may be at work for it


@dataclass(frozen=True, slots=True)
class Failed:
    """For good: trying again by itself cannot help."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Its job is cancelled or held: the run stopped, or did not begin, and was no attempt."""

    reason = "withdrawn"


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """What the step was for is gone, or is not there yet: it may be submitted anew."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """An engine elsewhere has it: the step goes on there, and this run of it is over."""

    deadline: float  # seconds


Outcome = Done | TryAgain | Failed | HandedOver | Withdrawn | NothingToDo
