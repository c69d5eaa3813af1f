"""Shorthand for what the tests of exports do over and over."""

from typing import Any

from shared.job import DestinationEnd
from shared.job_state import JobState
from shared.registry.jobs import DestinationProgress
from shared.registry.views import find_job
from tests.workers.pacs import Pacs
from tests.workers.site import Site
from workers.steps.outcome import Outcome, TryAgain


def at(port: int) -> dict[str, Any]:
    return {"ae_title": "PACS", "host": "127.0.0.1", "port": port}


def ended(site: Site, job_id: str, name: str = "PACS") -> DestinationEnd:
    """How the export ended, on disk; the record in Redis must say the same."""
    end = site.folder(job_id).read().destinations[name]
    assert progress(site, job_id, name) == DestinationProgress.ended(end)
    return end


def progress(site: Site, job_id: str, name: str = "PACS") -> DestinationProgress:
    return find_job(site.redis, job_id).destinations[name]


def state(site: Site, job_id: str) -> JobState:
    """On disk and in Redis alike."""
    job = site.folder(job_id).read()
    assert find_job(site.redis, job_id).state is job.state
    return job.state


def troubled(outcome: Outcome) -> TryAgain:
    """To be tried again, by a lane that is held to one place until then."""
    assert isinstance(outcome, TryAgain)
    assert outcome.counted
    assert outcome.trouble
    return outcome


def answering(pacs: Pacs, **statuses: int) -> None:
    """`_1_2_3=0xA700` answers 1.2.3 so, and success all others."""
    by_uid = {name[1:].replace("_", "."): status for name, status in statuses.items()}
    pacs.answer = lambda uid: by_uid.get(uid, 0x0000)
