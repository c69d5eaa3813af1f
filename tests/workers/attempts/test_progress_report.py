from dataclasses import replace

from redis import Redis
from structlog.testing import capture_logs

from deploy.system import free_port
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.jobs import JobRecords
from shared.registry.views import find_job
from tests.workers.site import Given, Site
from workers.attempts.progress_report import report_progress


def test_while_a_job_runs_its_record_says_how_far_and_its_history_stays_short(site: Site) -> None:
    job_id = site.dispatched(Given("1.2.3"))
    site.context.records.move(job_id, JobState.RUNNING, "attempt 1 started")
    before = site.redis.xlen(keys.HISTORY + job_id)
    report_progress(site.context, job_id, 0.25)
    report_progress(site.context, job_id, 0.5)
    assert find_job(site.redis, job_id).progress == 0.5
    assert site.redis.xlen(keys.HISTORY + job_id) == before


def test_of_a_job_that_does_not_run_or_is_gone_nothing_is_said(site: Site) -> None:
    job_id = site.dispatched(Given("1.2.3"))
    report_progress(site.context, job_id, 0.5)
    assert find_job(site.redis, job_id).state is JobState.QUEUED
    site.context.records.remove(job_id)
    report_progress(site.context, job_id, 0.5)
    assert not site.redis.exists(keys.JOB + job_id)


def test_with_redis_away_the_run_goes_on(site: Site) -> None:
    nowhere: Redis = connect(f"redis://127.0.0.1:{free_port('127.0.0.1')}")
    context = replace(site.context, hasty_records=JobRecords(nowhere))
    with capture_logs() as lines:
        report_progress(context, "20260101T000000-000000000000", 0.5)
    assert [line["event"] for line in lines] == ["progress not told"]
