"""What a person does to exports, on a real storage and a real Redis, with the steps' own bodies."""

from collections.abc import Callable

import pytest

from shared.acts import WrongStateError
from shared.destination_state import DestinationState
from shared.export_acts import ExportActs
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.registry.exports import list_exports
from shared.registry.views import find_job, history
from tests.workers.faults import kills
from tests.workers.jobs_by_state import (
    THREE,
    both,
    done,
    export_failed,
    exporting,
    exporting_with_one_failed,
    lines,
    refuse,
)
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.exports.sent_log import SentLog
from workers.reconciling.reconciler import Reconciler
from workers.steps.outcome import Done, Failed


@pytest.fixture
def site(make_site: Callable[..., Site], pacs: Pacs) -> Site:
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS", "OTHER"]}},
        destinations=dict.fromkeys(("PACS", "OTHER", "SPARE"), pacs.section),
    )


@pytest.fixture
def acts(site: Site) -> ExportActs:
    return ExportActs(site.tree, site.gate, site.context.records, "me@here")


def waiting(site: Site) -> set[str]:
    return {step for step, state in site.steps().items() if state == "waiting"}


def test_a_retried_export_sends_what_was_not_delivered(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    assert acts.retry(job_id, "PACS").state is JobState.EXPORTING
    both(site, job_id)
    assert lines(site, job_id)[-1] == ("exporting", "retried: PACS")
    assert history(site.redis, job_id)[-1].who == "me@here"
    assert site.export(job_id, "PACS") == Done()
    assert pacs.uids == ["1.2.2"]
    assert both(site, job_id).state is JobState.DONE


def test_while_others_still_go_on_what_failed_can_be_retried_without_naming_it(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    refuse(site, pacs, job_id, "PACS")
    assert acts.retry(job_id).open_destinations == ("PACS", "OTHER")


def test_a_retry_of_one_destination_leaves_others_alone(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    for name in ("PACS", "OTHER"):
        refuse(site, pacs, job_id, name)
    other = site.folder(job_id).read().destinations["OTHER"]
    job = acts.retry(job_id, "PACS")
    assert job.open_destinations == ("PACS",)
    assert job.destinations == {"OTHER": other}
    assert site.steps()[f"{job_id}.OTHER"] == "failed"
    assert site.export(job_id, "PACS") == Done()
    assert both(site, job_id).state is JobState.FAILED  # as OTHER still is


def test_a_destination_may_be_retried_while_another_is_still_tried(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = exporting_with_one_failed(site, pacs)
    run = site.start(export_step(site.folder(job_id).read(), "OTHER"))
    acts.retry(job_id, "PACS")
    assert site.steps()[f"{job_id}.PACS"] == "waiting"
    assert site.gate.beat(run) == "go on"
    with pytest.raises(WrongStateError, match="has not ended"):
        acts.retry(job_id, "OTHER")


def test_a_job_is_done_when_what_failed_is_discarded(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    failed = both(site, job_id).ended
    job = acts.discard(job_id)
    assert job.state is both(site, job_id).state is JobState.DONE
    assert job.ended is not None
    assert failed is not None
    assert job.ended > failed
    progress = find_job(site.redis, job_id).destinations["PACS"]
    assert (progress.state, progress.delivered) == (DestinationState.DISCARDED, 2)
    assert progress.reason == "discarded by me@here"
    assert lines(site, job_id)[-1] == ("done", "discarded")
    assert list_exports(site.redis, states=[DestinationState.FAILED]) == []


def test_what_waits_can_be_discarded_by_its_name_and_is_not_sent(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = site.exporting(*THREE)
    assert acts.discard(job_id, "PACS").state is JobState.EXPORTING
    assert waiting(site) == {f"{job_id}.OTHER"}
    assert site.export(job_id, "OTHER") == Done()
    assert both(site, job_id).state is JobState.DONE
    assert len(pacs.uids) == 3


def test_one_that_is_being_sent_when_it_is_discarded_stays_so_unless_all_arrived(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    for status, state in ((0xC000, DestinationState.DISCARDED), (0, DestinationState.DELIVERED)):
        job_id = site.exporting(*THREE)

        def discard(uid: str, job_id: str = job_id, status: int = status) -> int:
            if uid == "1.2.1":
                acts.discard(job_id, "PACS")
            return status

        pacs.answer = discard
        site.export(job_id, "PACS")
        assert both(site, job_id).destinations["PACS"].state is state


def test_a_redirected_export_goes_whole_to_the_other(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    job = acts.redirect(job_id, "SPARE")
    assert job.state is JobState.EXPORTING
    assert job.destinations["PACS"].reason == "redirected to SPARE by me@here"
    assert waiting(site) == {f"{job_id}.SPARE"}
    view = find_job(site.redis, job_id)
    assert view.destinations["SPARE"].state is DestinationState.PENDING
    assert view.waits == {"SPARE": "waiting for a send place"}
    assert lines(site, job_id)[-1] == ("exporting", "redirected to SPARE")
    assert site.export(job_id, "SPARE") == Done()
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.3"]
    assert both(site, job_id).state is JobState.DONE


def test_where_it_was_delivered_already_nothing_is_sent_again(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    assert acts.redirect(job_id, "OTHER").state is JobState.DONE
    assert waiting(site) == set()


def test_one_that_was_discarded_may_be_redirected_to_later(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    acts.redirect(job_id, "SPARE")
    refuse(site, pacs, job_id, "SPARE")
    assert acts.redirect(job_id, "PACS").state is JobState.EXPORTING
    pacs.forget()
    assert site.export(job_id, "PACS") == Done()
    assert pacs.uids == ["1.2.2"]


def test_what_has_not_failed_cannot_be_acted_on(site: Site, acts: ExportActs, pacs: Pacs) -> None:
    job_id = site.exporting(*THREE)
    queued = site.dispatched(*THREE)
    with pytest.raises(WrongStateError, match="no export of it has failed"):
        acts.discard(job_id)
    with pytest.raises(WrongStateError, match="has not ended"):
        acts.retry(job_id, "PACS")
    with pytest.raises(WrongStateError, match="not exported to 'SPARE'"):
        acts.redirect(job_id, "OTHER", "SPARE")
    with pytest.raises(WrongStateError, match="where it went"):
        acts.redirect(job_id, "PACS", "PACS")
    with pytest.raises(WrongStateError, match="queued"):
        acts.discard(queued, "PACS")
    assert site.export(job_id, "PACS") == Done()
    with pytest.raises(WrongStateError, match="is delivered"):
        acts.discard(job_id, "PACS")


@pytest.mark.parametrize(
    ("make", "act", "words"),
    [
        (export_failed, "retry", ()),
        (export_failed, "discard", ()),
        (export_failed, "redirect", ("SPARE",)),
        (exporting, "discard", ("PACS",)),
        (exporting, "redirect", ("SPARE", "PACS")),
        (done, "export", ("PACS",)),
        (done, "export", ("SPARE",)),
    ],
)
def test_killed_after_any_write_the_reconciler_does_the_rest_or_nothing_was_done(
    site: Site, pacs: Pacs, make: Callable[[Site, Pacs], str], act: str, words: tuple[str, ...]
) -> None:
    for kill in kills(least=4):
        site.empty()
        pacs.forget()
        job_id = make(site, pacs)
        reconciler = Reconciler(site.context)
        reconciler.tick()  # which has seen the job as it was
        before = site.folder(job_id).read()
        acts = ExportActs(site.tree, site.gate, site.context.records, "me@here")
        with kill:
            getattr(acts, act)(job_id, *words)
        reconciler._looked = float("-inf")  # a period later
        reconciler.tick()
        if both(site, job_id) == before:
            getattr(acts, act)(job_id, *words)
        job = both(site, job_id)
        assert job != before
        assert set(find_job(site.redis, job_id).destinations) == set(job.export_to)
        assert waiting(site) >= {f"{job_id}.{name}" for name in job.open_destinations}
        for name in job.open_destinations:
            assert site.export(job_id, name) == Done()
        assert both(site, job_id).state is JobState.DONE


def test_a_record_made_anew_knows_what_was_redirected(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = export_failed(site, pacs)
    acts.redirect(job_id, "SPARE")
    site.redis.flushall()
    site.gate.open()
    site.reconcile()
    states = {name: each.state for name, each in find_job(site.redis, job_id).destinations.items()}
    assert states == {
        "PACS": DestinationState.DISCARDED,
        "OTHER": DestinationState.DELIVERED,
        "SPARE": DestinationState.PENDING,
    }


def test_failed_exports_are_listed_the_newest_jobs_first_a_page_at_a_time(
    site: Site, pacs: Pacs
) -> None:
    pacs.answer = lambda uid: 0xC000
    jobs = [site.exporting(Given("1.2.1")) for _ in range(5)]
    for job_id in jobs:
        for name in ("PACS", "OTHER") if job_id != jobs[2] else ("OTHER",):
            assert isinstance(site.export(job_id, name), Failed)
    newest = list(reversed(jobs))
    failed = [DestinationState.FAILED]
    found = list_exports(site.redis, states=failed)
    assert [(each.job, each.destination) for each in found] == [
        (job_id, name)
        for job_id in newest
        for name in ("OTHER", "PACS")
        if (job_id, name) != (jobs[2], "PACS")
    ]
    assert "C000" in found[0].progress.reason
    page = list_exports(site.redis, states=failed, limit=2)
    assert {each.job for each in page} == set(newest[:2])
    last = find_job(site.redis, page[-1].job)
    page = list_exports(site.redis, states=failed, before=last, limit=2)
    assert {each.job for each in page} == set(newest[2:4])
    (pending,) = list_exports(site.redis, states=[DestinationState.PENDING])
    assert (pending.job, pending.waits) == (jobs[2], "waiting for a send place")
    assert len(list_exports(site.redis, destination="PACS")) == 5


# Exports to where a person says


@pytest.mark.parametrize("destination", ["SPARE", "PACS"])
def test_a_done_job_is_exported_whole_to_where_a_person_says(
    site: Site, acts: ExportActs, pacs: Pacs, destination: str
) -> None:
    job_id = done(site, pacs)
    pacs.forget()
    assert acts.export(job_id, destination).state is JobState.EXPORTING
    both(site, job_id)
    progress = find_job(site.redis, job_id).destinations[destination]
    assert progress.state is DestinationState.PENDING
    assert lines(site, job_id)[-1] == ("exporting", f"to be exported to {destination}")
    assert history(site.redis, job_id)[-1].who == "me@here"
    assert site.export(job_id, destination) == Done()
    assert pacs.uids == ["1.2.1", "1.2.2", "1.2.3"]
    job = both(site, job_id)
    assert (job.state, job.destinations[destination].delivered) == (JobState.DONE, 3)


def test_killed_as_it_is_to_be_exported_once_more_it_owes_all_or_what_it_owed(
    site: Site, pacs: Pacs
) -> None:
    for kill in kills(least=4):
        site.empty()
        job_id = export_failed(site, pacs)
        reconciler = Reconciler(site.context)
        reconciler.tick()  # which has seen the job as it was
        acts = ExportActs(site.tree, site.gate, site.context.records, "me@here")
        with kill:
            acts.export(job_id, "PACS")
        owed = ["1.2.1", "1.2.2", "1.2.3"]
        if site.folder(job_id).read().state is JobState.FAILED:
            acts.retry(job_id, "PACS")
            owed = ["1.2.2"]
        reconciler._looked = float("-inf")  # a period later
        reconciler.tick()
        assert site.export(job_id) == Done()
        assert pacs.uids == owed
        pacs.forget()


def test_an_export_is_not_begun_again_while_its_sender_is_still_stopping(
    site: Site, acts: ExportActs
) -> None:
    job_id = site.exporting(*THREE)
    acts.discard(job_id, "PACS")
    folder = site.folder(job_id)
    sender = SentLog.of(folder, folder.read(), "PACS")
    assert sender is not None
    with sender, pytest.raises(WrongStateError, match="still at it"):
        acts.export(job_id, "PACS")
    assert acts.export(job_id, "PACS").open_destinations == ("PACS", "OTHER")


def test_an_export_that_is_under_way_is_not_begun_again(site: Site, acts: ExportActs) -> None:
    job_id = site.exporting(*THREE)
    with pytest.raises(WrongStateError, match="under way"):
        acts.export(job_id, "PACS")


@pytest.mark.parametrize("act", ["hold", "cancel"])
def test_of_a_job_that_was_stopped_nothing_is_exported_or_retried(
    site: Site, acts: ExportActs, pacs: Pacs, act: str
) -> None:
    job_id = exporting_with_one_failed(site, pacs)
    job = getattr(site.acts, act)(job_id)
    with pytest.raises(WrongStateError, match=job.state):
        acts.export(job_id, "SPARE")
    for destination in (None, "PACS"):
        with pytest.raises(WrongStateError, match=job.state):
            acts.retry(job_id, destination)
    assert both(site, job_id) == job


def test_a_job_without_a_result_is_not_exported(site: Site, acts: ExportActs) -> None:
    with pytest.raises(WrongStateError, match="no result"):
        acts.export(site.dispatched(*THREE), "OTHER")


def test_a_job_that_is_held_stays_so_when_an_export_of_it_is_redirected(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = exporting_with_one_failed(site, pacs)
    acts.redirect(job_id, "SPARE")
    acts.discard(job_id, "SPARE")
    site.acts.hold(job_id)
    assert acts.redirect(job_id, "SPARE", "OTHER").state is JobState.HELD
    assert both(site, job_id).open_destinations == ("SPARE",)


def test_a_hold_that_came_too_late_stops_no_further_export(
    site: Site, acts: ExportActs, pacs: Pacs
) -> None:
    job_id = done(site, pacs)
    site.folder(job_id).update(lambda job: job.model_copy(update={"held": True}))
    assert acts.export(job_id, "SPARE").state is JobState.EXPORTING
