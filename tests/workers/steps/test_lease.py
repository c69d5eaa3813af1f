from collections.abc import Callable
from types import SimpleNamespace
from typing import NoReturn

import pytest
from redis.exceptions import ConnectionError
from structlog.testing import capture_logs

from shared.registry import keys
from shared.registry.gate import Verdict
from shared.registry.step import Queue, Run, Step, StepEnd
from tests.support.waiting import wait_for
from tests.workers.site import Site
from workers.steps import lease as lease_module
from workers.steps.lease import LeaseLostError, StepWithdrawnError, StoppingError

STEP = Step("a-step", Queue.PIPELINE, "pipeline:keep", "a-job")


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(workers={"beat": "20ms", "running_lease": "300ms", "granted_lease": "300ms"})


@pytest.fixture
def run(site: Site) -> Run:
    return site.start(STEP)


def ends_at(site: Site) -> float:
    """When the lease runs out, by the server's clock (ms)."""
    score = site.redis.zscore(keys.LEASES + STEP.lane, STEP.id)
    assert score is not None
    return score


def test_beats_extend_it_past_its_length(site: Site, run: Run) -> None:
    first = ends_at(site)
    with site.lease(run) as lease:
        wait_for(lambda: ends_at(site) > first + 500)
        site.gate.announce_places("tests", {Queue.PIPELINE: 10})
        assert site.gate.grant(Queue.PIPELINE) == []
        lease.check()
        lease.check_before_send()


def test_without_beats_it_runs_out_and_then_beats_say_so(site: Site, run: Run) -> None:
    site.gate.announce_places("tests", {Queue.PIPELINE: 10})
    (grant,) = wait_for(lambda: site.gate.grant(Queue.PIPELINE))
    assert grant.step_id == STEP.id
    with site.lease(run) as lease:
        with pytest.raises(LeaseLostError):
            wait_for(lambda: lease.check())
        with pytest.raises(LeaseLostError):
            lease.check_before_send()


def test_a_withdrawn_step_is_told_at_its_next_beat(site: Site, run: Run) -> None:
    with site.lease(run) as lease:
        lease.check()
        site.context.gate.withdraw(STEP.id)
        with pytest.raises(StepWithdrawnError):
            wait_for(lambda: lease.check())


def test_a_worker_that_stops_says_so_at_once(site: Site, run: Run) -> None:
    with site.lease(run) as lease:
        lease.check()
        site.context.stopping.set()
        with pytest.raises(StoppingError):
            lease.check()
        with pytest.raises(StoppingError):
            lease.check_before_send()


def test_it_beats_no_more_once_its_block_is_over(site: Site, run: Run) -> None:
    with site.lease(run):
        pass
    site.gate.announce_places("tests", {Queue.PIPELINE: 10})
    assert wait_for(lambda: site.gate.grant(Queue.PIPELINE))


def test_a_beat_that_finds_the_run_ended_is_no_news(site: Site, run: Run) -> None:
    with capture_logs() as logs, site.lease(run) as lease:
        site.gate.finish(run, StepEnd.DONE)
        with pytest.raises(LeaseLostError):
            wait_for(lambda: lease.check())
    assert logs == []


def test_while_redis_is_away_it_goes_on_and_comes_back_to_life(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Run] = []

    def away(run: Run) -> NoReturn:
        tries.append(run)
        raise ConnectionError

    with site.lease(run) as lease, monkeypatch.context() as patch:
        patch.setattr(site.gate, "beat", away)
        wait_for(lambda: len(tries) >= 3)
        lease.check()
        patch.undo()
        first = ends_at(site)
        wait_for(lambda: ends_at(site) > first)


@pytest.mark.parametrize(("passed", "may_send"), [(0.19, True), (0.21, False)])
def test_a_sender_stops_two_thirds_of_a_lease_after_the_last_confirmed_beat(
    site: Site, run: Run, clock: list[float], passed: float, may_send: bool
) -> None:
    lease = site.lease(run)
    clock[0] += passed
    lease.check()  # a pipeline has its lock and may go on
    if may_send:
        lease.check_before_send()
    else:
        with pytest.raises(LeaseLostError):
            lease.check_before_send()


def test_a_beat_counts_from_when_it_was_sent_not_from_when_it_was_answered(
    site: Site, run: Run, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = site.gate.beat
    beats: list[Run] = []

    def answer_late_once(run: Run) -> Verdict:
        beats.append(run)
        if len(beats) > 1:
            raise ConnectionError
        clock[0] += 0.15
        return beat(run)

    monkeypatch.setattr(site.gate, "beat", answer_late_once)
    with site.lease(run) as lease:
        wait_for(lambda: len(beats) > 1)
        lease.check_before_send()
        clock[0] += 0.06
        with pytest.raises(LeaseLostError):
            lease.check_before_send()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What leases take for the time, to be set."""
    now = [1000.0]
    monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now
