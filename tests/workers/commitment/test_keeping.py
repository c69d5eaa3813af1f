"""Exports to destinations that are to confirm what they keep."""

from shared.commitment.report import reports
from shared.job import DestinationEnd
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.registry import keys
from shared.registry.destinations import Breaker, destinations
from shared.registry.step import StepEnd
from tests.support.committing import Keeper, Question
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
    verdicts,
)
from tests.workers.site import Given, MakeSite, Site
from workers.exports.step import export
from workers.steps.outcome import Done, Failed


def test_what_is_confirmed_on_the_same_association_is_confirmed(site: Site, keeper: Keeper) -> None:
    job_id = site.exporting(*THREE)
    assert asked_again_in(site.export(job_id)) == 0
    assert site.export(job_id) == Done()
    confirmed = DestinationEnd(state=STATE.COMMITMENT_CONFIRMED, delivered=3)
    assert end(site, job_id) == confirmed
    assert site.folder(job_id).read().state is JobState.DONE
    assert keeper.received == UIDS
    assert keeper.statuses == [0x0000]
    assert keeper.associations == 2
    assert set(verdicts(site, job_id).values()) == {("committed", "")}
    (question,) = keeper.questions
    assert sorted(uid for _, uid in question.references) == sorted(UIDS)


def test_what_is_confirmed_on_a_new_association_is_confirmed(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = patient.exporting(*THREE)
    assert 21590 < asked_again_in(patient.export(job_id)) <= 21600
    assert standing(patient, job_id) is STATE.AWAITING_COMMITMENT
    assert patient.folder(job_id).read().state is JobState.EXPORTING
    wait_for(lambda: keeper.statuses == [0x0000])
    hear(patient)
    assert patient.export(job_id) == Done()
    assert end(patient, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert keeper.received == UIDS
    assert list(reports(patient.tree)) == []


def test_a_report_that_has_come_makes_the_waiting_step_due(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = patient.exporting(*THREE)
    step = export_step(patient.folder(job_id).read(), "PACS")
    run = patient.start(step)
    with patient.lease(run) as lease:
        outcome = export(patient.context, lease)
    delay = asked_again_in(outcome)
    wait_for(lambda: keeper.statuses == [0x0000])
    hear(patient)  # while the step still runs
    assert patient.steps()[step.id] == "running"
    patient.gate.finish(run, StepEnd.RETRYING, delay=delay, counted=False)
    assert patient.redis.zscore(keys.DUE + step.lane, step.id) is not None
    hear(patient)
    assert patient.steps()[step.id] == "waiting"
    hear(patient)
    assert patient.steps()[step.id] == "waiting"
    assert len(list(reports(patient.tree))) == 1  # for the step to take in


def test_no_place_is_held_while_an_answer_is_awaited(patient: Site, keeper: Keeper) -> None:
    keeper.react = keeper.say_nothing
    first, second = patient.exporting(*THREE), patient.exporting(Given("1.2.9"))
    patient.redis.hset(keys.LANE + "export:PACS", "failures", 1)
    for job_id in (first, second):
        run = patient.start(export_step(patient.folder(job_id).read(), "PACS"))
        with patient.lease(run) as lease:
            delay = asked_again_in(export(patient.context, lease))
            patient.gate.finish(run, StepEnd.RETRYING, delay=delay, counted=False)
    assert patient.redis.zcard(keys.LEASES + "export:PACS") == 0
    (view,) = destinations(patient.redis)
    assert (view.unconfirmed, view.retrying, view.sending, view.waiting) == (2, 0, 0, 0)
    assert view.health.breaker is Breaker.CLOSED


def test_what_it_does_not_hold_is_sent_and_asked_for_again(site: Site, keeper: Keeper) -> None:
    def lose_one(question: Question) -> None:
        if len(keeper.questions) == 1:
            keeper.lose("1.2.2")
        keeper.answer_at_once(question)

    keeper.react = lose_one
    job_id = site.exporting(*THREE)
    assert run_out(site, job_id) == Done()
    assert end(site, job_id) == DestinationEnd(state=STATE.COMMITMENT_CONFIRMED, delivered=3)
    assert keeper.received == [*UIDS, "1.2.2"]
    first, second = keeper.questions
    assert [uid for _, uid in second.references] == ["1.2.2"]
    assert first.transaction_uid != second.transaction_uid


def test_what_is_never_held_is_sent_so_often_and_no_more(asking: MakeSite, keeper: Keeper) -> None:
    def lose_one(question: Question) -> None:
        keeper.lose("1.2.2")
        keeper.answer_at_once(question)

    keeper.react = lose_one
    site = asking(commitment_attempts=2, commitment_linger="10s")
    job_id = site.exporting(*THREE)
    reason = "not confirmed, asked 2 times: 1 for 0112 (no such object instance)"
    assert run_out(site, job_id) == Failed(f"PACS: {reason}")
    assert end(site, job_id).state is STATE.NOT_CONFIRMED
    assert keeper.received.count("1.2.2") == 3
    assert keeper.received.count("1.2.1") == 1
    assert site.folder(job_id).read().state is JobState.FAILED


def test_why_an_instance_is_not_held_is_told(asking: MakeSite, keeper: Keeper) -> None:
    def lose_one(question: Question) -> None:
        keeper.lose("1.2.2")
        keeper.store_status = 0xA700
        keeper.answer_at_once(question)

    keeper.react = lose_one
    site = asking(commitment_linger="10s")
    job_id = asked(site)
    wait_for(lambda: keeper.statuses)
    site.export(job_id)
    told = verdicts(site, job_id)
    assert told["1.2.1"] == ("committed", "")
    assert told["1.2.2"] == ("missing", "0112")
    site.export(job_id)
    assert verdicts(site, job_id)["1.2.2"] == ("later", "A700")
    log = (site.folder(job_id).path / "sent-PACS.log").read_text()
    assert " MISSING 0112 1.2.2.dcm" in log


def test_a_report_that_comes_twice_is_answered_twice_and_counts_once(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = asked(patient)
    wait_for(lambda: keeper.statuses == [0x0000])
    keeper.call_and_report(keeper.questions[0])
    hear(patient)
    assert patient.export(job_id) == Done()
    keeper.lose(*UIDS)  # what it says later is not asked for any more
    keeper.call_and_report(keeper.questions[0])
    assert keeper.statuses == [0x0000] * 3
    hear(patient)
    assert list(reports(patient.tree)) == []
    assert end(patient, job_id).state is STATE.COMMITMENT_CONFIRMED


def test_a_transaction_that_nobody_began_is_told_so(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    keeper.react = keeper.say_nothing
    job_id = asked(patient)
    keeper.call_and_report(keeper.questions[0]._replace(transaction_uid="2.25.1"))
    assert keeper.statuses == [0x0115]
    hear(patient)
    assert standing(patient, job_id) is STATE.AWAITING_COMMITMENT


def test_an_answer_of_which_instances_are_left_out_does_not_confirm_them(
    site: Site, keeper: Keeper
) -> None:
    def forget_one(question: Question) -> None:
        if len(keeper.questions) == 1:
            question = question._replace(references=question.references[:2])
        keeper.answer_at_once(question)

    keeper.react = forget_one
    job_id = site.exporting(*THREE)
    assert run_out(site, job_id) == Done()
    assert keeper.received == UIDS
    assert [len(question.references) for question in keeper.questions] == [3, 1]


def test_a_report_that_cannot_be_read_is_as_good_as_none(patient: Site, keeper: Keeper) -> None:
    keeper.react = keeper.say_nothing
    job_id = asked(patient)
    (transaction_uid,) = [question.transaction_uid for question in keeper.questions]
    (patient.tree.reports / f"{transaction_uid}_x.dcm").write_bytes(b"garbage")
    hear(patient)
    asked_again_in(patient.export(job_id))
    assert list(reports(patient.tree)) == []
    assert len(keeper.questions) == 1


def test_what_was_refused_is_not_asked_for(site: Site, keeper: Keeper) -> None:
    keeper.store_status = 0xC000
    job_id = site.exporting(*THREE)
    assert isinstance(site.export(job_id), Failed)
    assert end(site, job_id).state is STATE.FAILED
    assert keeper.questions == []


def test_a_destination_that_is_not_asked_is_delivered_to_as_ever(
    asking: MakeSite, keeper: Keeper
) -> None:
    site = asking(storage_commitment=False)
    job_id = site.exporting(*THREE)
    assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.DELIVERED
    assert keeper.questions == []
