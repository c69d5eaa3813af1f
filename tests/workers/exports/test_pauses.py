from collections.abc import Callable
from pathlib import Path

import pytest

from shared.job_steps import export_step
from shared.pauses import Pauses
from shared.registry.destinations import destination_healths
from shared.registry.step import Queue
from tests.workers.faults import kills
from tests.workers.pacs import Pacs
from tests.workers.site import Given, Site
from workers.steps.places import Places


@pytest.fixture
def site(exporting: Callable[..., Site], pacs: Pacs) -> Site:
    return exporting(PACS=pacs.section, OTHER=pacs.section)


def granted(site: Site) -> list[str]:
    site.gate.announce_places("tests", {Queue.EXPORT: 10})
    return sorted(grant.step_id.partition(".")[2] for grant in site.gate.grant(Queue.EXPORT))


def paused(site: Site) -> bool:
    return destination_healths(site.redis, ["PACS"])["PACS"].paused


def test_nothing_goes_to_a_paused_destination_until_it_is_resumed(site: Site) -> None:
    pauses = Pauses(site.tree, site.gate)
    pauses.set("PACS", True, "me@here")
    site.exporting(Given("1.2.1"))
    assert granted(site) == ["OTHER"]
    pauses.set("PACS", False, "me@here")
    assert granted(site) == ["PACS"]


def test_a_worker_tells_an_emptied_redis_before_it_lets_anything_begin(site: Site) -> None:
    Pauses(site.tree, site.gate).set("PACS", True, "me@here")
    job_id = site.exporting(Given("1.2.1"))
    site.redis.flushall()
    site.gate.submit(export_step(site.folder(job_id).read(), "PACS"))
    places = Places(site.context, {Queue.EXPORT: 2})
    places.tick()  # which opens the gate, as nothing runs
    assert paused(site)
    assert granted(site) == []


def test_a_pause_that_was_killed_on_its_way_is_carried_out_or_was_not_made(site: Site) -> None:
    for kill in kills(least=3):
        site.empty()
        pauses = Pauses(site.tree, site.gate)
        with kill:
            pauses.set("PACS", True, "me@here")
        Pauses(site.tree, site.gate).tell()
        assert paused(site) == (site.tree.paused / "PACS.json").exists()


def test_the_last_word_counts_though_an_older_one_is_told_late(site: Site) -> None:
    pauses = Pauses(site.tree, site.gate)
    pauses.set("PACS", True, "me@here")
    old = (site.tree.paused / "PACS.json").read_bytes()
    pauses.set("PACS", False, "me@here")
    new = (site.tree.paused / "PACS.json").read_bytes()
    (site.tree.paused / "PACS.json").write_bytes(old)
    pauses.tell()
    assert not paused(site)
    (site.tree.paused / "PACS.json").write_bytes(new)


def test_a_storage_without_pauses_is_no_error(site: Site, tmp_path: Path) -> None:
    site.tree.paused.rmdir()
    Pauses(site.tree, site.gate).tell()
