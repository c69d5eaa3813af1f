"""What happens between a question and its answer: crashes, people, removal."""

from datetime import UTC, datetime, timedelta

from shared.commitment.report import reports
from shared.job_steps import export_step
from tests.support.committing import Keeper
from tests.support.receivers import LocalReceiver
from tests.support.waiting import wait_for
from tests.workers.commitment.asking import (
    STATE,
    THREE,
    UIDS,
    asked,
    asked_again_in,
    end,
    hear,
    run_out,
    standing,
)
from tests.workers.faults import kills
from tests.workers.site import Site
from workers.exports.step import export
from workers.keeping.removal import remove_job
from workers.reconciling.catch_up import catch_up
from workers.steps.outcome import Done, TryAgain


def test_killed_after_any_write_it_is_confirmed_and_sent_once(site: Site, keeper: Keeper) -> None:
    for kill in kills(least=20):
        site.empty()
        keeper.received.clear()
        keeper.questions.clear()
        job_id = site.exporting(*THREE)
        step = export_step(site.folder(job_id).read(), "PACS")
        with site.lease(site.start(step)) as lease:
            with kill:
                while not isinstance(export(site.context, lease), Done):
                    pass
            while isinstance(export(site.context, lease), TryAgain):
                pass
        assert set(keeper.received) == set(UIDS)
        assert len(keeper.received) <= 2 * len(UIDS)  # an association that broke goes again
        assert len(keeper.questions) <= 2
        assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED


def test_with_redis_lost_nobody_is_asked_twice(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = asked(patient)
    wait_for(lambda: keeper.statuses == [0x0000])
    (path,) = [path for _, path in reports(patient.tree)]
    aside = path.rename(patient.tree.root / path.name)
    patient.redis.flushall()
    patient.gate.open()
    catch_up(patient.context, patient.folder(job_id))
    assert asked_again_in(patient.export(job_id)) > 21500
    assert standing(patient, job_id) is STATE.AWAITING_COMMITMENT
    aside.rename(path)
    assert patient.export(job_id) == Done()
    assert len(keeper.questions) == 1
    assert keeper.received == UIDS


def test_a_job_that_is_held_takes_its_answer_when_it_is_released(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = asked(patient)
    patient.acts.hold(job_id)
    wait_for(lambda: keeper.statuses == [0x0000])
    hear(patient)
    assert len(list(reports(patient.tree))) == 1
    patient.acts.release(job_id)
    assert patient.export(job_id) == Done()
    assert end(patient, job_id).state is STATE.COMMITMENT_CONFIRMED


def test_of_a_cancelled_job_no_answer_is_kept(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = asked(patient)
    patient.acts.cancel(job_id)
    wait_for(lambda: keeper.statuses == [0x0000])
    hear(patient)
    assert list(reports(patient.tree)) == []


def test_with_its_job_a_transaction_goes(site: Site, keeper: Keeper) -> None:
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    assert len(list(site.tree.commitments.iterdir())) == 1
    long_ago = datetime.now(UTC) - timedelta(days=30)
    site.folder(job_id).update(lambda job: job.model_copy(update={"ended": long_ago}))
    assert remove_job(site.context, job_id)
    assert list(site.tree.commitments.iterdir()) == []
