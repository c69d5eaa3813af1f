"""What is done about an instance that a destination does not commit to, by its Failure Reason."""

import pytest

from shared.acts import JobActs
from tests.support.committing import Keeper, Question
from tests.workers.commitment.asking import (
    STATE,
    THREE,
    UIDS,
    asked_again_in,
    end,
    run_out,
    standing,
    verdicts,
)
from tests.workers.site import MakeSite, Site
from workers.steps.outcome import Done, Failed


def loses_once(keeper: Keeper, failure_reason: int) -> None:
    """The first time that it is asked it says so of 1.2.2."""

    def answer(question: Question) -> None:
        if len(keeper.questions) == 1:
            keeper.lose("1.2.2")
        else:
            keeper.kept.add("1.2.2")
        keeper.answer_at_once(question)

    keeper.failure_reason, keeper.react = failure_reason, answer


@pytest.mark.parametrize("reason", [0x0112, 0x0213, 0x0999])
def test_what_sending_again_may_cure_is_sent_again(site: Site, keeper: Keeper, reason: int) -> None:
    loses_once(keeper, reason)
    job_id = site.exporting(*THREE)
    assert run_out(site, job_id) == Done()
    assert keeper.received == [*UIDS, "1.2.2"]


@pytest.mark.parametrize("reason", [0x0110, 0x0131])
def test_what_a_new_transaction_may_cure_is_asked_for_again_and_not_sent(
    site: Site, keeper: Keeper, reason: int
) -> None:
    loses_once(keeper, reason)
    job_id = site.exporting(*THREE)
    assert run_out(site, job_id) == Done()
    assert end(site, job_id).state is STATE.COMMITMENT_CONFIRMED
    assert keeper.received == UIDS
    first, second = keeper.questions
    assert [uid for _, uid in second.references] == ["1.2.2"]
    assert first.transaction_uid != second.transaction_uid


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (0x0119, "0119 (class-instance conflict)"),
        (0x0122, "0122 (referenced SOP class not supported)"),
    ],
)
def test_what_nothing_cures_is_neither_sent_nor_asked_for_again_until_a_person_says_so(
    site: Site, keeper: Keeper, reason: int, words: str
) -> None:
    loses_once(keeper, reason)
    job_id = site.exporting(*THREE)
    assert run_out(site, job_id) == Failed(f"PACS: not confirmed: 1 for {words}")
    found = end(site, job_id)
    assert (found.state, found.delivered) == (STATE.NOT_CONFIRMED, 3)
    assert verdicts(site, job_id)["1.2.2"] == ("missing", f"{reason:04X}")
    assert len(keeper.questions) == 1
    JobActs.of(site.context.settings, site.redis, "me").retry(job_id)
    assert run_out(site, job_id) == Done()
    assert keeper.received == UIDS
    assert len(keeper.questions) == 2


def test_what_can_be_cured_is_though_another_cannot(site: Site, keeper: Keeper) -> None:
    def answer(question: Question) -> None:
        if len(keeper.questions) == 1:
            keeper.lose("1.2.1", "1.2.2")
        event_type, said = keeper.report(question)
        for item in said.get("FailedSOPSequence", ()):
            hopeless = item.ReferencedSOPInstanceUID == "1.2.1"
            item.FailureReason = 0x0122 if hopeless else 0x0112
        keeper.tell(question.association, event_type, said)

    keeper.react = answer
    job_id = site.exporting(*THREE)
    assert isinstance(run_out(site, job_id), Failed)
    assert keeper.received == [*UIDS, "1.2.2"]
    assert [len(question.references) for question in keeper.questions] == [3, 1]
    told = verdicts(site, job_id)
    assert [told[uid][0] for uid in UIDS] == ["missing", "committed", "committed"]


def test_after_a_report_of_failures_sending_and_asking_again_wait_as_after_a_failed_send(
    asking: MakeSite, keeper: Keeper
) -> None:
    def lose_one(question: Question) -> None:
        keeper.lose("1.2.2")
        keeper.answer_at_once(question)

    keeper.react = lose_one
    site = asking(commitment_attempts=5, commitment_linger="10s")
    job_id = site.exporting(*THREE)
    asked_again_in(site.export(job_id))
    for bound in (5, 10, 20):
        sent, asked = len(keeper.received), len(keeper.questions)
        assert 0 < asked_again_in(site.export(job_id)) <= bound
        assert standing(site, job_id) is STATE.RETRYING
        assert (len(keeper.received), len(keeper.questions)) == (sent, asked)
        site.export(job_id)
        assert (len(keeper.received), len(keeper.questions)) == (sent + 1, asked + 1)
