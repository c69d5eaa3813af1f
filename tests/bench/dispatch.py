"""How soon after the release a worker takes a delivery up, while nothing else happens."""

import random
import statistics
import time
from pathlib import Path

from redis.client import Monitor

from shared.registry import keys
from tests.bench.page import table
from tests.bench.targets import gateway
from tests.support.gateway import HOST
from tests.support.samples import data_set
from tests.support.scu import Scu

_RELEASES = 150
_WARM_UP = 3
_SETTLE = 5.0  # seconds, for the workers to be up and have nothing to do


def measure(folder: Path) -> str:
    waits = []
    with (
        gateway(folder, pipelines={"keep": {"kind": "forward"}}) as us,
        us.redis.monitor() as monitor,
    ):
        time.sleep(_SETTLE)
        for number in range(_WARM_UP + _RELEASES):
            time.sleep(random.uniform(0.2, 0.4))  # in step with no period of ours
            _send((HOST, us.port), f"1.2.{number}")
            released = time.time()
            waits.append(_dispatch_started(monitor) - released)
    milliseconds = [wait * 1000 for wait in waits[_WARM_UP:]]
    median = statistics.median(milliseconds)
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    return (
        "From the A-RELEASE-RP at the sender to the start of the dispatch task in a worker, with"
        f" nothing else to do; of {_RELEASES} releases.\n\n"
        + table(
            ["measured", "wanted"],
            [
                ["median", f"{median:.0f} ms", "under 20 ms"],
                ["99 %", f"{p99:.0f} ms", "under 100 ms"],
            ],
        )
    )


def _send(address: tuple[str, int], uid: str) -> None:
    with Scu(address) as scu:
        scu.associate(called="BENCH")
        scu.store(uid, data_set(32_000))
        scu.release()


def _dispatch_started(monitor: Monitor) -> float:
    """When the next dispatch step is said to run, by the clock of Redis, which is ours."""
    step = ""
    while True:
        said = monitor.next_command()
        match said["command"].split():
            case ["HSET", key, "queue", "dispatch", *_] if key.startswith(keys.STEP):
                step = key
            case ["HSET", key, "state", "running", *_] if key == step:
                return float(said["time"])
