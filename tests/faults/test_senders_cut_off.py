"""Senders that stop for a while, or hear nothing of Redis: nobody sends beside them, and they start
no further instance (I5)."""

import time
from pathlib import Path

from shared.job_state import JobState
from tests.faults.test_send_places import check_delivered, deliver, router
from tests.support.counted import SUCCESS, CountedDestination, Visit, takes_slowly
from tests.support.gateway import HOST, Gateway
from tests.support.link import Link
from tests.support.waiting import wait_for

LEASE = 1.5  # seconds, as gateways under test have it


def test_a_sender_that_was_stopped_past_its_lease_starts_no_further_instance(
    tmp_path: Path,
) -> None:
    uids = [f"1.2.{number}" for number in range(5)]
    answers = [False]

    def script(visit: Visit) -> None:
        visit.accept()
        visit.take(SUCCESS)
        wait_for(lambda: answers[0], 60)
        visit.take_all()

    with (
        CountedDestination() as destination,
        Gateway(tmp_path, ("receiver", "exports", "pipelines"), **router(destination)) as gateway,
    ):
        destination.script = script
        deliver(gateway, *uids)
        wait_for(lambda: destination.delivered == uids[:1], 30)
        gateway.start("exports-2")
        with gateway.suspended("exports"):
            wait_for(lambda: "another sender still has this export" in gateway.log("exports-2"), 30)
            answers[0] = True
        gateway.wait_for_job(JobState.DONE)
        first, *later = destination.associations
        assert len(first.came) <= 2  # the second, if it was under way when it was stopped
        assert all(taken.begun > first.ended for taken in later)
        check_delivered(destination, [uids])


def test_a_sender_cut_off_from_redis_leaves_before_the_next_begins(tmp_path: Path) -> None:
    uids = [f"1.2.{number}" for number in range(40)]
    with (
        CountedDestination() as destination,
        Gateway(tmp_path, ("receiver", "pipelines"), **router(destination)) as gateway,
        Link(gateway.server.port) as link,
    ):
        destination.script = takes_slowly(0.1)
        gateway.start("exports", PENSTOCK_REDIS__URL=f"redis://{HOST}:{link.port}/0")
        deliver(gateway, *uids)
        wait_for(lambda: destination.delivered, 30)
        gateway.start("exports-2")
        link.cut()
        cut = time.monotonic()
        gateway.wait_for_job(JobState.DONE)
        link.mend()  # or it would take long to stop
        first, *later = destination.associations
        assert first.released
        assert first.ended - cut < LEASE
        assert all(taken.begun > first.ended for taken in later)
        assert destination.meter.most == 1
        check_delivered(destination, [uids])
