"""`kind = "celery"`: workers elsewhere, a GPU machine's say, that take a task from their broker."""

from typing import Any

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from shared.job import Job
from shared.settings.pipeline_kinds import CeleryPipeline
from workers.attempts.handover import EngineAttempt
from workers.pipelines.engine_call import idempotency_key, ids_and_paths
from workers.pipelines.kind import (
    AttemptEnd,
    AttemptRun,
    CallAgain,
    NotStoppedError,
    Taken,
)

_REPLIES = 2.0  # seconds for the workers of a broker to answer


class CeleryTask:
    def check(self, section: CeleryPipeline) -> list[str]:
        try:
            with _app(section).connection_for_write() as connection:
                _connect(connection, section)
        except OperationalError as error:
            return [f"broker: {_words(error)}"]
        return []

    def trigger(self, section: CeleryPipeline, run: AttemptRun) -> AttemptEnd:
        token = EngineAttempt(run.folder, run.attempt).begin_call(run.lease.run, section.deadline)
        app = _app(section)
        sending = False
        try:
            with app.connection_for_write() as connection:
                _connect(connection, section)
                sending = True
                app.send_task(
                    section.task,
                    kwargs=ids_and_paths(run, token),
                    kwargsrepr=repr({"job": run.job.id, "attempt": run.attempt.number}),
                    task_id=idempotency_key(run.job, run.attempt),
                    queue=section.queue,
                    connection=connection,
                    retry=False,
                )
        except OperationalError as error:
            return CallAgain(_words(error), uncertain=sending)
        return Taken(section.deadline)

    def stop(self, section: CeleryPipeline, job: Job, called: EngineAttempt) -> None:
        app = _app(section)
        try:
            with app.connection_for_write() as connection:
                _connect(connection, section)
                heard = app.control.revoke(
                    idempotency_key(job, called.attempt),
                    terminate=section.cancel == "terminate",
                    connection=connection,
                    reply=True,
                    timeout=_REPLIES,
                )
        except OperationalError as error:
            raise NotStoppedError(_words(error)) from None
        if not heard:
            raise NotStoppedError("no worker of its broker answers")


def _app(section: CeleryPipeline) -> Celery:
    """Only to send; it opens no connection yet."""
    url = section.broker.get_secret_value()
    app = Celery("penstock", broker=url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        task_ignore_result=True,
        broker_connection_timeout=section.connect_timeout,
        broker_transport_options=_transport_options(url, section.connect_timeout),
    )
    return app


def _connect(connection: Connection, section: CeleryPipeline) -> None:
    connection.ensure_connection(max_retries=1, timeout=section.connect_timeout)


def _transport_options(url: str, timeout: float) -> dict[str, Any]:
    """What makes each transport say soon, and reliably, whether it has the message."""
    if url.startswith("amqp"):
        return {"confirm_publish": True}
    return {"socket_connect_timeout": timeout, "socket_timeout": timeout, "max_retries": 0}


def _words(error: OperationalError) -> str:
    """Without the error's text, which may have the address in it, and a password."""
    return f"the broker does not answer ({type(error.__cause__ or error).__name__})"
