"""The places for sends: how many associations are open at once over all workers, and whose."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.views import JobView
from tests.faults.invariants import content
from tests.support.counted import SUCCESS, CountedDestination, Meter, Script, Visit, takes_slowly
from tests.support.gateway import HOST, Gateway
from tests.support.scu import Scu
from tests.support.waiting import wait_for

PARTS = ("receiver", "exports", "exports-2", "exports-3", "pipelines")


def router(*destinations: CountedDestination, **more: Any) -> dict[str, Any]:
    """Settings with an AE title for each priority, whose pipeline forwards to all of these."""
    names = [destination.name for destination in destinations]
    return {
        "ae_titles": [
            {"title": priority.upper(), "pipeline": "route", "priority": priority}
            for priority in ("stat", "normal", "low")
        ],
        "pipelines": {"route": {"kind": "forward", "export_to": names}},
        "destinations": {each.name: each.section() for each in destinations},
        **more,
    }


def deliver(gateway: Gateway, *uids: str, called: str = "NORMAL") -> None:
    with Scu((HOST, gateway.port)) as scu:
        scu.associate(called=called)
        for uid in uids:
            assert scu.store(uid, content(uid)).status == SUCCESS
        scu.release()


def held_until(free: Callable[[], bool]) -> Script:
    """After the first instance of whoever came before, nothing is answered."""

    def script(visit: Visit) -> None:
        visit.accept()
        visit.take(SUCCESS)
        wait_for(free, 60)
        visit.take_all()

    return script


def senders(gateway: Gateway) -> set[str]:
    """The workers that send now."""
    redis = gateway.redis
    callers = (redis.hgetall(key) for key in redis.scan_iter(f"{keys.STEP}*.*"))
    return {step["caller"].partition("@")[0] for step in callers if step.get("state") == "running"}


def uids_of(jobs: int, instances: int) -> list[list[str]]:
    return [[f"1.2.{job}.{number}" for number in range(instances)] for job in range(jobs)]


def check_delivered(destination: CountedDestination, wanted: Sequence[Sequence[str]]) -> None:
    """Each at least once; and again only what came in an association that was not released."""
    assert set(destination.delivered) == {uid for uids in wanted for uid in uids}
    released = [
        came.uid for taken in destination.associations if taken.released for came in taken.delivered
    ]
    assert len(set(released)) == len(released)


def test_twenty_exports_by_three_workers_one_of_them_killed_are_never_more_than_two_at_once(
    tmp_path: Path,
) -> None:
    lease = 3.0
    meter = Meter()
    wanted = uids_of(jobs=10, instances=3)
    with CountedDestination("ONE", meter) as one, CountedDestination("TWO", meter) as two:
        one.script = two.script = takes_slowly(0.1)
        settings = router(one, two, workers={"running_lease": f"{lease}s"})
        with Gateway(tmp_path, PARTS, **settings) as gateway:
            for uids in wanted:
                deliver(gateway, *uids)
            wait_for(lambda: meter.open == 2, 30)
            gateway.kill(wait_for(lambda: senders(gateway)).pop())
            wait_for(lambda: meter.open == 2, lease + 2)  # its place is another's
            gateway.wait_for_jobs(10, JobState.DONE, 60)
        check_delivered(one, wanted)
        check_delivered(two, wanted)
    assert meter.most == 2


def test_who_waits_longest_is_sent_next_and_the_urgent_before_all(tmp_path: Path) -> None:
    waiting = [
        ("1.2.1", "LOW"),
        ("1.2.2", "NORMAL"),
        ("1.2.3", "STAT"),
        ("1.2.4", "LOW"),
        ("1.2.5", "NORMAL"),
        ("1.2.6", "STAT"),
    ]
    with CountedDestination() as destination:
        settings = router(destination, exporter={"max_concurrent_sends": 1})
        with Gateway(tmp_path, **settings) as gateway:
            lane = f"{keys.WAITING}export:{destination.name}"
            queued = [0]

            def waiting_are(count: int) -> bool:
                return gateway.redis.zcard(lane) == count

            destination.script = held_until(lambda: queued[0] == len(waiting))
            deliver(gateway, "1.2.0")
            wait_for(lambda: destination.meter.open == 1, 30)
            for number, (uid, called) in enumerate(waiting, 1):
                deliver(gateway, uid, called=called)
                wait_for(partial(waiting_are, number), 30)
                queued[0] = number
            gateway.wait_for_jobs(1 + len(waiting), JobState.DONE)
        order = ["1.2.0", "1.2.3", "1.2.6", "1.2.2", "1.2.5", "1.2.1", "1.2.4"]
        assert destination.delivered == order


def test_a_destination_with_a_cap_of_its_own_leaves_the_other_places_to_others(
    tmp_path: Path,
) -> None:
    with CountedDestination("ONE") as one, CountedDestination("MANY") as many:
        one.script = held_until(lambda: len(many.delivered) == 5)
        many.script = takes_slowly(0.05)
        settings = router(one, many)
        settings["destinations"]["ONE"]["max_concurrent_sends"] = 1
        settings["exporter"] = {"max_concurrent_sends": 3}
        with Gateway(tmp_path, **settings) as gateway:
            for number in range(5):
                deliver(gateway, f"1.2.{number}")
            gateway.wait_for_jobs(5, JobState.DONE)
        assert one.meter.most == 1
        assert 2 <= many.meter.most <= 3


def test_a_destination_that_hangs_keeps_one_place_at_most_and_others_are_sent_to(
    tmp_path: Path,
) -> None:
    timeout = 1.0
    with CountedDestination("SILENT") as silent, CountedDestination("WELL") as well:
        silent.script = Visit.be_silent
        settings = router(silent, well, exporter={"association_timeout": f"{timeout}s"})
        with Gateway(tmp_path, **settings) as gateway:
            deliver(gateway, "1.2.0")
            wait_for(
                lambda: (
                    [job.destinations["SILENT"].state for job in gateway.jobs()]
                    == [DestinationState.RETRYING]
                ),
                30,
            )
            silent.meter.most = 0
            for number in range(1, 9):
                deliver(gateway, f"1.2.{number}")
            wait_for(lambda: len(well.delivered) == 9, 30)
            assert silent.meter.most <= 1
            assert {job.destinations["SILENT"].state for job in gateway.jobs()} <= {
                DestinationState.PENDING,
                DestinationState.RETRYING,
            }


def pending(gateway: Gateway, destination: CountedDestination) -> list[JobView]:
    return [
        job
        for job in gateway.jobs()
        if job.destinations[destination.name].state is DestinationState.PENDING
    ]


def test_what_waits_for_a_place_holds_no_worker_and_is_shown(tmp_path: Path) -> None:
    with CountedDestination() as destination, Gateway(tmp_path, **router(destination)) as gateway:
        free = [False]
        destination.script = held_until(lambda: free[0])
        for number in range(4):
            deliver(gateway, f"1.2.{number}")
        wait_for(lambda: len(gateway.jobs(JobState.EXPORTING)) == 4, 30)
        wait_for(lambda: len(pending(gateway, destination)) == 2, 30)
        waiting, _ = pending(gateway, destination)
        assert gateway.penstock("jobs").stdout.count("waiting for a send place") == 2
        shown = gateway.penstock("jobs", "show", waiting.id).stdout
        assert "COUNTED: waiting for a send place" in shown
        # The same workers dispatch meanwhile.
        deliver(gateway, "1.2.4")
        gateway.wait_for_jobs(5, JobState.EXPORTING)
        free[0] = True
        gateway.wait_for_jobs(5, JobState.DONE)
    assert destination.meter.most == 2
