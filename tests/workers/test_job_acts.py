"""What a person does to a job, on a real storage and a real Redis, with the steps' own bodies."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from shared.acts import ActError, JobActs, NoSuchJobError, StorageError, WrongStateError
from shared.destination_state import DestinationState
from shared.ids import new_id
from shared.job import STATE_FILE
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.registry.failed_jobs import failed_jobs
from shared.registry.step import Queue
from shared.registry.views import find_job, history
from tests.support.waiting import wait_for
from tests.workers.faults import kills
from tests.workers.jobs_by_state import (
    TAKEN,
    THREE,
    both,
    cancelled,
    done,
    export_failed,
    exporting,
    exporting_with_one_failed,
    held,
    lines,
    pipeline_failed,
    queued,
    refuse,
    running,
)
from tests.workers.pacs import Pacs
from tests.workers.site import Body, Site
from workers.attempts.pipeline_step import run_pipeline
from workers.exports.step import export
from workers.reconciling.reconciler import Reconciler
from workers.steps.lease import StepWithdrawnError
from workers.steps.outcome import Done, Failed
from workers.steps.step_runner import StepFailedError, run_step

ACTS = ("retry", "cancel", "hold", "release")


@pytest.fixture
def site(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    """One pipeline forwards to PACS and OTHER, the other is a program that fails until it may."""
    program = "[ -e ../../../well ] || exit 7"
    return make_site(
        ae_titles=[{"title": "BRAIN", "pipeline": "keep"}, {"title": "BAD", "pipeline": "fail"}],
        pipelines={
            "keep": {"kind": "forward", "export_to": ["PACS", "OTHER"]},
            "fail": {"kind": "command", "command": ["sh", "-c", program], "max_attempts": 2},
        },
        destinations={"PACS": pacs.section, "OTHER": pacs.section},
        workers={"beat": "100ms"},
    )


@pytest.fixture
def acts(site: Site) -> JobActs:
    return site.acts


def run_step_of(site: Site, body: Body, step_id: str) -> None:
    """Grants a waiting step and runs it as a worker does."""
    site.gate.announce_places("tests", dict.fromkeys(Queue, 1))
    grants = [grant for queue in Queue for grant in site.gate.grant(queue)]
    site.gate.announce_places("tests", dict.fromkeys(Queue, 0))
    (grant,) = (grant for grant in grants if grant.step_id == step_id)
    run_step(site.context, body, step_id, grant.token)


# Which act leads where, from each state; None: it is refused.
TABLE: dict[Callable[[Site, Pacs], str], tuple[JobState | None, ...]] = {
    #           retry, cancel, hold, release
    queued: (None, JobState.CANCELLED, JobState.HELD, None),
    running: (None, JobState.CANCELLED, JobState.HELD, None),
    exporting: (None, JobState.CANCELLED, JobState.HELD, None),
    exporting_with_one_failed: (None, JobState.CANCELLED, JobState.HELD, None),
    export_failed: (JobState.EXPORTING, JobState.CANCELLED, None, None),
    pipeline_failed: (JobState.QUEUED, JobState.CANCELLED, None, None),
    done: (None, None, None, None),
    held: (None, JobState.CANCELLED, JobState.HELD, JobState.QUEUED),
    cancelled: (None, JobState.CANCELLED, None, None),
}
ROWS = [
    pytest.param(make, act, target, id=f"{act} {make.__name__}")
    for make, targets in TABLE.items()
    for act, target in zip(ACTS, targets, strict=True)
]


@pytest.mark.parametrize(("make", "act", "target"), ROWS)
def test_an_act_leads_where_it_may_and_else_changes_nothing(
    site: Site,
    acts: JobActs,
    pacs: Pacs,
    make: Callable[[Site, Pacs], str],
    act: str,
    target: JobState | None,
) -> None:
    job_id = make(site, pacs)
    before = site.folder(job_id).read(), find_job(site.redis, job_id), site.steps()
    if target is None:
        with pytest.raises(WrongStateError, match=before[0].state):
            getattr(acts, act)(job_id)
        assert (site.folder(job_id).read(), find_job(site.redis, job_id), site.steps()) == before
        return
    assert getattr(acts, act)(job_id).state is target
    assert both(site, job_id).state is target
    wanted = {
        JobState.QUEUED: {job_id: "waiting"},
        JobState.EXPORTING: {f"{job_id}.PACS": "waiting"},
    }.get(target, {})
    going_on = {step: to for step, to in site.steps().items() if to in ("waiting", "retrying")}
    assert going_on == wanted


@pytest.mark.parametrize("act", ["cancel", "hold"])
def test_an_act_repeated_is_a_yes_again_and_one_line_of_history(
    site: Site, acts: JobActs, act: str
) -> None:
    job_id = site.dispatched(*THREE)
    getattr(acts, act)(job_id)
    once = lines(site, job_id)
    getattr(acts, act)(job_id)
    assert lines(site, job_id) == once


def test_the_history_says_who_did_it(site: Site, acts: JobActs, pacs: Pacs) -> None:
    job_id = export_failed(site, pacs)
    acts.retry(job_id)
    acts.hold(job_id)
    acts.release(job_id)
    acts.cancel(job_id)
    assert lines(site, job_id)[-4:] == [
        ("exporting", "retried"),
        ("held", "held"),
        ("exporting", "released"),
        ("cancelled", "cancelled"),
    ]
    assert [line.who for line in history(site.redis, job_id)][-4:] == ["me@here"] * 4


# Cancel and hold


@pytest.mark.parametrize(("act", "state"), [("cancel", "cancelled"), ("hold", "held")])
def test_a_run_that_is_interrupted_is_no_attempt_and_the_job_not_failed(
    site: Site, acts: JobActs, act: str, state: str
) -> None:
    job_id = slow_job(site)
    body = interrupted_by(lambda: getattr(acts, act)(job_id))
    with pytest.raises(StepFailedError, match="withdrawn"):
        run_step_of(site, body, job_id)
    assert both(site, job_id).state == state
    assert site.folder(job_id).attempts() == 0
    assert site.steps().get(job_id) not in ("waiting", "running")
    assert lines(site, job_id)[-2:] == [(state, state), (state, "attempt 1 interrupted")]


def slow_job(site: Site) -> str:
    """A job of a program that does not end by itself."""
    site.configure(
        pipelines={"keep": {"kind": "command", "command": ["sleep", "600"]}},
        workers={"beat": "100ms"},
    )
    site.context.live.reread()
    return site.dispatched(*THREE)


def interrupted_by(act: Callable[[], object]) -> Body:
    """The pipeline's body; the act comes once its attempt has begun."""

    def body(context: Any, lease: Any) -> Any:
        def acting() -> None:
            check()
            if not acted:
                acted.append(act())

        acted: list[object] = []
        check, lease.check = lease.check, acting
        return run_pipeline(context, lease)

    return body


def test_held_and_released_while_the_run_is_stopping_it_runs_again(
    site: Site, acts: JobActs
) -> None:
    job_id = slow_job(site)

    def hold_and_release() -> None:
        acts.hold(job_id)
        acts.release(job_id)
        assert site.steps()[job_id] == "running"

    with pytest.raises(StepFailedError, match="withdrawn"):
        run_step_of(site, interrupted_by(hold_and_release), job_id)
    assert both(site, job_id).state is JobState.QUEUED
    assert site.steps()[job_id] == "waiting"
    assert site.folder(job_id).attempts() == 0


@pytest.mark.parametrize("act", ["cancel", "hold"])
def test_a_step_that_was_on_its_way_ends_quietly(
    site: Site, acts: JobActs, pacs: Pacs, act: str
) -> None:
    """As after a caller who died before the gate was told."""
    in_pipeline, in_export = site.dispatched(*THREE), site.exporting(*THREE)
    flag = {"cancel": "cancelled", "hold": "held"}[act]
    for job_id in (in_pipeline, in_export):
        site.folder(job_id).update(lambda job: job.model_copy(update={flag: True}))
    with pytest.raises(StepWithdrawnError):
        site.run_pipeline(in_pipeline)
    with pytest.raises(StepWithdrawnError):
        site.export(in_export, "PACS")
    assert site.folder(in_pipeline).attempts() == 0
    assert pacs.associations == []


@pytest.mark.parametrize("act", ["cancel", "hold"])
def test_a_send_that_is_interrupted_stops_before_the_next_instance(
    site: Site, acts: JobActs, pacs: Pacs, act: str
) -> None:
    job_id = site.exporting(*THREE)
    run = site.start(export_step(site.folder(job_id).read(), "PACS"))
    with site.lease(run) as lease:

        def interrupt(uid: str) -> int:
            getattr(acts, act)(job_id)
            wait_for(lambda: lease._verdict == "withdrawn")
            return TAKEN

        pacs.answer = interrupt
        with pytest.raises(StepWithdrawnError):
            export(site.context, lease)
    assert pacs.uids == ["1.2.1"]
    wait_for(lambda: pacs.released == 1)
    job = both(site, job_id)
    assert job.destinations == {}
    progress = find_job(site.redis, job_id).destinations["PACS"]
    assert (progress.state, progress.delivered, progress.total) == (DestinationState.PENDING, 1, 3)
    assert lines(site, job_id)[-1] == (job.state, "PACS: interrupted")


def test_a_released_export_sends_only_what_it_had_not_sent(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    pacs.answer = lambda uid: 0xA700 if uid == "1.2.2" else TAKEN
    site.export(job_id, "PACS")
    pacs.answer = lambda uid: TAKEN
    acts.hold(job_id)
    assert find_job(site.redis, job_id).destinations["PACS"].state is DestinationState.PENDING
    acts.release(job_id)
    assert site.export(job_id, "PACS") == Done()
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.2", "1.2.3"]


def test_a_late_word_of_a_run_does_not_bring_a_held_job_back(site: Site, acts: JobActs) -> None:
    job_id = site.exporting(*THREE)
    acts.hold(job_id)
    site.context.records.move(job_id, JobState.EXPORTING, "sending 3 instances to PACS")
    assert find_job(site.redis, job_id).state is JobState.HELD


@pytest.mark.parametrize("act", ["cancel", "hold"])
def test_a_job_that_must_not_run_stays_so_when_redis_was_emptied(
    site: Site, acts: JobActs, act: str
) -> None:
    in_pipeline, in_export = site.dispatched(*THREE), site.exporting(*THREE)
    for job_id in (in_pipeline, in_export):
        getattr(acts, act)(job_id)
    site.redis.flushall()
    site.reconcile()
    for job_id in (in_pipeline, in_export):
        both(site, job_id)
        assert not [step for step, state in site.steps().items() if state == "waiting"]


def test_a_job_is_dated_when_it_is_cancelled_also_a_failed_one(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    assert acts.cancel(site.dispatched(*THREE)).ended is not None
    job_id = pipeline_failed(site, pacs)
    failed = site.folder(job_id).read().ended
    dated = acts.cancel(job_id).ended
    assert failed is not None
    assert dated is not None
    assert dated > failed
    assert acts.cancel(job_id).ended == dated


# Retry


def test_a_retried_pipeline_has_all_its_attempts_again(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    job_id = pipeline_failed(site, pacs)
    job = acts.retry(job_id)
    assert (job.failure, job.ended, job.attempts_forgiven) == ("", None, 2)
    assert find_job(site.redis, job_id).reason == ""
    assert not isinstance(site.run_pipeline(job_id), Failed)
    assert find_job(site.redis, job_id).attempt == 1
    assert site.run_pipeline(job_id) == Failed("exit code 7 (attempt 2 of 2)")
    assert acts.retry(job_id).attempts_forgiven == 4
    (site.folder(job_id).path / "well").touch()
    assert site.run_pipeline(job_id) == Done()
    assert both(site, job_id).state is JobState.DONE
    kept = sorted(path.name for path in (site.folder(job_id).path / "attempts").iterdir())
    assert kept == ["1", "2", "3", "4", "5"]


def test_a_retried_export_sends_what_failed_for_good_and_nothing_else(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    acts.retry(job_id)
    assert find_job(site.redis, job_id).destinations["PACS"].state is DestinationState.PENDING
    assert site.steps()[f"{job_id}.OTHER"] == "done"
    assert site.export(job_id, "PACS") == Done()
    assert pacs.uids == ["1.2.2"]
    job = both(site, job_id)
    assert job.state is JobState.DONE
    assert (job.destinations["PACS"].delivered, job.destinations["PACS"].failed) == (3, 0)


def test_refused_again_it_is_failed_again_and_may_be_retried_again(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    for _ in range(2):
        acts.retry(job_id)
        pacs.forget()
        refuse(site, pacs, job_id, "PACS")
        assert pacs.uids == ["1.2.2"]
        assert both(site, job_id).destinations["PACS"].failed == 1
    acts.retry(job_id)
    assert site.export(job_id, "PACS") == Done()


def test_a_job_that_was_held_as_it_failed_goes_on_when_it_is_retried(
    site: Site, acts: JobActs, pacs: Pacs
) -> None:
    job_id = pipeline_failed(site, pacs)
    site.folder(job_id).update(lambda job: job.model_copy(update={"held": True}))
    assert acts.retry(job_id).state is JobState.QUEUED


def test_a_retry_when_redis_was_emptied_between(site: Site, acts: JobActs, pacs: Pacs) -> None:
    in_pipeline, in_export = pipeline_failed(site, pacs), export_failed(site, pacs)
    site.redis.flushall()
    site.gate.open()
    for job_id in (in_pipeline, in_export):
        acts.retry(job_id)
        both(site, job_id)
    (site.folder(in_pipeline).path / "well").touch()
    assert site.run_pipeline(in_pipeline) == Done()
    assert site.export(in_export, "PACS") == Done()
    assert pacs.uids == ["1.2.2"]


def test_all_that_failed_are_found_by_destination_pipeline_and_ae_title(
    site: Site, pacs: Pacs
) -> None:
    program, send = pipeline_failed(site, pacs), export_failed(site, pacs)
    going_on = exporting_with_one_failed(site, pacs)
    done(site, pacs)
    assert failed_jobs(site.redis) == sorted([program, send])
    assert failed_jobs(site.redis, destination="PACS") == sorted([send, going_on])
    assert failed_jobs(site.redis, destination="OTHER") == []
    assert failed_jobs(site.redis, pipeline="fail") == [program]
    assert failed_jobs(site.redis, ae_title="BRAIN") == [send]


# Killed in between, and what cannot be done


@pytest.mark.parametrize(
    ("make", "act"),
    [
        (pipeline_failed, "retry"),
        (export_failed, "retry"),
        (held, "release"),
        (queued, "hold"),
        (exporting, "hold"),
        (queued, "cancel"),
        (exporting, "cancel"),
    ],
)
def test_killed_after_any_write_the_reconciler_does_the_rest_or_nothing_was_done(
    site: Site, pacs: Pacs, make: Callable[[Site, Pacs], str], act: str
) -> None:
    for kill in kills(least=4):
        site.empty()
        pacs.forget()
        job_id = make(site, pacs)
        reconciler = Reconciler(site.context)
        reconciler.tick()  # which has seen the job as it was
        before = site.folder(job_id).read()
        acts = site.acts
        with kill:
            getattr(acts, act)(job_id)
        reconciler._looked = float("-inf")  # a period later
        reconciler.tick()
        job = both(site, job_id)
        waiting = {step for step, state in site.steps().items() if state == "waiting"}
        if job.state in (JobState.QUEUED, JobState.EXPORTING):
            assert waiting
        else:
            assert not waiting
        if job == before:
            getattr(acts, act)(job_id)
        assert both(site, job_id) != before


def test_what_is_not_there_cannot_be_acted_on(site: Site, acts: JobActs) -> None:
    job_id = site.dispatched(*THREE)
    shutil.rmtree(site.folder(job_id).path)
    for name in (job_id, new_id(), "../../etc", ""):
        with pytest.raises(NoSuchJobError):
            acts.cancel(name)
    assert list(site.tree.jobs.iterdir()) == []
    shutil.rmtree(site.tree.root)
    with pytest.raises(StorageError, match="no storage"):
        acts.cancel(job_id)


def test_a_damaged_record_is_not_acted_on(site: Site, acts: JobActs) -> None:
    job_id = site.dispatched(*THREE)
    (site.folder(job_id).path / STATE_FILE).write_text("{")
    with pytest.raises(ActError, match="damaged"):
        acts.hold(job_id)
