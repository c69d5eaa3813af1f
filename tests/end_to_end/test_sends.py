"""How many sends run at once, and what becomes of those that fail."""

from pathlib import Path
from typing import Any

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry.workers import workers
from tests.support.destinations import HOST, Archive
from tests.support.gateway import Gateway
from tests.support.samples import data_set, sample_file
from tests.support.scu import Scu
from tests.support.waiting import wait_for


def _router(**destinations: dict[str, Any]) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
        "pipelines": {"route": {"kind": "forward", "export_to": list(destinations)}},
        "destinations": destinations,
    }


def test_the_third_of_three_slow_sends_waits_over_two_worker_processes(tmp_path: Path) -> None:
    with Archive(delay=1.0) as one, Archive(delay=1.0) as two, Archive(delay=1.0) as three:
        for archive in (one, two, three):
            archive.busy = [one, two, three]
        settings = _router(ONE=one.settings(), TWO=two.settings(), THREE=three.settings())
        parts = ("receiver", "exports", "exports-2", "pipelines")
        with Gateway(tmp_path, parts, **settings) as gateway:
            gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
            gateway.wait_for_job()
        assert [len(archive.received) for archive in (one, two, three)] == [1, 1, 1]
        assert max(archive.most_open for archive in (one, two, three)) == 2


def test_a_destination_that_is_down_does_not_delay_another(tmp_path: Path) -> None:
    with Archive() as archive:
        settings = _router(
            DOWN={"ae_title": "DOWN", "host": HOST, "port": 1}, ARCHIVE=archive.settings()
        )
        with Gateway(tmp_path, **settings) as gateway:
            for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm"):
                gateway.storescu(sample_file(name), called="ROUTER")

            def all_stand() -> bool:
                jobs = gateway.jobs(JobState.EXPORTING)
                arrived = [job.destinations["ARCHIVE"].state for job in jobs]
                tried = [job.destinations["DOWN"].state for job in jobs]
                return (
                    arrived == [DestinationState.DELIVERED] * 3
                    and DestinationState.RETRYING in tried
                )

            wait_for(all_stand, 30)
            assert len(archive.received) == 3
            reasons = [job.destinations["DOWN"].reason for job in gateway.jobs()]
            assert any("Connection refused" in reason for reason in reasons)


def test_a_destination_out_of_resources_is_asked_again_until_it_takes_it(tmp_path: Path) -> None:
    with (
        Archive(statuses=(0xA700, 0xA700)) as archive,
        Gateway(tmp_path, **_router(ARCHIVE=archive.settings())) as gateway,
    ):
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job()
        errors = [line.error for line in gateway.history(job)]
        assert len(archive.received) == 1
        assert errors.count("status A700 (out of resources)") == 2


def test_an_instance_refused_for_good_fails_the_job_and_the_rest_is_delivered(
    tmp_path: Path,
) -> None:
    with (
        Archive(statuses=(0xC000,)) as archive,
        Gateway(tmp_path, **_router(ARCHIVE=archive.settings())) as gateway,
    ):
        files = [sample_file(name) for name in ("CT_small.dcm", "MR_small.dcm")]
        gateway.storescu(*files, called="ROUTER")
        job = gateway.wait_for_job(JobState.FAILED)
        assert job.destinations["ARCHIVE"].delivered == 1
        assert job.destinations["ARCHIVE"].failed == 1
        assert gateway.penstock("jobs", "show", job.id).returncode == 1


def test_a_warning_counts_as_delivered(tmp_path: Path) -> None:
    with (
        Archive(statuses=(0xB000,)) as archive,
        Gateway(tmp_path, **_router(ARCHIVE=archive.settings())) as gateway,
    ):
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job()
        state = job.destinations["ARCHIVE"].state
        assert state is DestinationState.DELIVERED_WITH_WARNINGS


def test_a_rate_limit_of_a_destination_holds_over_two_workers(tmp_path: Path) -> None:
    per_second, instances = 10, 20
    with Archive() as archive:
        settings = _router(ARCHIVE=archive.settings() | {"rate_limit": f"{per_second}/s"})
        # One place in each worker, by what it finds when it starts; two in all, by what is newer.
        one_each = {"rate_limit": "1000/s", "max_concurrent_sends": 1}
        senders = ("sender", "sender-2")
        with Gateway(tmp_path, ("receiver", *senders), **settings, exporter=one_each) as gateway:
            for job in (1, 2):
                _deliver(gateway, [f"1.2.{job}.{number}" for number in range(instances)])
            wait_for(lambda: len(workers(gateway.redis)) == len(senders), 30)
            gateway.configure(**settings, exporter=one_each | {"max_concurrent_sends": 2})
            for part in ("dispatch", "pipelines"):
                gateway.start(part)
            jobs = gateway.wait_for_jobs(2, JobState.DONE, 60)
            lines = [line for job in jobs for line in gateway.history(job)]
            said = [line.who for line in lines if line.what.startswith("sending")]
            assert sorted(who.partition("@")[0] for who in said) == sorted(senders)
    assert archive.most_open == 2
    assert len(archive.started) == 2 * instances
    under_way = len(senders)  # each of them may have one that was let go before, and comes now
    for begin in archive.started:
        within = sum(begin <= at < begin + 1 for at in archive.started)
        assert within <= per_second + 1 + under_way
    assert archive.started[-1] - archive.started[0] < 2 * instances / per_second + 2


def _deliver(gateway: Gateway, uids: list[str]) -> None:
    with Scu((HOST, gateway.port)) as scu:
        scu.associate(called="ROUTER")
        for uid in uids:
            scu.store(uid, data_set(1000))
        scu.release()


def test_a_rate_limit_holds_over_all_sends_to_a_destination(tmp_path: Path) -> None:
    with Archive() as archive:
        settings = _router(ARCHIVE=archive.settings())
        settings["exporter"] = {"rate_limit": "4/s"}
        with Gateway(tmp_path, **settings) as gateway:
            names = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "rtplan.dcm", "test-SR.dcm")
            gateway.storescu(*map(sample_file, names), called="ROUTER")
            job = gateway.wait_for_job()
            lines = {line.what: line.at for line in gateway.history(job)}
            took = lines["ARCHIVE: delivered"] - lines["sending 5 instances to ARCHIVE"]
            assert took.total_seconds() >= 1.0  # four intervals of a quarter second
