"""No event of Celery's is lost on its way to Flower."""

import threading
from typing import Any

from celery import Celery

from deploy.embedded_server import EmbeddedServer
from shared.broker import celery_app
from tests.support.link import Link
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


def test_while_redis_is_away_a_heartbeat_holds_nobody_up(
    redis_server: EmbeddedServer,
) -> None:
    with (
        Link(redis_server.port) as link,
        celery_app(f"redis://127.0.0.1:{link.port}/0", events=Events) as app,
        app.connection_for_write() as connection,
    ):
        dispatcher = app.events.Dispatcher(connection)
        dispatcher.send("worker-heartbeat", retry=True)  # as Celery sends it
        link.cut()
        sending = threading.Thread(
            target=lambda: dispatcher.send("worker-heartbeat", retry=True), daemon=True
        )
        sending.start()
        sending.join(10)
        assert not sending.is_alive()
