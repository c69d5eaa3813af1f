"""`penstock.finish`: the Celery task by which engines elsewhere tell how an attempt ended.

Its name, its queue and its arguments are for others to use: docs/pipelines.md.
"""

import time
from typing import Any

import structlog
from celery import Celery
from celery.exceptions import Reject

from shared.broker import FINISH_TASK
from workers.callback import CallbackRefusedError, finish
from workers.context import WorkerContext
from workers.handover import Told

log = structlog.get_logger()

_STORAGE_DELAY = 1.0  # seconds before it is tried again


def add_finish_task(app: Celery, context: WorkerContext) -> None:
    def task(job: str, token: str, succeeded: bool, message: str = "", retry: bool = False) -> None:
        told = Told.SUCCEEDED if succeeded else Told.RETRY if retry else Told.FAILED
        try:
            finish(context, job, token, told, message)
        except CallbackRefusedError as error:
            log.warning("callback refused", job=job, reason=str(error))
            raise
        except OSError as error:
            log.error("callback not noted yet", job=job, error=error.strerror)
            time.sleep(_STORAGE_DELAY)
            raise Reject("the storage failed", requeue=True) from None
        log.info("callback taken", job=job, told=told)

    options: dict[str, Any] = {
        "name": FINISH_TASK,
        "throws": (CallbackRefusedError,),
        "send_events": False,  # they would show the token and the engine's words in Flower
    }
    app.task(**options)(task)
