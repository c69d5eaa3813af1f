import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AllStoragePresentationContexts
from redis.exceptions import ConnectionError

from deploy.system import free_port
from shared.destination_state import DestinationState
from shared.job import DestinationEnd
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.part10 import read_file_meta
from shared.registry.jobs import DestinationProgress
from shared.registry.views import find_job, history
from shared.upper_layer.events import ReleaseRequested
from tests.support.samples import data_set, data_set_of, sample_file
from tests.support.waiting import wait_for
from tests.workers.exporting import answering, at, ended, progress, state, troubled
from tests.workers.faults import kills
from tests.workers.pacs import Pacs
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, Site
from workers.exports.sent_log import SentLog
from workers.exports.step import export
from workers.steps.lease import LeaseLostError, StoppingError
from workers.steps.outcome import Done, Failed, Outcome, TryAgain

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3", data_set(100_000, 7)))
UNKNOWN_SOP_CLASS = "1.2.3.4.5"


@pytest.fixture
def site(exporting: Callable[..., Site], pacs: Pacs) -> Site:
    return exporting(PACS=pacs.section)


# What arrives


def test_a_result_is_delivered_in_one_association_as_it_is_stored(site: Site, pacs: Pacs) -> None:
    given = Given("1.2.9", data_set_of(sample_file("CT_small.dcm")))
    job_id = site.exporting(*THREE, given)
    assert site.export(job_id) == Done()
    sent = {received.sop_instance_uid: received.data_set for received in pacs.received}
    assert sent == {each.uid: each.data_set for each in (*THREE, given)}
    assert len(pacs.associations) == 1
    wait_for(lambda: pacs.released == 1)
    assert ended(site, job_id) == DestinationEnd(state=DestinationState.DELIVERED, delivered=4)
    assert state(site, job_id) is JobState.DONE
    assert site.folder(job_id).read().ended is not None


def test_300_instances_go_over_one_connection(exporting: Callable[..., Site]) -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        for _ in range(300):
            peer.respond(peer.stored()[0], 0)
        peer.release()

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port))
        job_id = site.exporting(*(Given(f"1.2.{number}") for number in range(300)))
        assert site.export(job_id) == Done()
        assert scp.connections == 1
    assert ended(site, job_id).delivered == 300


@pytest.mark.filterwarnings("ignore")  # the data sets are none of their transfer syntaxes
def test_more_kinds_than_an_association_can_have_go_over_several(site: Site, pacs: Pacs) -> None:
    sop_classes = [str(c.abstract_syntax) for c in AllStoragePresentationContexts[:13]]
    pairs = itertools.product(sop_classes, map(str, AllTransferSyntaxes[:10]))
    given = [
        Given(f"1.2.{number}", sop_class=sop_class, transfer_syntax=transfer_syntax)
        for number, (sop_class, transfer_syntax) in enumerate(pairs)
    ]
    assert len(given) == 130
    job_id = site.exporting(*given)
    assert site.export(job_id) == Done()
    assert sorted(pacs.uids) == sorted(each.uid for each in given)
    contexts = [len(association.requestor.requested_contexts) for association in pacs.associations]
    assert contexts == [128, 2]


def test_an_empty_result_needs_no_association(make_site: Callable[..., Site], pacs: Pacs) -> None:
    site = make_site(
        pipelines={"keep": {"kind": "command", "command": ["true"], "export_to": ["PACS"]}},
        destinations={"PACS": pacs.section},
    )
    job_id = site.exporting(*THREE)
    assert site.export(job_id) == Done()
    assert ended(site, job_id).delivered == 0
    assert pacs.associations == []


def test_while_it_is_sent_the_record_says_how_far_it_is(site: Site, pacs: Pacs) -> None:
    seen: list[DestinationProgress] = []

    def look(uid: str) -> int:
        seen.append(progress(site, job_id))
        return 0x0000

    pacs.answer = look
    job_id = site.exporting(*THREE)
    site.export(job_id)
    assert seen[1] == DestinationProgress(DestinationState.SENDING, total=3, delivered=1)
    lines = [line.what for line in history(site.redis, job_id)]
    assert lines[-2:] == ["sending 3 instances to PACS", "PACS: delivered"]


def test_a_send_does_not_wait_for_its_progress_to_be_told(
    site: Site, pacs: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> NoReturn:
        raise ConnectionError

    job_id = site.exporting(*THREE)
    monkeypatch.setattr(site.context.hasty_records, "set_destination", away)
    assert site.export(job_id) == Done()
    assert ended(site, job_id).delivered == 3


def test_no_more_instances_are_started_than_the_rate_allows(
    exporting: Callable[..., Site], pacs: Pacs
) -> None:
    site = exporting({"rate_limit": "20/s"}, PACS=pacs.section)
    times: list[float] = []

    def clock(uid: str) -> int:
        times.append(time.monotonic())
        return 0x0000

    pacs.answer = clock
    site.export(site.exporting(*(Given(f"1.2.{number}") for number in range(11))))
    assert times[-1] - times[0] >= 0.45


# What the destination answers


def test_only_what_was_not_delivered_is_sent_again(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_2=0xA700)
    troubled(site.export(job_id))
    answering(pacs)
    assert site.export(job_id) == Done()
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.2", "1.2.3"]
    assert ended(site, job_id).delivered == 3


def test_a_destination_short_of_resources_is_asked_again_later_and_that_is_told(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_2=0xA702)
    before = time.time()
    outcome = troubled(site.export(job_id))
    assert outcome.reason == "PACS: status A702 (out of resources)"
    told = progress(site, job_id)
    assert (told.state, told.delivered, told.total) == (DestinationState.RETRYING, 1, 3)
    assert told.reason == "status A702 (out of resources)"
    assert told.retry_at == pytest.approx(before + outcome.delay, abs=2)
    assert state(site, job_id) is JobState.EXPORTING


def test_a_destination_to_be_asked_again_later_is_left_by_a_release(site: Site, pacs: Pacs) -> None:
    """One that keeps nothing of an aborted association keeps what it said yes to."""
    answering(pacs, _1_2_2=0xA700)
    site.export(site.exporting(*THREE))
    wait_for(lambda: pacs.released == 1)
    assert pacs.aborted == 0


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (0xA900, "1 refused with A900 (data set does not match SOP class)"),
        (0xC001, "1 refused with C001 (cannot understand)"),
        (0x0117, "1 refused with 0117 (invalid SOP instance)"),
        (0x0199, "1 refused with 0199"),
    ],
)
def test_an_instance_that_is_refused_for_good_fails_alone(
    site: Site, pacs: Pacs, status: int, why: str
) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_2=status)
    outcome = site.export(job_id)
    reason = f"1 of 3 instances were not delivered: {why}"
    assert outcome == Failed(f"PACS: {reason}")
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.3"]
    assert ended(site, job_id) == DestinationEnd(
        state=DestinationState.FAILED, delivered=2, failed=1, reason=reason
    )
    assert state(site, job_id) is JobState.FAILED
    assert find_job(site.redis, job_id).reason == f"PACS: {reason}"


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_a_delivery(site: Site, pacs: Pacs, status: int) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_2=status)
    assert site.export(job_id) == Done()
    assert ended(site, job_id) == DestinationEnd(
        state=DestinationState.DELIVERED_WITH_WARNINGS, delivered=3, warnings=1
    )
    assert state(site, job_id) is JobState.DONE


def test_an_instance_that_cannot_be_processed_three_times_fails_alone(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_1=0x0110)
    troubled(site.export(job_id))
    troubled(site.export(job_id))
    assert isinstance(site.export(job_id), Failed)
    assert pacs.uids == ["1.2.1", "1.2.1", "1.2.1", "1.2.2", "1.2.3"]
    assert (ended(site, job_id).delivered, ended(site, job_id).failed) == (2, 1)


def test_an_answer_without_a_status_is_no_delivery(exporting: Callable[..., Site]) -> None:
    statuses = iter([None, 0])

    def script(peer: Connection) -> None:
        peer.accept()
        peer.respond(peer.stored()[0], next(statuses))
        peer.release()

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port))
        job_id = site.exporting(Given("1.2.1"))
        assert troubled(site.export(job_id)).reason == "PACS: a response without a status"
        assert site.export(job_id) == Done()
        assert scp.connections == 2


def test_an_instance_whose_context_is_not_accepted_fails_alone(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE, Given("1.2.9", sop_class=UNKNOWN_SOP_CLASS))
    assert isinstance(site.export(job_id), Failed)
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.3"]
    assert (ended(site, job_id).delivered, ended(site, job_id).failed) == (3, 1)


def test_a_destination_that_accepts_no_context_at_all_fails_all_instances(
    exporting: Callable[..., Site],
) -> None:
    def script(peer: Connection) -> None:
        peer.accept(refused=(UNKNOWN_SOP_CLASS,))
        peer.release()

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port))
        job_id = site.exporting(Given("1.2.9", sop_class=UNKNOWN_SOP_CLASS))
        assert isinstance(site.export(job_id), Failed)
    assert ended(site, job_id).failed == 1


# Destinations that fail


def test_a_destination_that_is_down_is_tried_again(exporting: Callable[..., Site]) -> None:
    site = exporting({"retry_first": "4s"}, PACS=at(free_port("127.0.0.1")))
    job_id = site.exporting(*THREE)
    delays = [troubled(site.export(job_id)).delay for _ in range(3)]
    assert all(delay <= bound for delay, bound in zip(delays, (4, 8, 16), strict=True))
    assert progress(site, job_id).state is DestinationState.RETRYING
    assert "no connection" in progress(site, job_id).reason


@pytest.mark.parametrize(("result", "at_most"), [(1, 100.0), (2, 4.0)])
def test_a_rejection_for_good_is_waited_out_longest(
    exporting: Callable[..., Site], result: int, at_most: float
) -> None:
    with RawScp(lambda peer: peer.reject(result, 1, 1)) as scp:
        site = exporting({"retry_first": "4s", "retry_longest": "100s"}, PACS=at(scp.port))
        job_id = site.exporting(*THREE)
        delay = troubled(site.export(job_id)).delay
        assert delay == at_most if result == 1 else delay <= at_most
    assert "rejected" in progress(site, job_id).reason


def test_a_destination_that_is_silent_holds_its_place_no_longer_than_the_timeout(
    exporting: Callable[..., Site],
) -> None:
    with RawScp(lambda peer: peer.be_silent()) as scp:
        site = exporting({"association_timeout": "300ms"}, PACS=at(scp.port))
        job_id = site.exporting(*THREE)
        begun = time.monotonic()
        troubled(site.export(job_id))
        assert time.monotonic() - begun < 3


def four_days_pass(site: Site, job_id: str) -> None:
    """Since the first try, which the log has kept."""
    path = site.folder(job_id).path / "sent-PACS.log"
    first, rest = path.read_text().split("\n", 1)
    began, words = first.split(" ", 1)
    path.write_text(f"{float(began) - 4 * 86400:.3f} {words}\n{rest}")


def test_what_fails_for_too_long_is_given_up_and_what_is_owed_counts_as_failed(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_2=0xA700)
    troubled(site.export(job_id))
    four_days_pass(site, job_id)
    assert site.export(job_id) == Failed("PACS: given up: status A700 (out of resources)")
    assert ended(site, job_id) == DestinationEnd(
        state=DestinationState.FAILED,
        delivered=1,
        failed=2,
        reason="given up: status A700 (out of resources)",
    )
    assert state(site, job_id) is JobState.FAILED
    assert find_job(site.redis, job_id).reason == "PACS: given up: status A700 (out of resources)"


def test_what_was_given_up_is_not_sent_again(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    answering(pacs, _1_2_1=0xA700)
    with site.lease(site.start(export_step(site.folder(job_id).read(), "PACS"))) as lease:
        troubled(export(site.context, lease))
        four_days_pass(site, job_id)
        assert isinstance(export(site.context, lease), Failed)
        pacs.forget()
        assert export(site.context, lease) == Done()
    assert pacs.associations == []
    assert state(site, job_id) is JobState.FAILED


def test_a_destination_that_left_the_settings_fails_the_export_with_that_reason(
    site: Site, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    site.folder(job_id).update(lambda job: job.model_copy(update={"export_to": ("GONE",)}))
    reason = "no destination is named 'GONE' any more"
    assert site.export(job_id, "GONE") == Failed(f"GONE: {reason}")
    assert ended(site, job_id, "GONE").reason == reason
    assert find_job(site.redis, job_id).reason == f"GONE: {reason}"


def test_a_destination_that_is_new_in_the_settings_is_found_there(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    site.folder(job_id).update(lambda job: job.model_copy(update={"export_to": ("NEW",)}))
    site.configure(destinations={"NEW": pacs.section})
    assert site.export(job_id, "NEW") == Done()
    assert len(pacs.received) == 3


# Never doubled


def test_beside_another_sender_it_waits_and_that_is_no_attempt(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    other = SentLog.try_open(site.folder(job_id).path / "sent-PACS.log")
    assert other is not None
    with other:
        outcome = site.export(job_id)
    assert isinstance(outcome, TryAgain)
    assert not outcome.counted
    assert not outcome.trouble
    assert pacs.associations == []


def test_an_export_that_is_through_is_not_sent_again(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    with site.lease(site.start(export_step(site.folder(job_id).read(), "PACS"))) as lease:
        assert export(site.context, lease) == Done()
        assert export(site.context, lease) == Done()
    assert len(pacs.received) == 3


def test_a_stopping_worker_starts_no_further_instance(site: Site, pacs: Pacs) -> None:
    def stop(uid: str) -> int:
        site.context.stopping.set()
        return 0x0000

    job_id = site.exporting(*THREE)
    pacs.answer = stop
    with pytest.raises(StoppingError):
        site.export(job_id)
    assert pacs.uids == ["1.2.1"]
    # Released, so that a destination which drops what was aborted keeps what it said yes to.
    wait_for(lambda: pacs.released == 1)
    assert pacs.aborted == 0


def test_a_sender_that_is_cut_off_from_redis_starts_no_further_instance(
    exporting: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[object] = []

    def script(peer: Connection) -> None:
        peer.accept()
        peer.respond(peer.stored()[0], 0)
        ends.append(peer.event())
        peer.socket.sendall(peer.acceptor.release_response())

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port))
        job_id = site.exporting(*THREE)
        with site.lease(site.start(export_step(site.folder(job_id).read(), "PACS"))) as lease:
            answers = iter([None, None, LeaseLostError()])

            def check() -> None:
                if error := next(answers):
                    raise error

            monkeypatch.setattr(lease, "check_before_send", check)
            with pytest.raises(LeaseLostError):
                export(site.context, lease)
    assert ends == [ReleaseRequested()]


def test_destinations_that_end_at_once_all_keep_their_end(
    exporting: Callable[..., Site], pacs: Pacs
) -> None:
    names = ["A", "B", "C", "D"]
    site = exporting(**dict.fromkeys(names, pacs.section))
    job_id = site.exporting(Given("1.2.1"))
    barrier = threading.Barrier(len(names))

    def meet(uid: str) -> int:
        barrier.wait(10)
        return 0x0000

    pacs.answer = meet
    steps = [export_step(site.folder(job_id).read(), name) for name in names]
    runs = [site.start(step) for step in steps]

    def send(run: Any) -> Outcome:
        with site.lease(run) as lease:
            return export(site.context, lease)

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(send, runs)) == [Done()] * len(names)
    for name in names:
        assert ended(site, job_id, name).state is DestinationState.DELIVERED
    assert state(site, job_id) is JobState.DONE


def test_a_destination_that_failed_does_not_keep_another_from_its_delivery(
    exporting: Callable[..., Site], pacs: Pacs
) -> None:
    site = exporting(PACS=pacs.section, DOWN=at(free_port("127.0.0.1")))
    job_id = site.exporting(*THREE)
    troubled(site.export(job_id, "DOWN"))
    assert site.export(job_id, "PACS") == Done()
    assert ended(site, job_id).delivered == 3
    assert state(site, job_id) is JobState.EXPORTING
    assert progress(site, job_id, "DOWN").state is DestinationState.RETRYING


@pytest.mark.parametrize(("confirm", "twice"), [("response", 1), ("release", 3)])
def test_killed_after_any_write_and_run_again_all_arrive_and_no_more_twice_than_is_owed(
    exporting: Callable[..., Site], pacs: Pacs, confirm: str, twice: int
) -> None:
    """By response, what was under way; by release, what came in the association that broke."""
    site = exporting(PACS=pacs.section | {"confirm": confirm})
    for kill in kills(least=10):
        site.empty()
        pacs.forget()
        job_id = site.exporting(*THREE)
        with site.lease(site.start(export_step(site.folder(job_id).read(), "PACS"))) as lease:
            with kill:
                export(site.context, lease)
            assert export(site.context, lease) == Done()
        assert set(pacs.uids) == {given.uid for given in THREE}
        assert len(pacs.uids) <= len(THREE) + twice
        assert ended(site, job_id).delivered == len(THREE)
        assert state(site, job_id) is JobState.DONE


def test_the_meta_of_what_is_sent_is_the_files_own(site: Site, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    site.export(job_id)
    files = sorted(site.folder(job_id).input.iterdir())
    assert [received[:3] for received in pacs.received] == [
        (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid)
        for meta in map(read_file_meta, files)
    ]
