import re
from collections.abc import Callable

import pytest
from celery.exceptions import Ignore, Retry
from structlog.testing import capture_logs

from shared.registry import keys
from shared.registry.step import Grant, Queue, Step, StepEnd, Trouble
from tests.support.waiting import wait_for
from tests.workers.site import Site
from workers.context import WorkerContext
from workers.steps.lease import Lease, LeaseLostError, StepWithdrawnError, StoppingError
from workers.steps.outcome import Done, Failed, Outcome, TryAgain
from workers.steps.step_runner import Body, StepFailedError, run_step

STEP = Step("a-step", Queue.PIPELINE, "pipeline:keep", "a-job")
SECRET = "DOE^JOHN"


@pytest.fixture
def grant(site: Site) -> Grant:
    site.folder(STEP.job).path.mkdir()
    site.gate.submit(STEP)
    return granted(site)


def granted(site: Site) -> Grant:
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    (grant,) = wait_for(lambda: site.gate.grant(Queue.PIPELINE))
    site.gate.announce_places("tests", {Queue.PIPELINE: 0})
    return grant


def step(site: Site) -> dict[str, str]:
    """What the gate has on record of the step."""
    return dict(site.redis.hgetall(keys.STEP + STEP.id))


def due(site: Site) -> float:
    """Seconds until the step is waiting again, by the server's clock."""
    score = site.redis.zscore(keys.DUE + STEP.lane, STEP.id)
    seconds, microseconds = site.redis.time()
    assert score is not None
    return score / 1000 - seconds - microseconds / 1e6


def returning(outcome: Outcome) -> Body:
    return lambda context, lease: outcome


def raising(error: BaseException) -> Body:
    def body(context: WorkerContext, lease: Lease) -> Outcome:
        raise error

    return body


def test_a_step_that_is_done_is_done_at_the_gate(site: Site, grant: Grant) -> None:
    attempts: list[int] = []

    def body(context: WorkerContext, lease: Lease) -> Outcome:
        attempts.append(lease.run.attempt)
        assert step(site)["state"] == "running"
        return Done()

    run_step(site.context, body, STEP.id, grant.token)
    assert attempts == [1]
    assert step(site)["state"] == "done"


def unexpected(context: WorkerContext, lease: Lease) -> Outcome:
    pytest.fail("the body ran")


def test_a_stale_message_is_ignored(site: Site, grant: Grant) -> None:
    with pytest.raises(Ignore):
        run_step(site.context, unexpected, STEP.id, "another token")
    assert step(site)["state"] == "granted"


def test_a_doubled_message_is_ignored_while_the_first_runs_and_after_it(
    site: Site, grant: Grant
) -> None:
    def body(context: WorkerContext, lease: Lease) -> Outcome:
        with pytest.raises(Ignore):
            run_step(site.context, unexpected, STEP.id, grant.token)
        return Done()

    run_step(site.context, body, STEP.id, grant.token)
    with pytest.raises(Ignore):
        run_step(site.context, unexpected, STEP.id, grant.token)
    assert step(site)["attempts"] == "1"


def test_a_step_to_be_tried_again_is_a_retry_to_celery_at_a_time_that_the_gate_keeps(
    site: Site, grant: Grant
) -> None:
    with pytest.raises(Retry) as raised:
        run_step(site.context, returning(TryAgain(60, "not yet")), STEP.id, grant.token)
    assert "not yet" in str(raised.value)
    assert step(site)["state"] == "retrying"
    assert step(site)["reason"] == "not yet"
    assert step(site)["attempts"] == "1"
    assert 50 < due(site) <= 60


def test_an_uncounted_run_is_no_attempt(site: Site, grant: Grant) -> None:
    with pytest.raises(Retry):
        run_step(site.context, returning(TryAgain(0, "busy", counted=False)), STEP.id, grant.token)
    again = granted(site)
    assert again.attempts == 0


@pytest.mark.parametrize("troubled", [True, False])
def test_trouble_holds_a_lane_to_one_place(site: Site, grant: Grant, troubled: bool) -> None:
    outcome = TryAgain(60, "down", trouble=Trouble(9, 600) if troubled else None)
    with pytest.raises(Retry):
        run_step(site.context, returning(outcome), STEP.id, grant.token)
    for number in range(3):
        site.gate.submit(Step(f"other-{number}", STEP.queue, STEP.lane))
    site.gate.announce_places("tests", {Queue.PIPELINE: 3})
    assert len(site.gate.grant(Queue.PIPELINE)) == (1 if troubled else 3)


def test_a_step_that_failed_is_failed_to_celery_with_its_reason(site: Site, grant: Grant) -> None:
    with pytest.raises(StepFailedError, match="no way"):
        run_step(site.context, returning(Failed("no way")), STEP.id, grant.token)
    assert step(site)["state"] == "failed"
    assert step(site)["reason"] == "no way"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(SECRET), "ValueError"),
        (OSError(28, "No space left on device", f"/data/{SECRET}"), "No space left on device"),
        (OSError(SECRET), "OSError"),
    ],
)
def test_an_unforeseen_error_is_tried_again_and_its_text_is_not_told(
    site: Site, grant: Grant, error: Exception, reason: str
) -> None:
    with pytest.raises(Retry) as raised, capture_logs() as lines:
        run_step(site.context, raising(error), STEP.id, grant.token)
    assert step(site)["state"] == "retrying"
    assert step(site)["reason"] == reason
    assert SECRET not in str(raised.value)
    (line,) = (line for line in lines if line["event"] == "step broke")
    assert SECRET not in str(line)
    assert re.fullmatch(r"test_step_runner\.py:\d+", line["where"][-1])
    assert due(site) <= 2


def test_a_step_whose_lease_is_lost_is_left_to_who_has_it_now(site: Site, grant: Grant) -> None:
    with pytest.raises(Ignore):
        run_step(site.context, raising(LeaseLostError()), STEP.id, grant.token)
    assert step(site)["state"] == "running"  # until the lease runs out


def test_a_stopping_worker_hands_its_step_back_at_once(site: Site, grant: Grant) -> None:
    with pytest.raises(Retry):
        run_step(site.context, raising(StoppingError()), STEP.id, grant.token)
    assert granted(site).attempts == 0


def test_a_withdrawn_step_is_not_run_again(site: Site, grant: Grant) -> None:
    with pytest.raises(StepFailedError, match="withdrawn"):
        run_step(site.context, raising(StepWithdrawnError()), STEP.id, grant.token)
    assert step(site)["state"] == "withdrawn"


def test_an_end_of_a_run_that_is_not_the_newest_changes_nothing(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(workers={"beat": "10s", "running_lease": "30s", "granted_lease": "30s"})
    site.gate.submit(STEP)
    grant = granted(site)

    def body(context: WorkerContext, lease: Lease) -> Outcome:
        # As after its lease ran out: another worker has begun and ended the step.
        site.redis.zadd(keys.LEASES + STEP.lane, {STEP.id: 0})
        newer = granted(site)
        run = site.gate.start(STEP.id, newer.token, "another worker")
        assert run is not None
        site.gate.finish(run, StepEnd.DONE)
        return Failed("too late")

    with pytest.raises(StepFailedError):
        run_step(site.context, body, STEP.id, grant.token)
    assert step(site)["state"] == "done"


def test_the_place_that_comes_free_is_given_to_the_next_at_once(site: Site) -> None:
    site.gate.submit(STEP)
    grant = granted(site)
    site.gate.submit(Step("waiting", STEP.queue, STEP.lane))
    site.gate.announce_places("tests", {Queue.PIPELINE: 1})
    run_step(site.context, returning(Done()), STEP.id, grant.token)
    assert site.steps() == {STEP.id: "done", "waiting": "granted"}
    assert site.redis.llen(Queue.PIPELINE) == 1
