"""The Celery app of a worker: a task for each queue, and the canary."""

from typing import Any

from celery import Celery

from shared.broker import celery_app, task_name
from shared.registry.step import Queue
from workers.attempts.pipeline_step import run_pipeline
from workers.context import WorkerContext
from workers.dispatching.dispatch import dispatch
from workers.events import Events
from workers.exports.step import export
from workers.steps.canary import Canary
from workers.steps.step_runner import Body, StepFailedError, run_step

BODIES: dict[Queue, Body] = {
    Queue.DISPATCH: dispatch,
    Queue.PIPELINE: run_pipeline,
    Queue.EXPORT: export,
}


def worker_app(context: WorkerContext, url: str, canary: Canary) -> Celery:
    """An app whose tasks take a step's id and a token, and run the step's body."""
    app = celery_app(url, events=Events)
    canary.live_in(app)
    for queue, body in BODIES.items():
        _add_task(app, context, queue, body)
    return app


def _add_task(app: Celery, context: WorkerContext, queue: Queue, body: Body) -> None:
    def task(step_id: str, token: str) -> None:
        run_step(context, body, step_id, token)

    options: dict[str, Any] = {"name": task_name(queue), "throws": (StepFailedError,)}
    app.task(**options)(task)
