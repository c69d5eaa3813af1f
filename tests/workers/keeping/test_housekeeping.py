import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from redis.exceptions import ConnectionError
from structlog.testing import capture_logs

from shared.delivery import ABORTED_FILE, ASSOCIATION_FILE, Association, Delivery
from shared.destination_state import DestinationState
from shared.ids import new_id
from shared.job import STATE_FILE, DestinationEnd, Job
from shared.job_steps import pipeline_step
from shared.locked_file import LockedFile
from shared.quarantine import read_quarantined
from shared.registry.views import UnknownJobError, find_job
from tests.support.file_systems import needs_tmpfs, tmpfs
from tests.support.records import association_fields
from tests.workers.faults import kills
from tests.workers.site import Given, Site, id_of, write_instance
from workers.dispatching.dispatched import DISPATCHED_FILE
from workers.keeping.housekeeping import Housekeeping
from workers.keeping.orphans import ALIVE_FILE

INSTANCE = Given("1.2.3")
DESTINATION = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(storage={"aborted_retention": "24h", "job_retention": "7d"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def keep_house(site: Site) -> None:
    Housekeeping(site.context).tick()


# Orphans


@pytest.fixture
def receiver(site: Site) -> Path:
    """The incoming folder of a receiver that is dead: nobody holds its lock."""
    folder = site.tree.incoming / "host-1"
    folder.mkdir()
    (folder / ALIVE_FILE).write_text("")
    return folder


@pytest.fixture
def living(receiver: Path) -> Iterator[None]:
    lock = LockedFile.try_lock(receiver / ALIVE_FILE)
    assert lock is not None
    with lock:
        yield


def open_association(receiver: Path, *instances: Given, record: bool = True) -> Path:
    folder = receiver / new_id()
    folder.mkdir()
    if record:
        known = association_fields(folder.name, receiver=receiver.name)
        Association(**known).write(folder / ASSOCIATION_FILE)
    for given in instances:
        write_instance(folder / f"{given.uid}.dcm", given)
    return folder


def aborted(site: Site, name: str) -> Delivery:
    text = (site.tree.aborted / name / ABORTED_FILE).read_bytes()
    return Delivery.model_validate_json(text)


def test_an_orphan_of_a_dead_receiver_moves_to_aborted_with_what_is_whole(
    site: Site, receiver: Path
) -> None:
    orphan = open_association(receiver, INSTANCE, Given("1.2.4"))
    (orphan / "1.2.5.dcm.part").write_bytes(b"half")
    (orphan / "1.2.6.dcm").write_bytes(b"torn by a power cut")
    size = (orphan / "1.2.3.dcm").stat().st_size
    with capture_logs() as lines:
        keep_house(site)
    record = aborted(site, orphan.name)
    assert [each.file for each in record.instances] == ["1.2.3.dcm", "1.2.4.dcm"]
    assert (record.instances[0].sop_instance_uid, record.instances[0].size) == ("1.2.3", size)
    assert (record.end, record.calling_ae_title) == ("died", "CT01")
    assert "1.2.5.dcm.part" not in names(site.tree.aborted / orphan.name)
    assert not receiver.exists()
    assert names(site.tree.trash) == names(site.tree.committed) == []
    assert (line := lines[0])["association"] == orphan.name, line


def test_what_a_living_receiver_has_is_left_alone(site: Site, receiver: Path, living: None) -> None:
    folder = open_association(receiver, INSTANCE)
    (folder / "1.2.5.dcm.part").write_bytes(b"half")
    before = names(folder)
    keep_house(site)
    assert names(folder) == before
    assert names(site.tree.aborted) == []


def test_a_receiver_that_is_starting_is_left_alone(site: Site) -> None:
    (site.tree.incoming / "host-2").mkdir()
    (site.tree.incoming / ".host-3").mkdir()
    (site.tree.incoming / ".host-3" / ALIVE_FILE).write_text("")
    keep_house(site)
    assert names(site.tree.incoming) == [".host-3", "host-2"]


@pytest.mark.parametrize("text", [None, "", "{"])
def test_an_association_without_a_whole_record_had_nothing_and_goes(
    site: Site, receiver: Path, text: str | None
) -> None:
    orphan = open_association(receiver, record=False)
    if text is not None:
        (orphan / ASSOCIATION_FILE).write_text(text)
    (orphan / "1.2.5.dcm.part").write_bytes(b"half")
    keep_house(site)
    assert not receiver.exists()
    assert names(site.tree.aborted) == names(site.tree.trash) == []


def test_an_orphan_with_instances_and_without_a_readable_record_waits_for_a_person(
    site: Site, receiver: Path
) -> None:
    orphan = open_association(receiver, INSTANCE)
    (orphan / ASSOCIATION_FILE).write_text("")
    keep_house(site)
    folder = site.tree.quarantine / orphan.name
    assert (folder / "1.2.3.dcm").exists()
    found = read_quarantined(folder)
    assert found
    assert "cannot be read" in found.reason


def test_an_orphan_of_a_commit_waits_for_a_person_who_is_told_why(
    site: Site, receiver: Path
) -> None:
    delivery_id = site.commit(INSTANCE)
    (site.tree.committed / delivery_id).rename(receiver / delivery_id)
    keep_house(site)
    found = read_quarantined(site.tree.quarantine / delivery_id)
    assert found
    assert "died while it committed" in found.reason
    assert names(site.tree.committed) == names(site.tree.aborted) == []


def test_killed_after_any_write_the_orphans_are_rescued_all_the_same(site: Site) -> None:
    for kill in kills(least=8):
        site.empty()
        receiver = site.tree.incoming / "host-1"
        receiver.mkdir()
        (receiver / ALIVE_FILE).write_text("")
        orphans = [open_association(receiver, INSTANCE) for _ in range(2)]
        with kill:
            keep_house(site)
        keep_house(site)
        for orphan in orphans:
            assert len(aborted(site, orphan.name).instances) == 1
        assert names(site.tree.incoming) == names(site.tree.trash) == []


# Aborted deliveries


def abort(site: Site, age: timedelta) -> Path:
    ended = datetime.now(UTC) - age
    delivery_id = site.commit(INSTANCE, id=id_of(age), end="aborted", ended=ended)
    folder = site.tree.aborted / delivery_id
    (site.tree.committed / delivery_id).rename(folder)
    (folder / "delivery.json").rename(folder / ABORTED_FILE)
    return folder


def test_an_aborted_delivery_is_kept_its_time_and_no_longer(site: Site) -> None:
    recent, old = abort(site, timedelta(hours=23)), abort(site, timedelta(hours=25))
    keep_house(site)
    assert names(site.tree.aborted) == [recent.name]
    assert names(recent) == ["1.2.3.dcm", ABORTED_FILE]
    assert not old.exists()
    assert names(site.tree.trash) == []


def test_with_no_retention_it_goes_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site(storage={"aborted_retention": "0s"})
    abort(site, timedelta())
    keep_house(site)
    assert names(site.tree.aborted) == []


def test_one_without_a_record_is_left_to_a_person(site: Site) -> None:
    old = abort(site, timedelta(days=99))
    (old / ABORTED_FILE).unlink()
    keep_house(site)
    assert old.exists()


# Finished jobs


def done(site: Site, age: timedelta, instance: Given = INSTANCE) -> Job:
    job_id = site.exporting(instance, id=id_of(age))
    ended = datetime.now(UTC) - age
    return site.folder(job_id).update(lambda job: job.model_copy(update={"ended": ended}))


def test_a_job_past_its_retention_goes_with_its_record_and_its_delivery(site: Site) -> None:
    old, recent = done(site, timedelta(days=8)), done(site, timedelta(days=6))
    keep_house(site)
    assert names(site.tree.jobs) == [recent.id]
    assert names(site.tree.deliveries) == [recent.delivery]
    assert names(site.tree.trash) == []
    with pytest.raises(UnknownJobError):
        find_job(site.redis, old.id)
    assert find_job(site.redis, recent.id)


def test_a_delivery_goes_with_the_last_of_its_jobs(make_site: Callable[..., Site]) -> None:
    site = make_site(
        ae_titles=[{"title": "BRAIN", "pipelines": ["one", "two"]}],
        pipelines={"one": {"kind": "forward"}, "two": {"kind": "forward"}},
    )
    delivery_id = site.commit(INSTANCE, id=id_of(timedelta(days=8)))
    site.dispatch(delivery_id)
    for count, job in enumerate(site.jobs(), start=1):
        assert names(site.tree.deliveries) == [delivery_id]
        site.run_pipeline(job.id)
        ended = datetime.now(UTC) - timedelta(days=8)
        change = {"ended": ended}
        site.folder(job.id).update(lambda job, change=change: job.model_copy(update=change))
        keep_house(site)
        assert len(names(site.tree.jobs)) == 2 - count
    assert names(site.tree.deliveries) == []


LONG_AGO = {"ended": datetime(2020, 1, 1, tzinfo=UTC)}
FAILED_END = DestinationEnd(state=DestinationState.FAILED, delivered=0, failed=1)


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"failure": "no luck"}, True),
        ({"export_to": ("PACS",), "destinations": {"PACS": FAILED_END}}, True),
        ({"export_to": ("PACS",)}, True),
        ({"result": None}, True),
        ({"cancelled": True}, False),
    ],
    ids=["failed", "not delivered", "exporting", "queued", "cancelled"],
)
def test_unless_told_otherwise_only_what_is_done_or_cancelled_goes(
    site: Site, change: dict[str, Any], stays: bool
) -> None:
    job = done(site, timedelta(days=8))
    site.folder(job.id).update(lambda job: job.model_copy(update=change | LONG_AGO))
    keep_house(site)
    assert names(site.tree.jobs) == ([job.id] if stays else [])
    assert names(site.tree.deliveries) == ([job.delivery] if stays else [])


FAILED, CANCELLED = {"failure": "no luck"}, {"cancelled": True}


@pytest.mark.parametrize(
    ("storage", "change", "stays"),
    [
        ({"failed_retention": "9d"}, FAILED, True),
        ({"failed_retention": "7d"}, FAILED, False),
        ({"failed_retention": "7d"}, {}, True),
        ({"cancelled_retention": "9d", "job_retention": "1d"}, CANCELLED, True),
        ({"cancelled_retention": "7d"}, CANCELLED, False),
        ({"cancelled_retention": "7d"}, {}, True),
        ({"job_retention": "7d"}, CANCELLED, False),
    ],
)
def test_each_state_has_a_retention_of_its_own(
    make_site: Callable[..., Site], storage: dict[str, str], change: dict[str, Any], stays: bool
) -> None:
    site = make_site(storage={"job_retention": "30d"} | storage)
    job = done(site, timedelta(days=8))
    site.folder(job.id).update(lambda job: job.model_copy(update=change))
    keep_house(site)
    assert names(site.tree.jobs) == ([job.id] if stays else [])
    assert names(site.tree.deliveries) == ([job.delivery] if stays else [])


def test_a_job_that_something_is_still_at_work_on_stays(site: Site) -> None:
    job = done(site, timedelta(days=8))
    for name in ("run.lock", "sent-PACS.log"):
        lock = LockedFile.try_lock(site.folder(job.id).path / name)
        assert lock is not None
        with lock:
            keep_house(site)
            assert names(site.tree.jobs) == [job.id]
    assert find_job(site.redis, job.id)
    keep_house(site)
    assert names(site.tree.jobs) == []


def test_a_job_stays_while_one_of_its_steps_is_under_way(site: Site) -> None:
    job = done(site, timedelta(days=8))
    site.gate.withdraw(job.id)
    site.gate.submit(pipeline_step(job))
    keep_house(site)
    assert names(site.tree.jobs) == [job.id]
    assert find_job(site.redis, job.id)


def test_a_job_stays_until_its_delivery_is_dispatched_whole(site: Site) -> None:
    job = done(site, timedelta(days=8))
    mark = site.tree.deliveries / job.delivery / DISPATCHED_FILE
    away = mark.rename(mark.with_suffix(".away"))
    keep_house(site)
    assert names(site.tree.jobs) == [job.id]
    away.rename(mark)
    keep_house(site)
    assert names(site.tree.jobs) == []


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_folder_without_a_readable_record_is_never_removed(site: Site, text: str | None) -> None:
    damaged, other = done(site, timedelta(days=8)), done(site, timedelta(days=8))
    state = site.folder(damaged.id).path / STATE_FILE
    state.unlink()
    if text is not None:
        state.write_text(text)
    keep_house(site)
    assert names(site.tree.jobs) == [damaged.id]
    assert names(site.tree.deliveries) == [damaged.delivery]
    assert not site.folder(other.id).path.exists()


def test_the_delivery_of_a_job_whose_mark_is_damaged_stays_with_it(site: Site) -> None:
    job = done(site, timedelta(days=8))
    (site.tree.deliveries / job.delivery / DISPATCHED_FILE).write_text("{")
    with capture_logs() as lines:
        keep_house(site)
    assert names(site.tree.jobs) == [job.id]
    assert [line["failures"] for line in lines] == [[(job.id, "ValidationError")]]


def test_what_is_removed_lies_in_the_trash_as_long_as_the_settings_say(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(storage={"trash_retention": "1h"})
    job = done(site, timedelta(days=8))
    keep_house(site)
    assert names(site.tree.jobs) == []
    graves = sorted(site.tree.trash.iterdir())
    assert [grave.name.rpartition("-")[0] for grave in graves] == [
        f"deliveries-{job.delivery}",
        f"jobs-{job.id}",
    ]
    assert (graves[1] / STATE_FILE).exists()
    for grave in graves:
        os.utime(grave, (0, 0))
    keep_house(site)
    assert names(site.tree.trash) == []


def test_between_two_looks_nothing_is_read(make_site: Callable[..., Site]) -> None:
    site = make_site(workers={"housekeeping": "1h"})
    keeper = Housekeeping(site.context)
    keeper.tick()
    job = done(site, timedelta(days=8))
    keeper.tick()
    assert names(site.tree.jobs) == [job.id]


def test_a_dispatch_told_of_again_does_not_bring_a_removed_job_back(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(
        ae_titles=[{"title": "BRAIN", "pipelines": ["one", "two"]}],
        pipelines={"one": {"kind": "forward"}, "two": {"kind": "forward"}},
    )
    delivery_id = site.commit(INSTANCE, id=id_of(timedelta(days=8)))
    site.dispatch(delivery_id)
    removed, stays = site.jobs()
    site.run_pipeline(removed.id)
    site.folder(removed.id).update(lambda job: job.model_copy(update=LONG_AGO))
    keep_house(site)
    site.redis.flushall()
    site.gate.open()
    site.dispatch(delivery_id)
    assert [job.id for job in site.jobs()] == [stays.id]


def fill(folder: Path) -> None:
    """Until its file system has no room left."""
    with contextlib.suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))


@needs_tmpfs
def test_a_full_disk_has_nothing_removed_that_is_not_past_its_time(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "data", "size=2m"):
        site = make_site(storage={"root": "data"})
        old, young = done(site, timedelta(days=8)), done(site, timedelta(days=6))
        failed, queued = done(site, timedelta(days=8)), site.dispatched(INSTANCE)
        site.folder(failed.id).update(lambda job: job.model_copy(update=FAILED))
        aborted, quarantined = abort(site, timedelta(hours=23)), site.commit(INSTANCE)
        (site.tree.committed / quarantined).rename(site.tree.quarantine / quarantined)
        committed = site.commit(INSTANCE, id=id_of(timedelta(days=99)))
        fill(tmp_path / "data")
        keep_house(site)
        assert names(site.tree.jobs) == sorted([young.id, failed.id, queued])
        assert old.delivery not in names(site.tree.deliveries)
        assert len(names(site.tree.deliveries)) == 3
        assert names(site.tree.aborted) == [aborted.name]
        assert names(site.tree.quarantine) == [quarantined]
        assert names(site.tree.committed) == [committed]
        assert names(site.tree.trash) == []


@needs_tmpfs
def test_an_orphan_that_the_full_disk_cannot_take_in_keeps_no_room_from_being_made(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "data", "size=2m"):
        site = make_site(storage={"root": "data"})
        job = done(site, timedelta(days=8))
        dead = site.tree.incoming / "host-1"
        dead.mkdir()
        (dead / ALIVE_FILE).write_text("")
        orphan = open_association(dead, INSTANCE)
        fill(tmp_path / "data")
        for _ in range(2):
            with contextlib.suppress(OSError):
                keep_house(site)
        assert not site.folder(job.id).path.exists()
        assert names(site.tree.aborted) == [orphan.name]


def test_while_redis_is_away_a_job_stays_to_go_whole_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> NoReturn:
        raise ConnectionError

    job = done(site, timedelta(days=8))
    with monkeypatch.context() as patch:
        patch.setattr(site.context.hasty_records, "remove", away)
        with pytest.raises(ConnectionError):
            keep_house(site)
    assert site.folder(job.id).read() == job
    keep_house(site)
    assert names(site.tree.jobs) == names(site.tree.deliveries) == []


def test_killed_after_any_write_nothing_half_removed_is_met_and_the_rest_goes_later(
    site: Site,
) -> None:
    for kill in kills(least=9):
        site.empty()
        job = done(site, timedelta(days=8))
        whole = contents(site.folder(job.id).path)
        with kill:
            keep_house(site)
        if site.folder(job.id).path.exists():
            assert contents(site.folder(job.id).path) == whole
        else:
            assert names(site.tree.deliveries) == []
        site.reconcile()
        assert site.steps().get(job.id) in ("done", "removing")
        keep_house(site)
        for folder in (site.tree.jobs, site.tree.deliveries, site.tree.trash):
            assert names(folder) == []
        with pytest.raises(UnknownJobError):
            find_job(site.redis, job.id)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# One at a time


def test_beside_another_housekeeper_nothing_is_done(site: Site) -> None:
    done(site, timedelta(days=8))
    abort(site, timedelta(days=8))
    before = [names(site.tree.jobs), names(site.tree.aborted)]
    lock = LockedFile.try_lock(site.tree.root / "housekeeping.lock")
    assert lock is not None
    with lock:
        keep_house(site)
        assert [names(site.tree.jobs), names(site.tree.aborted)] == before
    keep_house(site)
    assert [names(site.tree.jobs), names(site.tree.aborted)] == [[], []]


def test_what_a_killed_housekeeper_left_in_the_trash_goes(site: Site) -> None:
    grave = site.tree.trash / "jobs-20260101T000000-000000000000"
    (grave / "input").mkdir(parents=True)
    (grave / "input" / "1.2.3.dcm").write_text("x")
    keep_house(site)
    assert names(site.tree.trash) == []


def test_quarantine_and_what_is_committed_are_never_touched(site: Site) -> None:
    quarantined = site.commit(INSTANCE, ended=datetime(2020, 1, 1, tzinfo=UTC))
    folder = site.tree.quarantine / quarantined
    (site.tree.committed / quarantined).rename(folder)
    committed = site.commit(INSTANCE, ended=datetime(2020, 1, 1, tzinfo=UTC))
    keep_house(site)
    assert names(site.tree.quarantine) == [quarantined]
    assert names(site.tree.committed) == [committed]
