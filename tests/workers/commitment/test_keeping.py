"""Exports to destinations that are to confirm what they keep."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.acts import JobActs
from shared.commitment.report import reports
from shared.job import DestinationEnd, DestinationState, JobState
from shared.job_files import read_job_files
from shared.job_steps import export_step
from shared.registry import keys
from shared.registry.destinations import Breaker, destinations
from shared.registry.jobs import DestinationProgress
from shared.registry.step import StepEnd
from shared.registry.views import find_job
from shared.upper_layer.dimse import encode_command
from shared.upper_layer.events import MessageReceived
from shared.upper_layer.n_services import (
    ActionRequest,
    ActionResponse,
    EventReportRequest,
    EventReportResponse,
)
from shared.upper_layer.writer import command_pdus, data_pdus
from tests.support.committing import Keeper, Question
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.waiting import wait_for
from tests.workers.faults import kills
from tests.workers.pacs import Pacs
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, Site
from workers.commitment.hearing import Hearing
from workers.exports.step import export
from workers.keeping.removal import remove_job
from workers.keeping.retention import job_removal_time
from workers.reconciling.catch_up import catch_up
from workers.steps.outcome import Done, Failed, Outcome, TryAgain

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3"))
UIDS = [given.uid for given in THREE]
SOON = {"commitment_timeout": "100ms", "commitment_linger": "0s", "commitment_attempts": 2}
STATE = DestinationState


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as running:
        running.react = running.answer_at_once
        yield running


@pytest.fixture
def asking(make_site: Callable[..., Site], keeper: Keeper) -> Callable[..., Site]:
    """A function of the destination's options."""

    def make(**options: Any) -> Site:
        return make_site(
            pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
            destinations={"PACS": keeper.section(**options)},
            workers={"reconcile": "0s"},
        )

    return make


@pytest.fixture
def site(asking: Callable[..., Site]) -> Site:
    return asking(commitment_linger="10s")


@pytest.fixture
def patient(asking: Callable[..., Site]) -> Site:
    """One that does not listen on the association on which it asks."""
    return asking(commitment_linger="0s")


@pytest.fixture
def receiver(patient: Site, keeper: Keeper) -> Iterator[LocalReceiver]:
    section = keeper.section()
    with local_receiver(patient.tree.root, destinations={"PACS": section}) as running:
        keeper.port_to_call = running.port
        keeper.react = keeper.call_and_report
        yield running


def end(site: Site, job_id: str) -> DestinationEnd:
    """On disk; the record in Redis must say the same."""
    found = site.folder(job_id).read().destinations["PACS"]
    assert find_job(site.redis, job_id).destinations["PACS"] == DestinationProgress.ended(found)
    return found


def standing(site: Site, job_id: str) -> DestinationState:
    return find_job(site.redis, job_id).destinations["PACS"].state


def asked_again_in(outcome: Outcome) -> float:
    assert isinstance(outcome, TryAgain)
    assert not outcome.counted
    assert not outcome.trouble
    return outcome.delay


def hear(site: Site) -> None:
    Hearing(site.context).tick()


def verdicts(site: Site, job_id: str) -> dict[str, tuple[str, str]]:
    files = read_job_files(site.tree, job_id)
    assert files is not None
    return {
        each.file.removesuffix(".dcm"): (each.verdict, each.status) for each in files.sent["PACS"]
    }


def run_out(site: Site, job_id: str) -> Outcome:
    """The export until it is over, with none of its answers coming."""

    def over() -> Outcome | None:
        outcome = site.export(job_id)
        return outcome if isinstance(outcome, Done | Failed) else None

    outcome = wait_for(over)
    assert outcome is not None
    return outcome


# Where the answer comes


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


def test_a_report_that_comes_before_the_response_is_taken(make_site: Callable[..., Site]) -> None:
    def answer(peer: Connection, context_id: int) -> None:
        message, asked = question(peer)
        # It says what is kept by the same elements.
        report = EventReportRequest(9, message.sop_class_uid, message.sop_instance_uid, 1)
        command = command_pdus(context_id, encode_command(report), 16000)
        peer.socket.sendall(command + b"".join(data_pdus(context_id, asked, 16000, last=True)))
        response = peer.expect(MessageReceived).message
        assert isinstance(response, EventReportResponse)
        assert response.status == 0
        accept(peer, context_id, message)
        peer.release()

    with RawScp(in_turn(take_one, answer)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        assert asked_again_in(site.export(job_id)) == 0
        assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED


def in_turn(*scripts: Callable[[Connection, int], None]) -> Callable[[Connection], None]:
    """One for each connection, with the id of its first context."""
    left = list(scripts)

    def script(peer: Connection) -> None:
        left.pop(0)(peer, peer.accept().presentation_contexts[0].id)

    return script


def take_one(peer: Connection, context_id: int) -> None:
    peer.respond(peer.stored()[0], 0)
    peer.release()


def question(peer: Connection) -> tuple[ActionRequest, memoryview]:
    message = peer.expect(MessageReceived).message
    assert isinstance(message, ActionRequest)
    return message, memoryview(b"".join(peer.fragments()))


def accept(peer: Connection, context_id: int, message: ActionRequest) -> None:
    response = ActionResponse(message.message_id, "", "", 1, 0)
    peer.socket.sendall(peer.acceptor.respond(context_id, response))


def asking_at(make_site: Callable[..., Site], scp: RawScp) -> Site:
    at = {"ae_title": "PACS", "host": "127.0.0.1", "port": scp.port, "storage_commitment": True}
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": at | {"commitment_linger": "10s"}},
    )


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


# What it says


def test_what_it_does_not_hold_is_sent_and_asked_for_again(site: Site, keeper: Keeper) -> None:
    def lose_one(question: Question) -> None:
        if len(keeper.questions) == 1:
            keeper.lose("1.2.2")
        keeper.answer_at_once(question)

    keeper.react = lose_one
    job_id = site.exporting(*THREE)
    assert asked_again_in(site.export(job_id)) == 0
    assert asked_again_in(site.export(job_id)) == 0
    assert site.export(job_id) == Done()
    assert end(site, job_id) == DestinationEnd(state=STATE.COMMITMENT_CONFIRMED, delivered=3)
    assert keeper.received == [*UIDS, "1.2.2"]
    first, second = keeper.questions
    assert [uid for _, uid in second.references] == ["1.2.2"]
    assert first.transaction_uid != second.transaction_uid


def test_what_is_never_held_is_sent_so_often_and_no_more(
    asking: Callable[..., Site], keeper: Keeper
) -> None:
    def lose_one(question: Question) -> None:
        keeper.lose("1.2.2")
        keeper.answer_at_once(question)

    keeper.react = lose_one
    site = asking(commitment_attempts=2, commitment_linger="10s")
    job_id = site.exporting(*THREE)
    outcome = run_out(site, job_id)
    assert outcome == Failed("PACS: not confirmed, asked 2 times")
    assert end(site, job_id).state is STATE.NOT_CONFIRMED
    assert keeper.received.count("1.2.2") == 3
    assert keeper.received.count("1.2.1") == 1
    assert site.folder(job_id).read().state is JobState.FAILED


def test_why_an_instance_is_not_held_is_told(asking: Callable[..., Site], keeper: Keeper) -> None:
    def lose_one(question: Question) -> None:
        keeper.lose("1.2.2")
        keeper.store_status = 0xA700
        keeper.answer_at_once(question)

    keeper.react = lose_one
    site = asking(commitment_linger="10s")
    job_id = site.exporting(*THREE)
    site.export(job_id)
    wait_for(lambda: keeper.statuses)
    site.export(job_id)
    told = verdicts(site, job_id)
    assert told["1.2.1"] == ("committed", "")
    assert told["1.2.2"] == ("later", "A700")
    log = (site.folder(job_id).path / "sent-PACS.log").read_text()
    assert " MISSING 0112 1.2.2.dcm" in log


# When it says nothing


def test_who_never_answers_is_asked_anew_and_then_it_is_not_confirmed(
    asking: Callable[..., Site], keeper: Keeper
) -> None:
    keeper.react = keeper.say_nothing
    site = asking(**SOON)
    job_id = site.exporting(*THREE)
    assert 0 < asked_again_in(site.export(job_id)) <= 0.1
    assert run_out(site, job_id) == Failed("PACS: not confirmed, asked 2 times")
    found = end(site, job_id)
    assert found.state is STATE.NOT_CONFIRMED
    assert (found.delivered, found.failed) == (3, 0)
    assert keeper.received == UIDS
    first, second = keeper.questions
    assert first.transaction_uid != second.transaction_uid
    job = site.folder(job_id).read()
    assert job.state is JobState.FAILED
    assert job_removal_time(job, site.context.settings.storage) is None  # until a person decides


def test_a_retry_asks_again_and_sends_nothing(asking: Callable[..., Site], keeper: Keeper) -> None:
    keeper.react = keeper.say_nothing
    site = asking(**SOON)
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    keeper.react = keeper.answer_at_once
    site.configure(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": keeper.section(commitment_linger="10s")},
    )
    site.context.live.reread()
    JobActs.of(site.context.settings, site.redis, "me").retry(job_id)
    assert run_out(site, job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert keeper.received == UIDS


def test_a_late_confirmation_is_taken_after_all(
    asking: Callable[..., Site], keeper: Keeper
) -> None:
    keeper.react = keeper.say_nothing
    site = asking(**SOON)
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    with local_receiver(site.tree.root, destinations={"PACS": keeper.section()}) as receiver:
        keeper.port_to_call = receiver.port
        keeper.call_and_report(keeper.questions[0])
    hear(site)
    assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert len(keeper.questions) == 2
    assert site.folder(job_id).read().state is JobState.DONE


def test_a_late_no_changes_nothing(asking: Callable[..., Site], keeper: Keeper) -> None:
    keeper.react = keeper.say_nothing
    site = asking(**SOON)
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    keeper.lose("1.2.2")
    with local_receiver(site.tree.root, destinations={"PACS": keeper.section()}) as receiver:
        keeper.port_to_call = receiver.port
        keeper.call_and_report(keeper.questions[0])
    hear(site)
    assert list(reports(site.tree)) == []
    assert end(site, job_id).state is STATE.NOT_CONFIRMED


# When it says it twice, or something else


def test_a_report_that_comes_twice_is_answered_twice_and_counts_once(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
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
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
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
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
    (transaction_uid,) = [question.transaction_uid for question in keeper.questions]
    (patient.tree.reports / f"{transaction_uid}_x.dcm").write_bytes(b"garbage")
    hear(patient)
    asked_again_in(patient.export(job_id))
    assert list(reports(patient.tree)) == []
    assert len(keeper.questions) == 1


# When it refuses


@pytest.mark.parametrize("status", [0x0110, 0x0213])
def test_who_cannot_be_asked_now_is_asked_later(site: Site, keeper: Keeper, status: int) -> None:
    keeper.action_status = status
    job_id = site.exporting(*THREE)
    outcome = site.export(job_id)
    assert isinstance(outcome, TryAgain)
    assert outcome.trouble
    assert standing(site, job_id) is STATE.RETRYING
    keeper.action_status = 0x0000
    assert run_out(site, job_id) == Done()
    assert keeper.received == UIDS
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED


@pytest.mark.parametrize("status", [0x0112, 0x0118, 0x0124, 0x0211])
def test_who_refuses_to_be_asked_is_not_asked_again(
    site: Site, keeper: Keeper, status: int
) -> None:
    keeper.action_status = status
    job_id = site.exporting(*THREE)
    reason = f"it refuses storage commitment: status {status:04X}"
    assert site.export(job_id) == Failed(f"PACS: {reason}")
    assert end(site, job_id) == DestinationEnd(
        state=STATE.NOT_CONFIRMED, delivered=3, reason=reason
    )


def test_who_does_not_offer_it_leaves_the_export_not_confirmed(
    make_site: Callable[..., Site], pacs: Pacs
) -> None:
    site = make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": pacs.section | {"storage_commitment": True}},
    )
    job_id = site.exporting(*THREE)
    assert isinstance(site.export(job_id), Failed)
    found = end(site, job_id)
    assert found.state is STATE.NOT_CONFIRMED
    assert found.reason == "it does not offer storage commitment"


def test_what_was_refused_is_not_asked_for(site: Site, keeper: Keeper) -> None:
    keeper.store_status = 0xC000
    job_id = site.exporting(*THREE)
    assert isinstance(site.export(job_id), Failed)
    assert end(site, job_id).state is STATE.FAILED
    assert keeper.questions == []


def test_who_breaks_off_after_its_answer_is_awaited_all_the_same(
    make_site: Callable[..., Site],
) -> None:
    def break_off(peer: Connection, context_id: int) -> None:
        message, _ = question(peer)
        accept(peer, context_id, message)
        peer.abort()

    with RawScp(in_turn(take_one, break_off)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        assert asked_again_in(site.export(job_id)) > 21500
    assert standing(site, job_id) is STATE.AWAITING_COMMITMENT


def test_who_breaks_off_before_its_answer_is_asked_anew(make_site: Callable[..., Site]) -> None:
    asked: list[bytes] = []

    def break_off(peer: Connection, context_id: int) -> None:
        asked.append(bytes(question(peer)[1]))
        peer.abort()

    def answer(peer: Connection, context_id: int) -> None:
        message, data_set = question(peer)
        asked.append(bytes(data_set))
        accept(peer, context_id, message)
        peer.abort()

    with RawScp(in_turn(take_one, break_off, answer)) as scp:
        site = asking_at(make_site, scp)
        job_id = site.exporting(THREE[0])
        outcome = site.export(job_id)
        assert isinstance(outcome, TryAgain)
        assert outcome.trouble
        assert standing(site, job_id) is STATE.RETRYING
        assert asked_again_in(site.export(job_id)) > 21500
    first, second = asked
    assert first != second  # by their Transaction UIDs


# Crashes, and people


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
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
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
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
    acts = JobActs.of(patient.context.settings, patient.redis, "me")
    acts.hold(job_id)
    wait_for(lambda: keeper.statuses == [0x0000])
    hear(patient)
    assert len(list(reports(patient.tree))) == 1
    acts.release(job_id)
    assert patient.export(job_id) == Done()
    assert end(patient, job_id).state is STATE.COMMITMENT_CONFIRMED


def test_of_a_cancelled_job_no_answer_is_kept(
    patient: Site, receiver: LocalReceiver, keeper: Keeper
) -> None:
    job_id = patient.exporting(*THREE)
    patient.export(job_id)
    JobActs.of(patient.context.settings, patient.redis, "me").cancel(job_id)
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


def test_a_destination_that_is_not_asked_is_delivered_to_as_ever(
    asking: Callable[..., Site], keeper: Keeper
) -> None:
    site = asking(storage_commitment=False)
    job_id = site.exporting(*THREE)
    assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.DELIVERED
    assert keeper.questions == []
