"""How soon after a send the next one that waited for its place begins, at the destination."""

import statistics
import time
from pathlib import Path

from shared.job_state import JobState
from shared.registry import keys
from tests.bench.page import table
from tests.bench.targets import gateway
from tests.support.counted import CountedDestination, Taken, Visit
from tests.support.gateway import HOST, Gateway
from tests.support.samples import data_set
from tests.support.scu import Scu
from tests.support.waiting import wait_for

_SENDS = 300
_PLACES = 2
_LENGTH = 0.1  # seconds that a send takes: two at once, and each ends alone
_SETTLE = 3.0  # seconds, for the workers to have nothing else to do


def measure(folder: Path) -> str:
    with CountedDestination() as destination:
        milliseconds = [1000 * wait for wait in _waits(folder, destination)]
    median = statistics.median(milliseconds)
    p99 = statistics.quantiles(milliseconds, n=100)[98]
    return (
        f"{_SENDS} exports wait for {_PLACES} places, on two worker processes; from the release of"
        " one, at the destination, to the connection of the next.\n\n"
        + table(
            ["measured", "wanted"],
            [["median", f"{median:.0f} ms", "under 30 ms"], ["99 %", f"{p99:.0f} ms", ""]],
        )
    )


def _waits(folder: Path, destination: CountedDestination) -> list[float]:
    free = [False]

    def script(visit: Visit) -> None:
        visit.accept()
        wait_for(lambda: free[0], 300)
        visit.take_all(_LENGTH)

    destination.script = script
    settings = {
        "pipelines": {"keep": {"kind": "forward", "export_to": [destination.name]}},
        "destinations": {destination.name: destination.section()},
        "exporter": {"max_concurrent_sends": _PLACES, "response_timeout": "10m"},
    }
    with gateway(folder, parts=("receiver", "exports", "exports-2", "pipelines"), **settings) as us:
        for number in range(_SENDS):
            _send((HOST, us.port), f"1.2.{number}")
        _wait_for(us, JobState.EXPORTING)
        time.sleep(_SETTLE)
        free[0] = True
        _wait_for(us, JobState.DONE)
    return _gaps(destination.associations)


def _wait_for(us: Gateway, state: JobState) -> None:
    """Until all are in it; asked seldom, as asking would be part of what is measured."""
    deadline = time.monotonic() + 600
    with us.redis as redis:
        while redis.zcard(keys.JOBS_BY_STATE + state) < _SENDS:
            assert time.monotonic() < deadline
            time.sleep(1)


def _gaps(associations: list[Taken]) -> list[float]:
    """From the n-th end to the opening that it made room for; seconds."""
    begun = sorted(taken.begun for taken in associations)
    ended = sorted(taken.ended for taken in associations)
    return [begin - end for begin, end in zip(begun[_PLACES:], ended, strict=False)]


def _send(address: tuple[str, int], uid: str) -> None:
    with Scu(address) as scu:
        scu.associate(called="BENCH")
        scu.store(uid, data_set(32_000))
        scu.release()
