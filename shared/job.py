"""A job: what one pipeline makes of a delivery, or of a group of them, and how far it has come.

`jobs/<id>/state.json` is a `Job`; the record in Redis mirrors it for people to look at.
"""

from collections.abc import Collection
from datetime import datetime

from pydantic import Field

from shared.delivery import Record
from shared.destination_state import FAILURES, SUCCESSES, DestinationState
from shared.group import Group
from shared.job_state import JobState
from shared.marks import Marks

STATE_FILE = "state.json"


class DestinationEnd(Record):
    """How the export to one destination ended."""

    state: DestinationState
    delivered: int
    warnings: int = 0
    failed: int = 0
    reason: str = ""


class Result(Record):
    """What is exported: the attempt that counts and the folder in it, relative to the job's."""

    attempt: int
    folder: str


class Job(Record):
    """A job as the disk has it; a finished step is never run again."""

    id: str
    delivery: str  # the first, where there are several
    joined: tuple[str, ...] = ()  # the further ones
    pipeline: str
    ae_title: str
    calling_ae_title: str
    priority: str
    created: datetime
    instances: int
    size: int  # bytes received
    incomplete: bool = False  # the association did not end with a release
    studies: tuple[str, ...] = ()  # that it has instances of, by `study_hash`
    series: tuple[str, ...] = ()  # by `series_hash`
    marks: Marks = Marks()
    group: Group | None = None
    ungrouped: bool = False  # of instances that lack the UID by which they were to be grouped
    follows: str = ""  # the job that its group had before, and that was closed too early for it
    export_to: tuple[str, ...] = ()
    result: Result | None = None
    destinations: dict[str, DestinationEnd] = Field(default_factory=dict)
    failure: str = ""  # why it failed before any export
    held: bool = False  # by a person, until released
    cancelled: bool = False
    attempts_forgiven: int = 0  # of the pipeline, by a person's retry
    put_off: datetime | None = None  # since when its pipeline says that it cannot run now
    rounds: dict[str, int] = Field(default_factory=dict)  # destination -> begun anew by a person
    whole_rounds: dict[str, int] = Field(default_factory=dict)  # the last that sends all once more
    ended: datetime | None = None

    @property
    def state(self) -> JobState:
        """What the disk knows: a step under way is the gate's business."""
        if self.cancelled:
            return JobState.CANCELLED
        if self.failure:
            return JobState.FAILED
        if self.result is None:
            if self.held:
                return JobState.HELD
            return JobState.WAITING if self.is_open else JobState.QUEUED
        if self.open_destinations:
            return JobState.HELD if self.held else JobState.EXPORTING
        return JobState.FAILED if self.failed_destinations else JobState.DONE

    @property
    def is_held(self) -> bool:
        """Whether a hold is in force: one that came too late for the job stops no later act."""
        return self.state is JobState.HELD

    @property
    def deliveries(self) -> tuple[str, ...]:
        return (self.delivery, *self.joined)

    @property
    def is_open(self) -> bool:
        """Whether its group takes more deliveries, unless a person holds it."""
        return self.group is not None and self.group.closed is None

    @property
    def due(self) -> datetime | None:
        """When it stops waiting, unless more comes; None for one that does not wait."""
        return self.group.due if self.group and self.state is JobState.WAITING else None

    def may_close(self, now: datetime, *, arriving: bool) -> bool:
        """Whether it has waited for long enough; see `Group.may_close`."""
        waits = self.group if self.state is JobState.WAITING else None
        return waits is not None and waits.may_close(now, arriving=arriving)

    def opened(self, now: datetime) -> "Job":
        """As the first of its group."""
        return self._with_group(opened=now, grown=now)

    def joined_by(self, other: "Job", now: datetime) -> "Job":
        """With the delivery of `other`; its group has to be quiet for its whole period again."""
        return self._with_group(grown=now).model_copy(
            update={
                "joined": (*self.joined, other.delivery),
                "instances": self.instances + other.instances,
                "size": self.size + other.size,
                "incomplete": self.incomplete or other.incomplete,
                "series": tuple(sorted({*self.series, *other.series})),
                "marks": self.marks + other.marks,
            }
        )

    def closed(self, now: datetime, instances: int, size: int) -> "Job":
        """With all that it will ever have; an instance that came twice counts once now."""
        counts = {"instances": instances, "size": size}
        return self._with_group(closed=now).model_copy(update=counts)

    def _with_group(self, **times: datetime) -> "Job":
        assert self.group is not None
        return self.model_copy(update={"group": self.group.model_copy(update=times)})

    def with_destination(self, name: str, end: DestinationEnd) -> "Job":
        return self.model_copy(update={"destinations": {**self.destinations, name: end}})

    def with_attempts_forgiven(self, number: int) -> "Job":
        """The pipeline runs anew, as if those first attempts had not been."""
        return self.model_copy(
            update={
                "failure": "",
                "attempts_forgiven": number,
                "put_off": None,
                "held": False,
                "ended": None,
            }
        )

    def with_destinations_reopened(self, names: Collection[str]) -> "Job":
        """A further round of these exports begins."""
        kept = {name: end for name, end in self.destinations.items() if name not in names}
        rounds = self.rounds | {name: self.rounds.get(name, 0) + 1 for name in names}
        return self.model_copy(
            update={"destinations": kept, "rounds": rounds, "held": self.is_held, "ended": None}
        )

    def with_destination_added(self, name: str) -> "Job":
        """It is exported there too."""
        export_to = (*self.export_to, name)
        return self.model_copy(update={"export_to": export_to, "held": self.is_held, "ended": None})

    def exported_whole(self, name: str) -> "Job":
        """It is exported there too, or all of it once more: in a further round."""
        if name not in self.export_to:
            return self.with_destination_added(name)
        job = self.with_destinations_reopened((name,))
        whole_rounds = self.whole_rounds | {name: job.rounds[name]}
        return job.model_copy(update={"whole_rounds": whole_rounds})

    def with_destinations_discarded(self, names: Collection[str], reason: str) -> "Job":
        """These exports end as they are; what was delivered stays counted."""
        none = DestinationEnd(state=DestinationState.DISCARDED, delivered=0)
        ends = {
            name: self.destinations.get(name, none).model_copy(
                update={"state": DestinationState.DISCARDED, "reason": reason}
            )
            for name in names
        }
        return self.model_copy(update={"destinations": self.destinations | ends, "ended": None})

    def also_exported_to(self, name: str) -> "Job":
        """Sent there, too; where that has failed or was discarded, a further round begins."""
        if name not in self.export_to:
            return self.with_destination_added(name)
        end = self.destinations.get(name)
        if end is None or end.state in SUCCESSES:
            return self
        return self.with_destinations_reopened((name,))

    @property
    def failed_destinations(self) -> tuple[str, ...]:
        return tuple(name for name, end in self.destinations.items() if end.state in FAILURES)

    @property
    def open_destinations(self) -> tuple[str, ...]:
        return tuple(name for name in self.export_to if name not in self.destinations)

    @property
    def reason(self) -> str:
        """Why it failed, in words; empty where it did not."""
        failed = (f"{name}: {self.destinations[name].reason}" for name in self.failed_destinations)
        return self.failure or "; ".join(failed)
