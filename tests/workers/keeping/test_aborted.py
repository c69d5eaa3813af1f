"""What was never released: seen, committed by hand, discarded."""

import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError

from shared.decision import (
    DecidedAlreadyError,
    RefusedError,
    UnknownDeliveryError,
    deciding,
    discard,
)
from shared.delivery import ABORTED_FILE, read_delivery
from tests.workers.faults import kills
from tests.workers.kept import aborted_delivery, names
from tests.workers.site import Site
from workers.keeping.aborted import commit, list_aborted, show_aborted
from workers.keeping.housekeeping import Housekeeping
from workers.steps.outcome import Done


def test_they_are_listed_with_why_by_whom_and_until_when(site: Site) -> None:
    old = aborted_delivery(site, age=timedelta(hours=3), end="died", reason="the receiver died")
    new = aborted_delivery(site, calling_ae_title="MR02")
    storage = site.context.settings.storage
    first, second = list_aborted(site.tree, storage)
    assert (first.id, second.id) == (old.name, new.name)
    assert first.delivery
    assert second.delivery
    assert (first.delivery.end, first.delivery.reason) == ("died", "the receiver died")
    assert second.delivery.calling_ae_title == "MR02"
    assert first.remove_at == first.delivery.ended + timedelta(hours=24)
    assert show_aborted(site.tree, storage, old.name[-12:]) == first


@pytest.mark.parametrize("text", [None, "{"])
def test_one_whose_record_is_damaged_is_listed_too(site: Site, text: str | None) -> None:
    folder = aborted_delivery(site)
    (folder / ABORTED_FILE).unlink()
    if text:
        (folder / ABORTED_FILE).write_text(text)
    (found,) = list_aborted(site.tree, site.context.settings.storage)
    assert (found.id, found.delivery, found.remove_at) == (folder.name, None, None)
    with pytest.raises(RefusedError, match="cannot be read"):
        commit(site.context, folder.name)
    assert names(site.tree.aborted) == [folder.name]
    discard(site.tree, site.tree.aborted, folder.name, 0)
    assert names(site.tree.aborted) == names(site.tree.trash) == []


def test_one_that_is_committed_goes_through_dispatch_like_any_other_and_is_marked(
    site: Site,
) -> None:
    folder = aborted_delivery(site)
    contents = {name: (folder / name).read_bytes() for name in ("1.2.3.dcm", "1.2.4.dcm")}
    done = commit(site.context, folder.name)
    assert (done.id, done.instances, done.left_out, done.announced) == (folder.name, 2, 0, True)
    assert site.steps() == {folder.name: "waiting"}
    assert site.dispatch(folder.name) == Done()
    (job,) = site.jobs()
    assert job.incomplete
    source = site.folder(job.id).input
    assert {path.name: path.read_bytes() for path in source.iterdir()} == contents
    delivery = read_delivery(site.tree.deliveries / folder.name)
    assert (delivery.end, delivery.reason) == ("aborted", "A-ABORT by the peer; committed by hand")


def test_what_is_not_whole_never_becomes_an_instance(site: Site) -> None:
    folder = aborted_delivery(site, end="died")
    (folder / "1.2.9.dcm").write_bytes(b"torn, and so not on record")
    with (folder / "1.2.4.dcm").open("r+b") as file:
        file.truncate(10)
    done = commit(site.context, folder.name)
    assert (done.instances, done.left_out) == (1, 2)
    site.dispatch(folder.name)
    (job,) = site.jobs()
    assert (names(site.folder(job.id).input), job.instances) == (["1.2.3.dcm"], 1)


def test_one_of_which_nothing_is_whole_is_refused(site: Site) -> None:
    folder = aborted_delivery(site)
    for path in folder.glob("*.dcm"):
        path.write_bytes(b"")
    with pytest.raises(RefusedError, match="none of its instances is whole"):
        commit(site.context, folder.name)
    assert names(site.tree.aborted) == [folder.name]


def test_committed_again_it_says_so_and_does_nothing(site: Site) -> None:
    folder = aborted_delivery(site)
    commit(site.context, folder.name)
    with pytest.raises(DecidedAlreadyError):
        commit(site.context, folder.name)
    site.dispatch(folder.name)
    with pytest.raises(DecidedAlreadyError):
        commit(site.context, folder.name)
    assert len(site.jobs()) == 1


@pytest.mark.parametrize(
    "wanted", ["", "20260101T000000-000000000000", "../quarantine", "2", ".", "lost+found"]
)
def test_what_is_not_one_of_them_is_not_found(site: Site, wanted: str) -> None:
    aborted_delivery(site)
    aborted_delivery(site)
    (site.tree.aborted / "lost+found").mkdir()
    for act in (
        lambda: commit(site.context, wanted),
        lambda: discard(site.tree, site.tree.aborted, wanted, 0),
    ):
        with pytest.raises(UnknownDeliveryError):
            act()
    assert len(names(site.tree.aborted)) == 3


def test_with_redis_away_it_is_committed_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ConnectionError

    folder = aborted_delivery(site)
    monkeypatch.setattr(site.context.line, "submit", away)
    assert not commit(site.context, folder.name).announced
    assert names(site.tree.committed) == [folder.name]


def test_killed_after_any_write_it_is_aborted_or_committed_and_can_be_committed_again(
    site: Site,
) -> None:
    for kill in kills(least=5):
        site.empty()
        folder = aborted_delivery(site)
        with kill:
            commit(site.context, folder.name)
        if names(site.tree.aborted):
            assert names(site.tree.committed) == []
            commit(site.context, folder.name)
        assert names(site.tree.committed) == [folder.name]
        site.dispatch(folder.name)
        assert [job.instances for job in site.jobs()] == [2]


def test_killed_after_any_write_of_a_discard_it_is_there_whole_or_gone(site: Site) -> None:
    for kill in kills(least=3):
        site.empty()
        folder = aborted_delivery(site)
        before = names(folder)
        with kill:
            discard(site.tree, site.tree.aborted, folder.name, 0)
        assert not folder.exists() or set(before) <= set(names(folder))
        Housekeeping(site.context).tick()
        assert names(site.tree.trash) == []


def test_while_one_person_decides_nobody_else_does(site: Site) -> None:
    folder = aborted_delivery(site, age=timedelta(days=9))
    with deciding(folder):
        with pytest.raises(RefusedError, match="somebody else"):
            commit(site.context, folder.name)
        with pytest.raises(RefusedError, match="somebody else"):
            discard(site.tree, site.tree.aborted, folder.name, 0)
        Housekeeping(site.context).tick()
        assert names(site.tree.aborted) == [folder.name]
    commit(site.context, folder.name)


def test_of_many_who_decide_at_once_one_is_heard(site: Site) -> None:
    folders = [aborted_delivery(site, age=timedelta(days=9)) for _ in range(30)]
    start = threading.Barrier(3)

    def each(act: Callable[[str], object]) -> None:
        start.wait()
        for folder in folders:
            with contextlib.suppress(UnknownDeliveryError, RefusedError, DecidedAlreadyError):
                act(folder.name)

    acts: tuple[Callable[[str], object], ...] = (
        lambda name: commit(site.context, name),
        lambda name: discard(site.tree, site.tree.aborted, name, 3600),
        lambda name: commit(site.context, name),
    )
    threads = [threading.Thread(target=each, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    Housekeeping(site.context).tick()
    for thread in threads:
        thread.join()
    Housekeeping(site.context).tick()
    assert names(site.tree.aborted) == []
    committed = names(site.tree.committed)
    assert set(committed) <= {folder.name for folder in folders}
    for name in committed:
        assert len(read_delivery(site.tree.committed / name).instances) == 2
    assert set(site.steps()) == set(committed)


def test_one_that_was_removed_meanwhile_is_said_to_be_gone(site: Site) -> None:
    folder = aborted_delivery(site)
    discard(site.tree, site.tree.aborted, folder.name, 0)
    with pytest.raises(RefusedError, match="not in aborted any more"), deciding(folder):
        pytest.fail("decided about nothing")
    assert not folder.exists()


def test_what_is_discarded_lies_in_the_trash_as_long_as_the_settings_say(site: Site) -> None:
    folder = aborted_delivery(site)
    discard(site.tree, site.tree.aborted, folder.name, 3600)
    (grave,) = site.tree.trash.iterdir()
    assert datetime.now(UTC).timestamp() - grave.stat().st_mtime < 60
    assert (grave / "1.2.3.dcm").exists()


def test_a_full_disk_keeps_nobody_from_discarding(site: Site, tmp_path: Path) -> None:
    """Nothing is written, and so nothing can fail for want of room."""
    folder = aborted_delivery(site)
    (folder / "association.json").write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with deciding(folder):
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
