"""`penstock export` with real workers."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry.views import find_job
from tests.support.destinations import Archive
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

FILES = [sample_file(name) for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")]


def settings(**destinations: dict[str, Any]) -> dict[str, Any]:
    """An AE title whose pipeline exports to nowhere."""
    return {
        "ae_titles": [{"title": "KEEP", "pipeline": "keep"}],
        "pipelines": {"keep": {"kind": "forward"}},
        "destinations": destinations,
    }


def test_a_jobs_result_goes_to_a_further_destination_and_once_more(tmp_path: Path) -> None:
    with Archive() as archive, Gateway(tmp_path, **settings(PACS=archive.settings())) as gateway:
        gateway.storescu(*FILES, called="KEEP")
        job = gateway.wait_for_job()
        for times in (1, 2):
            exported = gateway.penstock("export", job.id, "--to", "PACS")
            assert exported.returncode == 0, exported.stderr
            assert exported.stdout == "PACS: 3 instances delivered\n"
            assert len(archive.received) == 3 * times
            assert gateway.wait_for_job().destinations["PACS"].delivered == 3
        assert set(Counter(archive.received).values()) == {2}


def test_an_export_that_is_refused_for_good_fails(tmp_path: Path) -> None:
    with (
        Archive(statuses=(0xC000,)) as archive,
        Gateway(tmp_path, **settings(PACS=archive.settings())) as gateway,
    ):
        gateway.storescu(*FILES, called="KEEP")
        job = gateway.wait_for_job()
        exported = gateway.penstock("export", job.id[-6:], "--to", "PACS")
        assert exported.returncode == 1
        assert "1 of 3 instances" in exported.stderr
        gateway.wait_for_job(JobState.FAILED)


def test_one_may_go_before_it_is_there(tmp_path: Path) -> None:
    with Archive() as archive, Gateway(tmp_path, **settings(PACS=archive.settings())) as gateway:
        gateway.storescu(*FILES, called="KEEP")
        job = gateway.wait_for_job()
        assert gateway.penstock("export", job.id, "--to", "PACS", "--no-wait").returncode == 0

        def delivered() -> bool:
            found = find_job(gateway.redis, job.id).destinations["PACS"]
            return found.state is DestinationState.DELIVERED

        wait_for(delivered, 30)


@pytest.mark.parametrize(
    ("to", "code", "why"), [("NOWHERE", 2, "no destination is named"), ("PACS", 1, "no such job")]
)
def test_what_is_not_there_is_not_exported(tmp_path: Path, to: str, code: int, why: str) -> None:
    pacs = {"ae_title": "PACS", "host": "127.0.0.1", "port": 1}
    with Gateway(tmp_path, (), **settings(PACS=pacs)) as gateway:
        exported = gateway.penstock("export", "20261122T104907-3f9c2a41d07e", "--to", to)
    assert exported.returncode == code
    assert why in exported.stderr
