"""Killed between the commit and telling the workers, or after it (R10): run once all the same."""

from pathlib import Path

from shared.job_state import JobState
from tests.support.destinations import Archive
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

WORKERS = ("exports", "pipelines")


def gateway_without_workers(folder: Path, archive: Archive) -> Gateway:
    return Gateway(
        folder,
        ("receiver",),
        ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
        pipelines={"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
        destinations={"ARCHIVE": archive.settings()},
    )


def deliver(gateway: Gateway) -> None:
    sent = gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
    assert sent.returncode == 0, sent.stderr


def check_run_once(gateway: Gateway, archive: Archive) -> None:
    for name in WORKERS:
        gateway.start(name)
    gateway.wait_for_job(JobState.DONE)
    assert len(archive.received) == 1
    assert list(gateway.tree.committed.iterdir()) == []


def test_a_receiver_killed_before_anybody_was_told_loses_nothing(tmp_path: Path) -> None:
    with Archive() as archive, gateway_without_workers(tmp_path, archive) as gateway:
        gateway.kill_redis()  # so that there is nobody to be told
        deliver(gateway)
        gateway.kill("receiver")
        assert len(list(gateway.tree.committed.iterdir())) == 1
        gateway.server.start()
        check_run_once(gateway, archive)


def test_a_receiver_killed_after_it_has_told_doubles_nothing(tmp_path: Path) -> None:
    with Archive() as archive, gateway_without_workers(tmp_path, archive) as gateway:
        deliver(gateway)
        wait_for(lambda: gateway.redis.keys("*step*"))
        gateway.kill("receiver")
        check_run_once(gateway, archive)
