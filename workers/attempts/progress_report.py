"""Telling how far a program is: to the job's record, and to Flower as a task's event."""

import structlog
from celery import current_task
from kombu.exceptions import OperationalError
from redis import RedisError

from shared.job_state import JobState
from workers.context import WorkerContext

log = structlog.get_logger()


def report_progress(context: WorkerContext, job_id: str, fraction: float) -> None:
    """Never at the run's cost: while Redis is away nothing is told."""
    try:
        context.hasty_records.move(
            job_id,
            JobState.RUNNING,
            sources={JobState.RUNNING},
            progress=f"{fraction:.3f}",
        )
        if current_task:  # none outside a worker
            # Of an event of its own kind Flower makes a state; what it is at stands as its result.
            current_task.send_event("task-progress", retry=False, result=f"{fraction:.0%}")
    except (RedisError, OperationalError, OSError) as error:
        log.warning("progress not told", error=type(error).__name__)
