"""One of two processes that want the same failed jobs: housekeeping, or a person who retries.

    python -m tests.workers.racer keep|retry SETTINGS URL

Each begins when the other is there, from its own end of the list.
"""

import sys
import time
from pathlib import Path

from redis import Redis

from shared.acts import JobActs, NoSuchJobError
from shared.registry.connection import connect
from shared.settings import load
from shared.tree import ids_in
from workers.context import connected
from workers.keeping.removal import remove_job

READY = "test:ready"


def main(what: str, settings: str, url: str) -> None:
    context = connected(load(Path(settings)), url, what)
    ids = list(ids_in(context.tree.jobs))
    acts = JobActs(context.tree, context.gate, context.records, "test")
    wait_for_the_other(connect(url))
    for job_id in ids if what == "keep" else reversed(ids):
        try:
            if what == "keep":
                remove_job(context, job_id)
            else:
                acts.retry(job_id)
        except (FileNotFoundError, NoSuchJobError):
            continue


def wait_for_the_other(redis: Redis) -> None:
    redis.incr(READY)
    while int(redis.get(READY)) < 2:
        time.sleep(0.001)


if __name__ == "__main__":
    main(*sys.argv[1:4])
