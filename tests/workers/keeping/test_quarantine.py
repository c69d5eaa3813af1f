"""What could not be dispatched: seen, released, discarded."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from shared.announce import dispatch_step
from shared.decision import DecidedAlreadyError, RefusedError, UnknownDeliveryError, discard
from shared.delivery import DELIVERY_FILE, read_delivery
from shared.quarantine import QUARANTINE_FILE, Quarantined
from tests.workers.faults import kills
from tests.workers.kept import names, quarantined_delivery
from tests.workers.site import Given, Site
from workers.dispatching.plan import PLAN_FILE
from workers.keeping.housekeeping import Housekeeping
from workers.keeping.quarantine import list_quarantine, release, show_quarantined
from workers.steps.outcome import Done

SECTIONS: dict[str, Any] = {
    "ae_titles": [
        {"title": "BRAIN", "pipeline": "keep"},
        {"title": "HEART", "pipeline": "keep"},
    ]
}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(**SECTIONS)


def quarantined_by_dispatch(site: Site) -> str:
    """For an AE title that is not in the settings."""
    delivery_id = site.commit(Given("1.2.3"), ae_title="GONE")
    assert site.dispatch(delivery_id) == Done()
    assert names(site.tree.quarantine) == [delivery_id]
    return delivery_id


def test_they_are_listed_with_the_reason_that_stands_in_them(site: Site) -> None:
    folder = quarantined_delivery(site)
    when = datetime(2026, 11, 20, tzinfo=UTC)
    Quarantined(reason="tried too often", when=when).write(folder / QUARANTINE_FILE)
    (found,) = list_quarantine(site.tree, site.context.settings)
    assert (found.id, found.reason, found.since) == (folder.name, "tried too often", when)
    assert (found.objection, found.remove_at) == ("", None)


def test_the_reason_is_derived_where_none_was_written_down(site: Site) -> None:
    delivery_id = quarantined_by_dispatch(site)
    (site.tree.quarantine / delivery_id / QUARANTINE_FILE).unlink(missing_ok=True)
    found = show_quarantined(site.tree, site.context.settings, delivery_id)
    assert found.reason == found.objection == "the AE title 'GONE' is not in the settings"


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_a_damaged_one_is_listed_and_not_released(site: Site, text: str | None) -> None:
    folder = quarantined_delivery(site)
    (folder / DELIVERY_FILE).unlink()
    if text:
        (folder / DELIVERY_FILE).write_text(text)
    (found,) = list_quarantine(site.tree, site.context.settings)
    assert found.delivery is None
    assert "delivery.json cannot be read" in found.reason
    with pytest.raises(RefusedError, match=r"delivery\.json cannot be read"):
        release(site.context, folder.name)
    assert names(site.tree.quarantine) == [folder.name]


def test_while_its_ae_title_is_unknown_it_is_not_released(site: Site) -> None:
    delivery_id = quarantined_by_dispatch(site)
    with pytest.raises(RefusedError, match="'GONE' is not in the settings"):
        release(site.context, delivery_id)
    with pytest.raises(RefusedError, match="'NOR THIS' is not in the settings"):
        release(site.context, delivery_id, "NOR THIS")
    assert names(site.tree.quarantine) == [delivery_id]


def test_once_its_ae_title_is_known_it_is_dispatched_though_its_step_had_ended(site: Site) -> None:
    delivery_id = quarantined_by_dispatch(site)
    assert site.steps() == {delivery_id: "done"}
    site.configure(ae_titles=[{"title": "GONE", "pipeline": "keep"}])
    site.context.live.reread()
    released = release(site.context, delivery_id)
    assert (released.ae_title, released.instances, released.announced) == ("GONE", 1, True)
    assert site.steps() == {delivery_id: "waiting"}
    assert site.dispatch(delivery_id) == Done()
    assert [(job.ae_title, job.delivery) for job in site.jobs()] == [("GONE", delivery_id)]
    assert names(site.tree.quarantine) == []


def test_a_worker_with_the_settings_of_before_reads_them_again(
    make_site: Callable[..., Site], site: Site
) -> None:
    delivery_id = quarantined_by_dispatch(site)
    person = make_site(ae_titles=[{"title": "GONE", "pipeline": "keep"}])
    release(person.context, delivery_id)
    assert site.dispatch(delivery_id) == Done()
    assert [job.ae_title for job in site.jobs()] == ["GONE"]


def test_it_can_be_released_for_another_ae_title(site: Site) -> None:
    delivery_id = quarantined_by_dispatch(site)
    assert release(site.context, delivery_id, "HEART").ae_title == "HEART"
    site.dispatch(delivery_id)
    assert [job.ae_title for job in site.jobs()] == ["HEART"]
    assert read_delivery(site.tree.deliveries / delivery_id).called_ae_title == "BRAIN"


def test_with_a_file_missing_it_is_not_released(site: Site) -> None:
    folder = quarantined_delivery(site)
    (folder / "1.2.4.dcm").unlink()
    with pytest.raises(RefusedError, match="1 of its 2 files are missing or not whole"):
        release(site.context, folder.name)


def test_one_that_was_planned_before_keeps_its_jobs(site: Site) -> None:
    delivery_id = site.dispatched(Given("1.2.3"))
    delivery = site.folder(delivery_id).read().delivery
    folder = (site.tree.deliveries / delivery).rename(site.tree.quarantine / delivery)
    with pytest.raises(RefusedError, match="it was dispatched before for 'BRAIN'"):
        release(site.context, delivery, "HEART")
    plan = (folder / PLAN_FILE).read_bytes()
    (folder / PLAN_FILE).write_text("{")
    with pytest.raises(RefusedError, match=r"plan\.json cannot be read"):
        release(site.context, delivery)
    (folder / PLAN_FILE).write_bytes(plan)
    release(site.context, delivery)
    site.dispatch(delivery)
    assert [job.id for job in site.jobs()] == [delivery_id]


def test_released_again_it_says_so_and_does_nothing(site: Site) -> None:
    folder = quarantined_delivery(site)
    release(site.context, folder.name)
    with pytest.raises(DecidedAlreadyError):
        release(site.context, folder.name)
    site.dispatch(folder.name)
    with pytest.raises(DecidedAlreadyError):
        release(site.context, folder.name)
    assert len(site.jobs()) == 1
    with pytest.raises(UnknownDeliveryError):
        discard(site.tree, site.tree.quarantine, folder.name, 0)


def test_while_a_worker_is_at_it_nothing_is_done(site: Site) -> None:
    folder = quarantined_delivery(site)
    site.start(dispatch_step(folder.name, "normal"))
    with pytest.raises(RefusedError, match="a worker is at it"):
        release(site.context, folder.name)
    assert names(site.tree.quarantine) == [folder.name]


def test_with_redis_away_nothing_is_changed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ConnectionError

    folder = quarantined_delivery(site)
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    monkeypatch.setattr(site.context.gate, "forget", away)
    with pytest.raises(ConnectionError):
        release(site.context, folder.name)
    assert {path: path.read_bytes() for path in before} == before
    assert names(site.tree.committed) == []


def test_killed_after_any_write_it_is_in_one_place_and_can_be_released_again(site: Site) -> None:
    for kill in kills(least=6):
        site.empty()
        delivery_id = quarantined_by_dispatch(site)
        with kill:
            release(site.context, delivery_id, "HEART")
        if names(site.tree.quarantine):
            assert names(site.tree.committed) == []
            release(site.context, delivery_id, "HEART")
        assert names(site.tree.committed) == [delivery_id]
        site.dispatch(delivery_id)
        assert [job.ae_title for job in site.jobs()] == ["HEART"]


def test_it_is_kept_for_ever_unless_the_settings_say_how_long(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(**SECTIONS)
    long_ago = datetime.now(UTC) - timedelta(days=999)
    old, unsaid = (quarantined_delivery(site, age=timedelta(days=1000)) for _ in range(2))
    Quarantined(reason="x", when=long_ago).write(old / QUARANTINE_FILE)
    young = quarantined_delivery(site, age=timedelta(days=1000))
    Quarantined(reason="x", when=datetime.now(UTC)).write(young / QUARANTINE_FILE)
    Housekeeping(site.context).tick()
    assert len(names(site.tree.quarantine)) == 3

    site = make_site(storage={"quarantine_retention": "90d"}, **SECTIONS)
    Housekeeping(site.context).tick()
    assert set(names(site.tree.quarantine)) == {unsaid.name, young.name}
    assert names(site.tree.trash) == []
