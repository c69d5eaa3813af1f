"""Destinations that do not answer what they keep, or refuse to."""

import pytest

from shared.commitment.report import reports
from shared.export_acts import ExportActs
from shared.job import DestinationEnd
from shared.job_state import JobState
from tests.support.committing import Keeper
from tests.support.receivers import local_receiver
from tests.workers.commitment.asking import (
    SOON,
    STATE,
    THREE,
    UIDS,
    asked_again_in,
    end,
    hear,
    run_out,
    standing,
)
from tests.workers.pacs import Pacs
from tests.workers.site import MakeSite, Site
from workers.keeping.retention import job_removal_time
from workers.steps.outcome import Done, Failed, TryAgain


@pytest.fixture
def unanswered(asking: MakeSite, keeper: Keeper) -> tuple[Site, str]:
    """A job of which nothing was confirmed in time."""
    keeper.react = keeper.say_nothing
    site = asking(**SOON)
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    return site, job_id


def test_who_never_answers_is_asked_anew_and_then_it_is_not_confirmed(
    asking: MakeSite, keeper: Keeper
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


def test_a_retry_asks_again_and_sends_nothing(unanswered: tuple[Site, str], keeper: Keeper) -> None:
    site, job_id = unanswered
    keeper.react = keeper.answer_at_once
    site.configure(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": keeper.section(commitment_linger="10s")},
    )
    site.context.live.reread()
    site.acts.retry(job_id)
    assert run_out(site, job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert keeper.received == UIDS


def report_late(site: Site, keeper: Keeper) -> None:
    """What it answers to the first question, to a receiver."""
    with local_receiver(site.tree.root, destinations={"PACS": keeper.section()}) as receiver:
        keeper.port_to_call = receiver.port
        keeper.call_and_report(keeper.questions[0])
    hear(site)


def test_what_is_exported_once_more_is_asked_for_once_more(
    asking: MakeSite, keeper: Keeper
) -> None:
    site = asking(commitment_linger="10s", commitment_attempts=1)
    job_id = site.exporting(*THREE)
    run_out(site, job_id)
    ExportActs.of(site.context.settings, site.redis, "me").export(job_id, "PACS")
    run_out(site, job_id)
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert keeper.received == UIDS * 2
    assert len(keeper.questions) == 2


def test_of_what_is_exported_once_more_a_late_answer_says_nothing(
    unanswered: tuple[Site, str], keeper: Keeper
) -> None:
    site, job_id = unanswered
    ExportActs.of(site.context.settings, site.redis, "me").export(job_id, "PACS")
    site.export(job_id)
    with local_receiver(site.tree.root, destinations={"PACS": keeper.section()}) as receiver:
        keeper.port_to_call = receiver.port
        keeper.call_and_report(keeper.questions[0])
    run_out(site, job_id)
    assert end(site, job_id).state is STATE.NOT_CONFIRMED


def test_a_late_confirmation_is_taken_after_all(
    unanswered: tuple[Site, str], keeper: Keeper
) -> None:
    site, job_id = unanswered
    report_late(site, keeper)
    assert site.export(job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert len(keeper.questions) == 2
    assert site.folder(job_id).read().state is JobState.DONE


def test_a_late_no_changes_nothing(unanswered: tuple[Site, str], keeper: Keeper) -> None:
    site, job_id = unanswered
    keeper.lose("1.2.2")
    report_late(site, keeper)
    assert list(reports(site.tree)) == []
    assert end(site, job_id).state is STATE.NOT_CONFIRMED


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
    make_site: MakeSite, pacs: Pacs
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
