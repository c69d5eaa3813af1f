import threading

import pytest
from redis.exceptions import ConnectionError
from structlog.testing import capture_logs

from tests.support.waiting import wait_for
from workers.ticker import Ticker


class Work:
    """Counts its calls; each may be given an error to raise."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self._errors and (error := self._errors.pop(0)):
            raise error


def tick(work: Work, times: int) -> None:
    ticker = Ticker("work", 0.001, work)
    ticker.start()
    wait_for(lambda: work.calls >= times)
    ticker.stop()
    ticker.join()


def test_it_works_at_once_and_over_and_over_until_it_is_stopped() -> None:
    tick(Work(), times=5)
    assert "work" not in {thread.name for thread in threading.enumerate()}


def test_it_works_at_once_however_long_its_period() -> None:
    work = Work()
    ticker = Ticker("work", 3600, work)
    ticker.start()
    wait_for(lambda: work.calls)
    ticker.stop()
    ticker.join()
    assert work.calls == 1


@pytest.mark.parametrize("error", [ConnectionError(), OSError()])
def test_a_fault_of_redis_or_the_storage_is_told_once_and_so_is_its_end(error: Exception) -> None:
    with capture_logs() as lines:
        tick(Work(error, error, error, None, None), times=5)
    assert [line["event"] for line in lines] == ["waiting", "going on"]


def test_an_unforeseen_error_does_not_end_it() -> None:
    work = Work(ValueError(), ValueError())
    with capture_logs() as lines:
        tick(work, times=4)
    assert [line["event"] for line in lines] == ["tick broke"] * 2
