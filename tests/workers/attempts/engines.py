"""Shorthand for what the tests of engines do over and over."""

from datetime import UTC, datetime

from shared.job import Job
from shared.job_state import JobState
from shared.registry.views import find_job
from tests.support.engine import Engine
from tests.workers.site import Site
from workers.attempts.handover import EngineAttempt


def job(site: Site, job_id: str) -> Job:
    return site.folder(job_id).read()


def state(site: Site, job_id: str) -> JobState:
    """The same on disk and in Redis, except for what only the gate knows."""
    recorded = find_job(site.redis, job_id).state
    on_disk = job(site, job_id).state
    assert recorded is on_disk or (on_disk, recorded) == (JobState.QUEUED, JobState.RUNNING)
    return recorded


def token(engine: Engine, number: int = -1) -> str:
    return str(engine.requests[number].json["token"])


def newest(site: Site, job_id: str) -> EngineAttempt:
    """The attempt for which an engine was called last."""
    called = EngineAttempt.latest(site.folder(job_id), job(site, job_id))
    assert called is not None
    return called


def lapse(site: Site, job_id: str) -> None:
    """The deadline of the newest attempt is over, on disk and at the gate."""
    called = newest(site, job_id)
    past = called.handover.model_copy(update={"deadline": datetime.now(UTC)})
    called._write(past)
    site.gate.hand_over(past.run, 0)
