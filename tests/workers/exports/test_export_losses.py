"""What is sent again after an association was lost, and what an instance may cost the others."""

from collections.abc import Callable

import pytest

from shared.destination_state import DestinationState
from shared.job_files import read_job_files
from shared.job_state import JobState
from shared.job_steps import export_step
from shared.upper_layer.events import ReleaseRequested
from tests.workers.exporting import at, ended, progress, state, troubled
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Given, Site
from workers.steps.outcome import Done, Failed

FIVE = tuple(Given(f"1.2.{number}") for number in range(1, 6))


class Scp:
    """Takes instances until `loses` says yes to one, or to the release (""); `came` by association.

    It answers to none that it loses.
    """

    def __init__(self, loses: Callable[[int, str], bool], way: str = "abort") -> None:
        self.came: list[list[str]] = []
        self.released: list[list[str]] = []
        self._loses = loses
        self._way = way

    def __call__(self, peer: Connection) -> None:
        peer.accept()
        self.came.append([])
        while not isinstance(event := peer.event(), ReleaseRequested):
            peer._events.insert(0, event)
            request, _ = peer.stored()
            self.came[-1].append(request.sop_instance_uid)
            if self._loses(len(self.came), request.sop_instance_uid):
                getattr(peer, self._way)()
                return
            peer.respond(request, 0)
        if self._loses(len(self.came), ""):
            getattr(peer, self._way)()
            return
        self.released.append(self.came[-1])
        peer.socket.sendall(peer.acceptor.release_response())


def uids(*numbers: int) -> list[str]:
    return [f"1.2.{number}" for number in numbers]


@pytest.mark.parametrize("way", ["abort", "reset"])
def test_by_response_only_what_is_not_recorded_goes_again(
    exporting: Callable[..., Site], way: str
) -> None:
    script = Scp(lambda association, uid: association == 1 and uid == "1.2.3", way)
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "response"})
        job_id = site.exporting(*FIVE)
        troubled(site.export(job_id))
        assert progress(site, job_id).delivered == 2
        assert site.export(job_id) == Done()
    assert script.came == [uids(1, 2, 3), uids(4, 5), uids(3)]
    assert ended(site, job_id).delivered == 5


@pytest.mark.parametrize("way", ["abort", "reset"])
def test_by_release_all_of_an_association_that_was_lost_goes_again(
    exporting: Callable[..., Site], way: str
) -> None:
    script = Scp(lambda association, uid: association == 1 and uid == "1.2.5", way)
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(*FIVE)
        troubled(site.export(job_id))
        assert progress(site, job_id).delivered == 0
        assert site.export(job_id) == Done()
    assert sorted(uid for association in script.released for uid in association) == uids(
        1, 2, 3, 4, 5
    )
    assert ended(site, job_id).delivered == 5


def test_an_association_lost_at_its_release_is_sent_again_whole(
    exporting: Callable[..., Site],
) -> None:
    script = Scp(lambda association, uid: association == 1 and not uid)
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(*FIVE)
        troubled(site.export(job_id))
        assert site.export(job_id) == Done()
    assert script.released == [uids(1, 2), uids(3, 4, 5)]  # shorter first, as lines may break often


def test_where_every_association_breaks_after_a_while_all_is_delivered_in_shorter_ones(
    exporting: Callable[..., Site],
) -> None:
    script = Scp(lambda association, uid: len(script.came[-1]) > 3)
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(*(Given(f"1.2.{number}") for number in range(40)))
        for _ in range(60):
            if site.export(job_id) == Done():
                break
    assert ended(site, job_id).delivered == 40
    arrived = [uid for association in script.released for uid in association]
    assert len(arrived) == len(set(arrived)) == 40


@pytest.mark.parametrize("confirm", ["release", "response"])
@pytest.mark.parametrize("poison", ["1.2.1", "1.2.3", "1.2.5"])
def test_an_instance_that_breaks_each_association_fails_alone_once_others_are_through(
    exporting: Callable[..., Site], confirm: str, poison: str
) -> None:
    script = Scp(lambda association, uid: uid == poison)
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": confirm})
        job_id, other = site.exporting(*FIVE), site.exporting(Given("1.2.9"))
        for _ in range(2):
            troubled(site.export(job_id))
        assert site.export(other) == Done()
        troubled(site.export(job_id))
        outcome = site.export(job_id)
    reason = "1 the association was lost each time that it was sent"
    assert outcome == Failed(f"PACS: 1 of 5 instances were not delivered: {reason}")
    end = ended(site, job_id)
    assert (end.state, end.delivered, end.failed) == (DestinationState.FAILED, 4, 1)
    assert sum(uid == poison for association in script.came for uid in association) == 3
    taken = {uid for association in script.came for uid in association} - {poison, "1.2.9"}
    assert taken == set(uids(1, 2, 3, 4, 5)) - {poison}


def test_while_nothing_shows_that_it_is_the_instances_fault_it_is_tried_on(
    exporting: Callable[..., Site],
) -> None:
    with RawScp(Scp(lambda association, uid: association <= 6)) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(Given("1.2.1"))
        for _ in range(6):
            troubled(site.export(job_id))
        assert state(site, job_id) is JobState.EXPORTING
        assert site.export(job_id) == Done()


def test_one_that_says_duplicate_to_what_is_sent_again_has_it(
    exporting: Callable[..., Site],
) -> None:
    statuses = iter([0x0000, 0x0111])

    def script(peer: Connection) -> None:
        peer.accept()
        status = next(statuses)
        peer.respond(peer.stored()[0], status)
        if status == 0x0000:
            peer.expect(ReleaseRequested)
            peer.abort()
        else:
            peer.release()

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(Given("1.2.1"))
        troubled(site.export(job_id))
        assert site.export(job_id) == Done()
    assert ended(site, job_id).state is DestinationState.DELIVERED_WITH_WARNINGS


def test_how_long_it_has_been_owed_counts_though_it_was_never_tried(
    exporting: Callable[..., Site],
) -> None:
    with RawScp(lambda peer: peer.reject(2, 1, 1)) as scp:
        site = exporting(PACS=at(scp.port) | {"give_up_after": "1h"})
        job_id = site.exporting(*FIVE)
        step = export_step(site.folder(job_id).read(), "PACS")
        site.gate.submit(step)
        two_hours_ago = int((site.redis.time()[0] - 7200) * 1000)
        site.redis.hset(f"{{penstock}}:step:{step.id}", "submitted", two_hours_ago)
        assert isinstance(site.export(job_id), Failed)
    assert ended(site, job_id).reason.startswith("given up: ")


def test_what_came_in_an_association_that_was_lost_is_shown_as_not_confirmed(
    exporting: Callable[..., Site],
) -> None:
    script = Scp(lambda association, uid: association == 1 and uid == "1.2.3")
    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port) | {"confirm": "release"})
        job_id = site.exporting(*FIVE)
        troubled(site.export(job_id))
        assert verdicts(site, job_id) == {
            "1.2.1.dcm": "not confirmed",
            "1.2.2.dcm": "not confirmed",
            "1.2.3.dcm": "lost",
        }
        assert site.export(job_id) == Done()
        assert set(verdicts(site, job_id).values()) == {"delivered"}


def verdicts(site: Site, job_id: str) -> dict[str, str]:
    files = read_job_files(site.tree, job_id)
    assert files is not None
    return {each.file: each.verdict for each in files.sent["PACS"]}
