"""Jobs that have come as far as a test wants them, at a site with PACS and OTHER."""

from shared.job import Job
from shared.job_state import JobState
from shared.job_steps import pipeline_step
from shared.registry.views import find_job, history
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.steps.outcome import Done, Failed

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3"))
REFUSED, TAKEN = 0xC000, 0x0000


def queued(site: Site, pacs: Pacs) -> str:
    return site.dispatched(*THREE)


def running(site: Site, pacs: Pacs) -> str:
    job_id = queued(site, pacs)
    site.start(pipeline_step(site.folder(job_id).read()))
    site.context.records.move(job_id, JobState.RUNNING, "attempt 1 started", attempt=1)
    return job_id


def exporting(site: Site, pacs: Pacs) -> str:
    return site.exporting(*THREE)


def exporting_with_one_failed(site: Site, pacs: Pacs) -> str:
    job_id = site.exporting(*THREE)
    refuse(site, pacs, job_id, "PACS")
    return job_id


def export_failed(site: Site, pacs: Pacs) -> str:
    job_id = site.exporting(*THREE)
    refuse(site, pacs, job_id, "PACS")
    assert site.export(job_id, "OTHER") == Done()
    pacs.forget()
    return job_id


def pipeline_failed(site: Site, pacs: Pacs) -> str:
    delivery_id = site.commit(*THREE, ae_title="BAD")
    site.dispatch(delivery_id)
    (job_id,) = (job.id for job in site.jobs() if job.delivery == delivery_id)
    while not isinstance(site.run_pipeline(job_id), Failed):
        pass
    return job_id


def done(site: Site, pacs: Pacs) -> str:
    job_id = site.exporting(*THREE)
    for name in ("PACS", "OTHER"):
        assert site.export(job_id, name) == Done()
    return job_id


def held(site: Site, pacs: Pacs) -> str:
    job_id = queued(site, pacs)
    site.acts.hold(job_id)
    return job_id


def cancelled(site: Site, pacs: Pacs) -> str:
    job_id = queued(site, pacs)
    site.acts.cancel(job_id)
    return job_id


def refuse(site: Site, pacs: Pacs, job_id: str, name: str) -> None:
    """The second instance is refused for good."""
    pacs.answer = lambda uid: REFUSED if uid == "1.2.2" else TAKEN
    assert isinstance(site.export(job_id, name), Failed)
    pacs.answer = lambda uid: TAKEN


def both(site: Site, job_id: str) -> Job:
    """The job as the disk has it; its record must say the same."""
    job = site.folder(job_id).read()
    assert find_job(site.redis, job_id).state is job.state
    return job


def lines(site: Site, job_id: str) -> list[tuple[str, str]]:
    return [(line.state, line.what) for line in history(site.redis, job_id)]
