"""The line to a destination breaks or stalls, anywhere (E1, E4): nothing is lost, little is sent
twice."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.support.counted import CountedDestination
from tests.support.link import Link
from tests.support.samples import data_set
from tests.workers.site import Given, Site
from workers.steps.outcome import Done, TryAgain

GIVEN = [Given(f"1.2.{number}", data_set(20_000, number)) for number in range(5)]


@pytest.fixture
def destination() -> Iterator[CountedDestination]:
    with CountedDestination("PACS") as running:
        yield running


@pytest.fixture
def link(destination: CountedDestination) -> Iterator[Link]:
    with Link(destination.port) as running:
        yield running


@pytest.fixture
def site(make_site: Callable[..., Site], destination: CountedDestination, link: Link) -> Site:
    return make_site(
        pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
        destinations={"PACS": destination.section(port=link.port)},
        exporter=dict.fromkeys(("association_timeout", "pdu_timeout", "response_timeout"), "1s"),
    )


def points(length: int, count: int) -> list[int]:
    """From the first byte to the last but one, all over a conversation."""
    return [1 + step * (length - 2) // (count - 1) for step in range(count)]


def deliver(site: Site, job_id: str) -> int:
    """Tries until all is delivered, and says how often it was tried again."""
    for tries in range(10):
        if site.export(job_id) == Done():
            return tries
    raise AssertionError("never delivered")


@pytest.mark.parametrize("stalls", [False, True], ids=["reset", "stalled"])
@pytest.mark.parametrize("way", ["there", "back"])
def test_wherever_the_line_breaks_every_instance_arrives_and_again_only_for_the_break(
    site: Site, destination: CountedDestination, link: Link, way: str, stalls: bool
) -> None:
    deliver(site, site.exporting(*GIVEN))
    for point in points(getattr(link, way), count=5 if stalls else 15):
        site.empty()
        destination.associations.clear()
        job_id = site.exporting(*GIVEN)
        link.fray(**{way: point}, stalls=stalls)
        outcome = site.export(job_id)
        assert isinstance(outcome, TryAgain), point
        link.mend()
        deliver(site, job_id)
        came = [each for taken in destination.associations for each in taken.delivered]
        assert {(each.uid, each.digest) for each in came} == {
            (given.uid, hashlib.sha256(given.data_set).hexdigest()) for given in GIVEN
        }
        assert max(Counter(each.uid for each in came).values()) <= 2, point
        assert site.folder(job_id).read().destinations["PACS"].delivered == len(GIVEN)
