"""A worker process: Celery consuming some of the queues, and the threads that keep things going."""

import socket
import threading
from collections.abc import Sequence
from functools import partial

import structlog
from celery import signals

from shared.registry.connection import connect
from shared.registry.step import Queue
from shared.settings import Settings
from workers.app import worker_app
from workers.attempts.finish_messages import FinishMessages
from workers.commitment.hearing import Hearing
from workers.context import WorkerContext, connected
from workers.dispatching.group_closer import GroupCloser
from workers.keeping.housekeeping import Housekeeping
from workers.reconciling.reconciler import Reconciler
from workers.reread import Reread
from workers.steps.canary import Canary
from workers.steps.health import Health, end_process
from workers.steps.places import Places
from workers.ticker import Ticker

log = structlog.get_logger()

# Bound at the start: changing one of these needs a restart.
_FIXED = (
    "storage.root",
    "redis.url",
    "workers.dispatch_threads",
    "workers.pipeline_threads",
    "workers.export_threads",
    "workers.granted_lease",
    "workers.running_lease",
    "workers.tick",
    "workers.drain_timeout",
    "workers.canary_timeout",
    "log.level",
    "log.format",
)
_PATIENCE = 600  # tries, about a second apart, to say what must be said


def run(settings: Settings, url: str, queues: Sequence[Queue], name: str) -> int:
    """Works until SIGTERM, then ends what runs within the drain time. Returns the exit code.

    Where nothing is consumed any more it does not return: see `end_process`.
    """
    places = {queue: _threads(settings, queue) for queue in queues}
    context = connected(
        settings, url, name, places=sum(places.values()), patience=_PATIENCE, fixed=_FIXED
    )
    context.tree.create()
    here = Places(context, places)
    canary = Canary(context.id, url)
    health = Health(connect(url), context, canary, places, partial(end_process, context, here))
    reread = Reread(context)
    period = settings.workers
    tickers = [
        Ticker("the gate", period.tick, here.tick),
        Ticker("the reconciler", period.tick, Reconciler(context).tick),
        Ticker("reports of storage commitment", period.tick, Hearing(context).tick),
        Ticker("groups", period.tick, GroupCloser(context).tick),
        Ticker("housekeeping", period.reconcile, Housekeeping(context).tick),
        Ticker("the settings", period.tick, reread.tick),
        Ticker("the canary", health.period, health.tick),
    ]
    if Queue.PIPELINE in places:
        engines = FinishMessages(context, connect(url))
        tickers.append(Ticker("engines", period.tick, engines.tick))
    drain = _on_shutdown(context, here, health)
    app = worker_app(context, url, canary)
    reread.on_hangup(app)
    for ticker in tickers:
        ticker.start()
    # One more, for the canary and for messages that are handed on.
    threads, taken = sum(places.values()) + 1, [*map(str, queues), canary.queue]
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=threads",
            f"--concurrency={threads}",
            f"--queues={','.join(taken)}",
            f"--hostname={name}@{socket.gethostname()}",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=warning",
        ]
    )
    drain.cancel()
    context.stopping.set()
    for ticker in tickers:
        ticker.stop()
    for ticker in tickers:  # with Redis away each tick takes its seconds: all of them at once
        ticker.join()
    health.leave()
    return 0


def _threads(settings: Settings, queue: Queue) -> int:
    return {
        Queue.DISPATCH: settings.workers.dispatch_threads,
        Queue.PIPELINE: settings.workers.pipeline_threads,
        Queue.EXPORT: settings.workers.export_threads or settings.exporter.max_concurrent_sends,
    }[queue]


def _on_shutdown(context: WorkerContext, places: Places, health: Health) -> threading.Timer:
    """At SIGTERM nothing more is admitted here; what runs past the drain time is interrupted."""
    timer = threading.Timer(context.settings.workers.drain_timeout, context.stopping.set)
    timer.daemon = True

    def drain(**_: object) -> None:
        places.withdraw()
        health.drain()
        timer.start()

    signals.worker_shutting_down.connect(drain, weak=False)
    return timer
