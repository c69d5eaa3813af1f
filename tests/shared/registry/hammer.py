"""One of several processes that work a gate at once; see `test_hammer`.

Counts what runs with the server's own INCR and DECR, inside each run's start and finish.
"""

import random
import sys
import threading

from redis import Redis

from shared.registry.connection import connect
from shared.registry.gate import Gate
from shared.registry.step import StepEnd
from tests.shared.registry.steps import LONG, QUEUE

THREADS = 3
RUNNING, MOST, RUNS = "test:running:", "test:most:", "test:runs"


def work(redis: Redis, caller: str, steps: int) -> None:
    """Grants and runs until every step is done."""
    gate = Gate(redis, LONG)
    chance = random.Random(caller)
    while int(redis.scard("test:done")) < steps:
        for grant in gate.grant(QUEUE):
            run = gate.start(grant.step_id, grant.token, caller)
            assert run is not None
            for name in (run.step.lane, run.step.queue):
                redis.zadd(MOST + name, {str(redis.incr(RUNNING + name)): 1})
            redis.hincrby(RUNS, run.step.id, 1)
            retry = run.attempt == 1 and chance.random() < 0.3
            for name in (run.step.lane, run.step.queue):
                redis.decr(RUNNING + name)
            assert gate.finish(run, StepEnd.RETRYING if retry else StepEnd.DONE)
            if not retry:
                redis.sadd("test:done", run.step.id)


def main(url: str, name: str, steps: int) -> None:
    faults: list[BaseException] = []

    def guarded(caller: str) -> None:
        try:
            with connect(url) as redis:
                work(redis, caller, steps)
        except BaseException as fault:  # noqa: BLE001 (told at the end)
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(f"{name}.{n}",)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
