"""The probe of a destination that failed too often, and what each answer makes of it."""

import threading
from collections.abc import Callable

import pytest

from deploy.system import free_port
from shared.registry.step import PROBE, Queue, Run, Step
from shared.sop_classes import VERIFICATION
from tests.workers.exporting import at
from tests.workers.pacs import Pacs
from tests.workers.raw_scp import Connection, RawScp
from tests.workers.site import Site
from workers.exports.step import export
from workers.steps.outcome import Done, Outcome, TryAgain
from workers.steps.poison import end_poison

STEP = Step(f"{PROBE}export:PACS", Queue.EXPORT, f"{PROBE}export:PACS")


def probed(site: Site) -> Outcome:
    return site.perform(export, STEP)


def fails(outcome: Outcome) -> str:
    assert isinstance(outcome, TryAgain)
    assert outcome.trouble is not None
    return outcome.reason


def test_a_destination_that_answers_is_alive(exporting: Callable[..., Site], pacs: Pacs) -> None:
    assert probed(exporting(PACS=pacs.section)) == Done()
    assert pacs.received == []


def test_so_is_one_that_answers_with_a_failure_or_knows_no_verification(
    exporting: Callable[..., Site],
) -> None:
    def refuses_the_context(peer: Connection) -> None:
        peer.accept(refused=(VERIFICATION,))
        peer.release()

    def refuses_the_echo(peer: Connection) -> None:
        peer.accept()
        peer.echo(0x0122)
        peer.release()

    def rejects_without_a_reason(peer: Connection) -> None:
        peer.reject(1, 1, 1)

    for script in (refuses_the_context, refuses_the_echo, rejects_without_a_reason):
        with RawScp(script) as scp:
            site = exporting(PACS=at(scp.port))
            site.empty()
            assert probed(site) == Done()


@pytest.mark.parametrize("reject", [(1, 1, 3), (1, 1, 7), (2, 3, 1), (2, 3, 2)])
def test_one_that_rejects_us_or_is_busy_is_not(
    exporting: Callable[..., Site], reject: tuple[int, int, int]
) -> None:
    with RawScp(lambda peer: peer.reject(*reject)) as scp:
        assert "rejected" in fails(probed(exporting(PACS=at(scp.port))))


def test_one_that_is_down_is_probed_again_ever_later(exporting: Callable[..., Site]) -> None:
    site = exporting({"retry_first": "4s"}, PACS=at(free_port("127.0.0.1")))
    for bound in (4, 8, 16):
        outcome = probed(site)
        assert "no connection" in fails(outcome)
        assert isinstance(outcome, TryAgain)
        assert outcome.delay <= bound


def test_one_that_is_silent_is_given_its_deadline(exporting: Callable[..., Site]) -> None:
    with RawScp(lambda peer: peer.be_silent()) as scp:
        site = exporting({"association_timeout": "300ms"}, PACS=at(scp.port))
        assert "timed out" in fails(probed(site))


def test_one_that_left_the_settings_is_left_to_its_exports(site: Site) -> None:
    assert probed(site) == Done()


def test_a_probe_that_breaks_over_and_over_lets_the_exports_find_out(site: Site) -> None:
    assert end_poison(site.context, STEP, "given up") == Done()


def test_a_probe_counts_among_the_steps_that_this_process_runs(
    exporting: Callable[..., Site],
) -> None:
    """It takes a send place, as any step of its queue."""
    asked, go_on = threading.Event(), threading.Event()

    def script(peer: Connection) -> None:
        peer.requested()
        asked.set()
        go_on.wait(10)

    with RawScp(script) as scp:
        site = exporting(PACS=at(scp.port))
        site.gate.set_caps({Queue.EXPORT: 1})
        run: Run = site.start(STEP)
        with site.lease(run) as lease:
            thread = threading.Thread(target=export, args=(site.context, lease))
            thread.start()
            assert asked.wait(10)
            site.gate.submit(Step("x", Queue.EXPORT, "export:OTHER"))
            site.gate.announce_places("tests", {Queue.EXPORT: 5})
            assert site.gate.grant(Queue.EXPORT) == []
            go_on.set()
            thread.join()
