"""Jobs to make records of."""

from datetime import UTC, datetime, timedelta

from shared.job import Job
from shared.job_state import MAY_FOLLOW, JobState
from shared.registry.jobs import JobRecords

EPOCH = datetime(2026, 11, 22, 10, 49, 7, 250_000, tzinfo=UTC)

# From QUEUED or WAITING, where a job can begin, to each other state by legal moves.
WAYS = {
    JobState.WAITING: (JobState.WAITING,),
    JobState.QUEUED: (JobState.QUEUED,),
    JobState.RUNNING: (JobState.QUEUED, JobState.RUNNING),
    JobState.EXPORTING: (JobState.QUEUED, JobState.RUNNING, JobState.EXPORTING),
    JobState.DONE: (JobState.QUEUED, JobState.RUNNING, JobState.EXPORTING, JobState.DONE),
    JobState.HELD: (JobState.QUEUED, JobState.HELD),
    JobState.FAILED: (JobState.QUEUED, JobState.FAILED),
    JobState.CANCELLED: (JobState.QUEUED, JobState.CANCELLED),
}


def job(job_id: str = "20261122T104907-3f9c2a41d07e", *, age: int = 0, **fields: object) -> Job:
    """`age` in seconds; one of the same age as another was made in the same millisecond."""
    known: dict[str, object] = {
        "id": job_id,
        "delivery": "20261122T104900-000000000001",
        "pipeline": "brain-segmentation",
        "ae_title": "BRAIN",
        "calling_ae_title": "CT01",
        "priority": "stat",
        "created": EPOCH - timedelta(seconds=age),
        "instances": 321,
        "size": 168_034_304,
        "export_to": (),
    }
    return Job.model_validate(known | fields)


def create_in(records: JobRecords, state: JobState, made: Job) -> None:
    """A record that came to a state by legal moves."""
    first, *rest = WAYS[state]
    assert records.create(made, first, "made")
    for each in rest:
        assert each in MAY_FOLLOW
        assert records.move(made.id, each, f"to {each}")
