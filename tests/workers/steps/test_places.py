from collections.abc import Callable
from contextlib import AbstractContextManager

from shared.ids import new_id
from shared.locked_file import LockedFile
from shared.registry.step import Queue, Step
from tests.workers.site import Given, Site
from workers.exports.sent_log import SentLog
from workers.steps.places import Places, caps, nothing_runs

DESTINATION = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}
STEP = Step("a-step", Queue.DISPATCH, "dispatch")


def published(site: Site, queue: Queue) -> int:
    """How many messages wait for a worker."""
    return int(site.redis.llen(queue))


def test_what_waits_is_called_up_as_far_as_there_are_places(site: Site) -> None:
    for number in range(3):
        site.gate.submit(Step(f"step-{number}", Queue.DISPATCH, "dispatch"))
    places = Places(site.context, {Queue.DISPATCH: 2})
    places.tick()
    assert published(site, Queue.DISPATCH) == 2
    places.tick()
    assert published(site, Queue.DISPATCH) == 2


def test_a_queue_without_places_here_is_left_to_others(site: Site) -> None:
    site.gate.submit(STEP)
    Places(site.context, {Queue.EXPORT: 2}).tick()
    assert published(site, Queue.DISPATCH) == 0


def test_once_withdrawn_nothing_is_admitted(site: Site) -> None:
    places = Places(site.context, {Queue.DISPATCH: 2})
    places.tick()
    places.withdraw()
    places.tick()
    site.gate.submit(STEP)
    places.tick()
    assert published(site, Queue.DISPATCH) == 0


def test_caps_of_the_settings_hold_over_all_workers(make_site: Callable[..., Site]) -> None:
    site = make_site(
        pipelines={
            "keep": {"kind": "forward", "max_parallel": 3},
            "free": {"kind": "forward"},
        },
        exporter={"max_concurrent_sends": 5},
        destinations={"PACS": DESTINATION | {"max_concurrent_sends": 1}, "OTHER": DESTINATION},
    )
    assert caps(site.context.settings) == {"export": 5, "pipeline:keep": 3, "export:PACS": 1}
    for worker in ("a", "b"):
        for number in range(4):
            step = Step(f"{worker}-{number}", Queue.PIPELINE, "pipeline:keep")
            site.gate.submit(step)
        Places(site.context, {Queue.PIPELINE: 10}).tick()
    assert published(site, Queue.PIPELINE) == 3


def test_a_first_start_with_nothing_under_way_admits_at_once(site: Site) -> None:
    site.redis.flushall()  # a new server: for one lease it would admit nothing
    site.gate.submit(STEP)
    site.folder(new_id()).path.mkdir()
    Places(site.context, {Queue.DISPATCH: 1}).tick()
    assert published(site, Queue.DISPATCH) == 1


def test_a_start_beside_a_run_that_lives_waits_for_its_beats(site: Site) -> None:
    site.redis.flushall()
    site.gate.submit(STEP)
    folder = site.folder(new_id())
    folder.path.mkdir()
    with locked(folder.try_run_lock()):
        Places(site.context, {Queue.DISPATCH: 1}).tick()
    assert published(site, Queue.DISPATCH) == 0


def locked(held: LockedFile | SentLog | None) -> AbstractContextManager[object]:
    assert held is not None
    return held


def test_something_runs_while_a_run_lock_or_a_sent_log_is_held(site: Site) -> None:
    assert nothing_runs(site.tree)
    folder = site.folder(site.dispatched(Given("1.2.3")))
    assert nothing_runs(site.tree)
    with locked(folder.try_run_lock()):
        assert not nothing_runs(site.tree)
    assert nothing_runs(site.tree)
    with locked(SentLog.try_open(folder.path / "sent-PACS.log")):
        assert not nothing_runs(site.tree)
    assert nothing_runs(site.tree)
    with locked(folder.try_run_lock()):  # to look has not taken it away
        pass


def test_places_are_announced_again_at_each_tick(site: Site) -> None:
    places = Places(site.context, {Queue.DISPATCH: 1})
    places.tick()
    site.redis.flushall()
    site.gate.open()
    site.gate.submit(STEP)
    places.tick()
    assert published(site, Queue.DISPATCH) == 1


def test_caps_are_said_again_to_a_server_that_was_emptied(make_site: Callable[..., Site]) -> None:
    site = make_site(pipelines={"keep": {"kind": "forward", "max_parallel": 1}})
    places = Places(site.context, {Queue.PIPELINE: 10})
    places.tick()
    site.redis.flushall()
    site.gate.open()
    for number in range(3):
        site.gate.submit(Step(f"step-{number}", Queue.PIPELINE, "pipeline:keep"))
    places.tick()
    assert published(site, Queue.PIPELINE) == 1
