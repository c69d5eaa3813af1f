"""No event of Celery's is lost on its way to Flower."""

import threading
from typing import Any

from celery import Celery

from deploy.embedded_server import EmbeddedServer
from shared.broker import celery_app
from workers.events import Events

THREADS, EACH = 6, 150


def _lost(app: Celery) -> int:
    """Events that do not arrive of those that several threads send while another flushes."""
    arrived: list[Any] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": arrived.append})
        consumer = receiver.itercapture(limit=None, timeout=1, wakeup=False)
        next(consumer)  # declares its queue before anything is sent
        with app.connection_for_write() as sending:
            dispatcher = app.events.Dispatcher(sending, buffer_group=["task"])
            threads = [
                threading.Thread(target=lambda: [dispatcher.send("task-sent") for _ in range(EACH)])
                for _ in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                dispatcher.flush()
            dispatcher.flush()
        try:
            while len(arrived) < THREADS * EACH:
                next(consumer)
        except TimeoutError:
            pass
    return THREADS * EACH - len(arrived)


def test_events_of_many_threads_all_arrive(redis_server: EmbeddedServer) -> None:
    assert _lost(celery_app(redis_server.url, events=Events)) == 0
