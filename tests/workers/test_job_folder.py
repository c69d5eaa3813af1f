import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.destination_state import DestinationState
from shared.job import STATE_FILE, DestinationEnd
from shared.job_folder import JobFolder
from shared.job_state import JobState
from tests.workers.site import Given, Site

MANY = tuple(Given(f"1.2.{number}") for number in range(20))


@pytest.fixture
def folder(site: Site) -> JobFolder:
    return site.folder(site.dispatched(*MANY))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_its_input_is_the_deliverys_instances_without_a_copy(site: Site, folder: JobFolder) -> None:
    delivery = site.tree.deliveries / folder.read().delivery
    assert names(folder.input) == sorted(f"{given.uid}.dcm" for given in MANY)
    for path in folder.input.iterdir():
        assert path.samefile(delivery / path.name)


def test_made_again_it_is_completed_and_what_is_done_stays(site: Site, folder: JobFolder) -> None:
    job = folder.read()
    delivery_folder = site.tree.deliveries / job.delivery
    (folder.input / "1.2.7.dcm").unlink()
    failed = folder.update(lambda job: job.model_copy(update={"failure": "no luck"}))
    folder.create(job, delivery_folder, [f"{given.uid}.dcm" for given in MANY])
    assert folder.read() == failed
    assert (folder.input / "1.2.7.dcm").exists()


def test_a_job_that_is_not_there_yet_cannot_be_read(site: Site) -> None:
    with pytest.raises(FileNotFoundError):
        site.folder("20260101T000000-000000000000").read()


def test_changes_at_once_are_all_kept(folder: JobFolder) -> None:
    def end(name: str) -> None:
        done = DestinationEnd(state=DestinationState.DELIVERED, delivered=1)
        folder.update(lambda job: job.with_destination(name, done))

    threads = [threading.Thread(target=end, args=(f"PACS-{n}",)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(folder.read().destinations) == {f"PACS-{n}" for n in range(20)}


def test_a_job_is_dated_when_it_is_finished_and_only_then(folder: JobFolder) -> None:
    before = datetime.now(UTC)
    assert folder.update(lambda job: job.model_copy(update={"size": 7})).ended is None
    ended = folder.update(lambda job: job.model_copy(update={"failure": "no luck"})).ended
    assert ended is not None
    assert before <= ended <= datetime.now(UTC)
    assert folder.update(lambda job: job.model_copy(update={"size": 8})).ended == ended
    assert folder.read().state is JobState.FAILED


def test_a_change_that_changes_nothing_writes_nothing(folder: JobFolder) -> None:
    before = (folder.path / STATE_FILE).stat().st_ino
    folder.update(lambda job: job)
    assert (folder.path / STATE_FILE).stat().st_ino == before


def test_each_attempt_has_folders_of_its_own(folder: JobFolder) -> None:
    assert folder.attempts() == 0
    first, second = folder.new_attempt(), folder.new_attempt()
    assert (first.number, second.number) == (1, 2)
    assert folder.attempts() == 2
    for attempt in (first, second):
        assert names(attempt.path) == ["output", "work"]
        assert attempt.output == folder.path / "attempts" / str(attempt.number) / "output"


def test_an_uncounted_attempt_is_kept_and_its_number_not_given_again(folder: JobFolder) -> None:
    folder.new_attempt()
    interrupted = folder.new_attempt()
    (interrupted.output / "half.dcm").write_text("half")
    folder.uncount(interrupted)
    assert folder.attempts() == 1
    assert folder.new_attempt().number == 3
    assert folder.attempts() == 2
    assert names(folder.path / "attempts") == ["1", "2.interrupted", "3"]
