"""Listing by any filters together; and among 100,000 jobs."""

import itertools
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Job
from shared.job_state import JobState
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.jobs import DestinationProgress, JobRecords
from shared.registry.views import JobView, list_jobs
from shared.study import study_hash
from tests.shared.registry.jobs import EPOCH, job

AE_TITLES, CALLING, PIPELINES = ("BRAIN", "LUNG"), ("CT01", "CT02", "MR01"), ("one", "two")
DESTINATIONS = ("PACS", "ARCHIVE")
UIDS = ("1.2.1", "1.2.2", "1.2.3")


def made_up(chance: random.Random, number: int, age: int) -> tuple[Job, JobState, dict[str, Any]]:
    """A job, its state, and the states of its destinations."""
    destinations = chance.choice([(), ("PACS",), DESTINATIONS])
    made = job(
        f"{number:06}",
        age=age,
        ae_title=chance.choice(AE_TITLES),
        calling_ae_title=chance.choice(CALLING),
        pipeline=chance.choice(PIPELINES),
        export_to=destinations,
        studies=tuple(study_hash(uid) for uid in chance.sample(UIDS, chance.randrange(3))),
    )
    ends = {name: chance.choice(list(DestinationState)) for name in destinations}
    return made, chance.choice(list(JobState)), ends


FILTERS: dict[str, list[Any]] = {
    "state": [JobState.DONE],
    "ae_title": ["BRAIN", "NOBODY"],
    "calling_ae_title": ["CT01"],
    "pipeline": ["two"],
    "destination": ["PACS"],
    "destination_state": [DestinationState.FAILED],
    "study": ["1.2.1"],
    "since": [EPOCH - timedelta(seconds=150)],
    "until": [EPOCH - timedelta(seconds=40)],
}


def combinations() -> list[dict[str, Any]]:
    """One, two or three filters at once, and all."""
    names = [
        chosen
        for count in (0, 1, 2, 3, len(FILTERS))
        for chosen in itertools.combinations(FILTERS, count)
        if "destination_state" not in chosen or "destination" in chosen
    ]
    return [
        dict(zip(chosen, values, strict=True))
        for chosen in names
        for values in itertools.product(*(FILTERS[name] for name in chosen))
    ]


def fits(view: JobView, uids: set[str], filters: dict[str, Any]) -> bool:
    destination = view.destinations.get(filters.get("destination", ""))
    return all(
        {
            "destination": lambda wanted: wanted in view.destinations,
            "destination_state": lambda wanted: destination and destination.state is wanted,
            "study": lambda wanted: wanted in uids,
            "since": lambda wanted: view.created >= wanted,
            "until": lambda wanted: view.created < wanted,
        }.get(name, lambda wanted, name=name: getattr(view, name) == wanted)(wanted)
        for name, wanted in filters.items()
    )


def test_any_filters_together_list_just_the_jobs_that_fit_all_the_newest_first(redis: Redis):
    chance = random.Random(1)
    records = JobRecords(redis)
    uids = {}
    for number in range(400):  # two to a millisecond
        made, state, ends = made_up(chance, number, age=number // 2)
        assert records.create(made, state, "made")
        for name, end in ends.items():
            records.set_destination(made.id, name, DestinationProgress(end))
        uids[made.id] = {uid for uid in UIDS if study_hash(uid) in made.studies}
    everything = list_jobs(redis, limit=1000)
    order = [(view.created, view.id) for view in everything]
    assert order == sorted(order, reverse=True)
    assert len(order) == 400
    for filters in combinations():
        expected = [view for view in everything if fits(view, uids[view.id], filters)]
        assert list_jobs(redis, limit=1000, **filters) == expected, filters


def test_pages_follow_each_other_whatever_came_or_went_meanwhile(redis: Redis):
    records = JobRecords(redis)
    for number in range(350):  # most of them in the same millisecond
        records.create(job(f"{number:03}", age=number // 300), JobState.QUEUED, "made")
    everything = [view.id for view in list_jobs(redis, limit=1000)]
    assert len(everything) == 350
    seen: list[str] = []
    last = None
    while page := list_jobs(redis, state=JobState.QUEUED, limit=30, before=last):
        seen += [view.id for view in page]
        last = page[-1]
        records.move(last.id, JobState.RUNNING, "started")  # it left the index
        records.create(job(f"new-{last.id}", age=-1), JobState.QUEUED, "made")
    assert seen == everything


def test_a_destinations_state_needs_a_destination(redis: Redis):
    with pytest.raises(ValueError, match="destination"):
        list_jobs(redis, destination_state=DestinationState.FAILED)


# Among 100,000

COUNT = 100_000


@pytest.fixture(scope="module")
def many(redis_server: EmbeddedServer) -> Iterator[Redis]:
    """Jobs of two weeks: few are not done, few go to ARCHIVE, one study has three of them."""
    chance = random.Random(2)
    failed = DestinationEnd(state=DestinationState.FAILED, delivered=0, failed=1)
    delivered = DestinationEnd(state=DestinationState.DELIVERED, delivered=1)
    with connect(redis_server.url) as redis:
        redis.flushall()
        for start in range(0, COUNT, 5000):
            with redis.pipeline(transaction=False) as pipeline:
                records = JobRecords(pipeline)
                for number in range(start, start + 5000):
                    rare = number % 1000 == 0
                    made = job(
                        f"{number:06}",
                        age=12 * number,
                        ae_title=chance.choice(AE_TITLES),
                        calling_ae_title=chance.choice(CALLING),
                        pipeline="rare" if rare else chance.choice(PIPELINES),
                        export_to=("PACS", "ARCHIVE") if rare else ("PACS",),
                        studies=(study_hash(f"1.2.{min(number, COUNT - 3)}"),),
                        destinations={"PACS": failed if rare else delivered},
                    )
                    records.create(made, JobState.FAILED if rare else JobState.DONE, "made")
                pipeline.execute()
        yield redis
        redis.flushall()


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"state": JobState.DONE},
    {"state": JobState.FAILED},
    {"ae_title": "BRAIN", "calling_ae_title": "CT01"},
    {"state": JobState.DONE, "ae_title": "LUNG", "pipeline": "two"},
    {"destination": "PACS", "destination_state": DestinationState.FAILED},
    {"state": JobState.FAILED, "destination": "ARCHIVE", "ae_title": "BRAIN"},
    {"study": f"1.2.{COUNT - 3}"},
    {"study": f"1.2.{COUNT - 3}", "state": JobState.DONE, "destination": "PACS"},
    {"since": EPOCH - timedelta(hours=1)},
    {"until": EPOCH - timedelta(days=13), "calling_ae_title": "MR01"},
    {"since": EPOCH - timedelta(days=7), "state": JobState.FAILED, "pipeline": "rare"},
]


@pytest.mark.parametrize("filters", QUESTIONS)
def test_of_100_000_jobs_a_list_of_50_touches_few(many: Redis, filters: dict[str, Any]):
    found, commands, answers = asked(many, filters)
    assert found
    assert all(fits(view, {filters.get("study", "")}, filters) for view in found)
    # A count and two pages of each of three indexes; record and destinations of each job found.
    assert commands <= 12 + 2 * len(found)
    assert answers < 100_000  # bytes


def test_two_large_indexes_without_a_common_job_cost_pages_of_the_smaller(many: Redis):
    apart = keys.JOBS_BY_PIPELINE + "apart"
    many.zadd(apart, {f"apart-{number}": number for number in range(30_000)})
    found, commands, _ = asked(many, {"ae_title": "BRAIN", "pipeline": "apart"})
    many.delete(apart)
    assert found == []
    assert commands < 100


def asked(redis: Redis, filters: dict[str, Any]) -> tuple[list[JobView], int, int]:
    """What is found, with how many commands and bytes of answers, as the server counts them."""
    before = _counts(redis)
    begun = time.perf_counter()
    found = list_jobs(redis, **filters)
    took = time.perf_counter() - begun
    commands, answers = (now - then for now, then in zip(_counts(redis), before, strict=True))
    print(f"{filters}: {len(found)} in {took * 1000:.1f} ms, {commands} commands, {answers} bytes")
    return found, commands, answers


def _counts(redis: Redis) -> tuple[int, int]:
    calls: dict[str, Any] = redis.info("commandstats")
    traffic: dict[str, Any] = redis.info("stats")
    ours = (each["calls"] for name, each in calls.items() if name != "cmdstat_info")
    return sum(ours), traffic["total_net_output_bytes"]
