"""Celery on Redis, set so that a lost or doubled message is the worst it does.

What may run is the gate's to say; the settings here are those that survived killed workers and
killed servers under load.
"""

from celery import Celery
from kombu import Queue as KombuQueue

from shared.registry.step import Grant, Queue

FINISH_TASK = "penstock.finish"  # engines elsewhere send it; no worker is told to take it
FINISH_QUEUE = "finish"
_CONNECT_TIMEOUT = 1  # seconds: a publisher is told soon that Redis is away


def task_name(queue: Queue) -> str:
    """The one task that works a queue's steps; its arguments are a step's id and a token."""
    return f"penstock.{queue}"


def celery_app(url: str, *, events: type | None = None) -> Celery:
    """An app that can publish and, given tasks, consume. Opens no connection yet."""
    app = Celery("penstock", broker=url, events=events, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_create_missing_queues=False,
        task_queues=[KombuQueue(name, routing_key=name) for name in Queue],
        task_default_queue=Queue.DISPATCH,
        task_serializer="json",
        accept_content=["json"],
        task_send_sent_event=True,
        task_track_started=True,
        worker_send_task_events=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 3600,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": _CONNECT_TIMEOUT,
            "socket_timeout": _CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "max_retries": 0,
        },
        enable_utc=True,
    )
    return app


def publish(app: Celery, queue: Queue, grant: Grant) -> None:
    """Tells a worker that a step may start. A step's attempts are one task, tried again.

    Raises:
        kombu.exceptions.OperationalError: Redis is away; the step's lease runs out, and it is
            granted again.
    """
    app.send_task(
        task_name(queue),
        args=[grant.step_id, grant.token],
        task_id=grant.step_id,
        queue=queue,
        retries=grant.attempts,
        retry=False,
    )
