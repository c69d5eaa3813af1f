"""A site that groups, and a clock for its groups that tests can put forward."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared.announce import dispatch_step
from shared.delivery import ASSOCIATION_FILE, Association, read_delivery
from shared.ids import new_id
from shared.job import Job
from shared.job_state import JobState
from shared.registry.step import StepEnd
from shared.registry.views import history
from tests.support.records import association_fields
from tests.support.samples import data_set_of, identified
from tests.workers.faults import Killer
from tests.workers.site import Given, MakeSite
from workers.dispatching.arrivals import Arrivals
from workers.dispatching.dispatch import dispatch
from workers.dispatching.dispatched import is_dispatched
from workers.dispatching.group_closer import GroupCloser
from workers.steps.outcome import Done

QUIET, LONGEST = 60, 1800  # seconds, far longer than any test takes
GROUPED: dict[str, Any] = {
    "title": "BRAIN",
    "pipelines": ["one", "two"],
    "group_by": "study",
    "quiet_period": f"{QUIET}s",
    "max_wait": f"{LONGEST}s",
}
PIPELINES: dict[str, dict[str, Any]] = {"one": {"kind": "forward"}, "two": {"kind": "forward"}}


def image(number: int, study: str = "1.9.1", series: str = "1.9.1.1", fill: int = 0) -> Given:
    uid = f"1.2.{number}"
    return Given(uid, identified(uid, study, series, fill))


class GroupingSite:
    """AE title BRAIN, grouped by study, for one or two pipelines."""

    def __init__(
        self,
        make_site: MakeSite,
        *pipelines: str,
        when: Mapping[str, Any] = MappingProxyType({}),
        **entry: Any,
    ) -> None:
        """`when` has the conditions of those pipelines that have one."""
        conditions = {name: PIPELINES[name] | {"when": table} for name, table in when.items()}
        self.site = make_site(
            ae_titles=[GROUPED | {"pipelines": list(pipelines or ("one",))} | entry],
            pipelines=PIPELINES | conditions,
            storage={"job_retention": "0s"},
        )
        self.tree = self.site.tree
        self.restart()

    def restart(self) -> None:
        """A new worker process, which has seen nothing yet."""
        self.site.context.waiting.clear()
        self.closer = GroupCloser(self.site.context)
        self.arrivals = Arrivals(self.tree)

    def empty(self) -> None:
        self.site.empty()
        self.restart()

    def dispatched(self, *images: Given, **fields: Any) -> str:
        delivery_id = self.site.commit(*images, **fields)
        assert self.site.dispatch(delivery_id) == Done()
        return delivery_id

    def dispatch_and_kill(self, delivery_id: str, kill: Killer) -> None:
        """A dispatch that may be killed, and is to be run again."""
        run = self.site.start(dispatch_step(delivery_id, "normal"))
        with self.site.lease(run) as lease, kill:
            dispatch(self.site.context, lease)
        self.site.gate.finish(run, StepEnd.RETRYING)

    def dispatch_again(self, delivery_id: str) -> None:
        assert self.site.dispatch(delivery_id) == Done()

    def put_forward(self, seconds: float = QUIET + 1) -> None:
        """What the closer does when so much time will have passed."""
        self.closer.close_due(datetime.now(UTC) + timedelta(seconds=seconds))

    def jobs(self, state: JobState | None = None) -> list[Job]:
        return [job for job in self.site.jobs() if state in (None, job.state)]

    def job(self) -> Job:
        (job,) = self.jobs()
        return job

    def events(self, job_id: str) -> list[str]:
        """The history of a job, without what says when."""
        return [line.what for line in history(self.site.redis, job_id)]

    def associate(self, **fields: Any) -> Path:
        """The folder of an association that is open."""
        folder = self.tree.incoming / "host-1" / new_id()
        folder.mkdir(parents=True)
        known = association_fields(folder.name, receiver="host-1")
        Association(**known | fields).write(folder / ASSOCIATION_FILE)
        return folder

    def data_sets(self, job: Job) -> dict[str, bytes]:
        """What the pipeline of a job is given, by file name."""
        folder = self.site.folder(job.id).input
        return {path.name: data_set_of(path) for path in folder.iterdir()}

    def check_each_instance_is_in_one_job_of_its_group(self) -> None:
        """For each pipeline; and each job has all that it says it has, and nothing else."""
        jobs = self.jobs()
        assert {job.state for job in jobs} <= {JobState.QUEUED}
        has: dict[str, set[bytes]] = {job.id: set() for job in jobs}
        for folder in self.tree.deliveries.iterdir():
            assert is_dispatched(folder)
            for instance in read_delivery(folder).instances:
                data = data_set_of(folder / instance.file)
                for pipeline in {job.pipeline for job in jobs}:
                    holders = [
                        job
                        for job in jobs
                        if job.pipeline == pipeline
                        and folder.name in job.deliveries
                        and data in self.data_sets(job).values()
                    ]
                    assert len(holders) == 1, instance
                    has[holders[0].id].add(data)
        for job in jobs:
            found = list(self.data_sets(job).values())
            assert sorted(found) == sorted(has[job.id])
            assert job.instances == len(found)
            assert job.group is None or len({_study(data) for data in found}) == 1
        deliveries = {folder.name for folder in self.tree.deliveries.iterdir()}
        assert self.site.steps().keys() - deliveries == {job.id for job in jobs}


def _study(data: bytes) -> bytes:
    return data.partition(b"\x20\x00\x0d\x00UI")[2].partition(b"\x20\x00\x0e\x00")[0]
