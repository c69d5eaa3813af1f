"""Shorthand for what the tests of storage commitment do over and over."""

from shared.destination_state import DestinationState
from shared.job import DestinationEnd
from shared.job_files import read_job_files
from shared.registry.jobs import DestinationProgress
from shared.registry.views import find_job
from tests.support.waiting import wait_for
from tests.workers.site import Given, Site
from workers.commitment.hearing import Hearing
from workers.steps.outcome import Done, Failed, Outcome, TryAgain

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3"))
UIDS = [given.uid for given in THREE]
SOON = {"commitment_timeout": "100ms", "commitment_linger": "0s", "commitment_attempts": 2}
STATE = DestinationState


def asked(site: Site) -> str:
    """A job whose instances are all sent, and asked for; its destination has still to answer."""
    job_id = site.exporting(*THREE)
    asked_again_in(site.export(job_id))
    return job_id


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
