"""How `penstock export` ends, with a real export to a real destination."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.embedded_server import EmbeddedServer
from shared.acts import JobActs
from shared.destination_state import DestinationState
from shared.export_acts import ExportActs
from shared.registry.views import find_job
from tests.support.committing import Keeper
from tests.support.waiting import wait_for
from tests.workers.pacs import Pacs
from tests.workers.site import Given, MakeSite, Site
from workers.steps.outcome import Done, Failed

THREE = (Given("1.2.1"), Given("1.2.2"), Given("1.2.3"))
HURRIED = {"commitment_timeout": "100ms", "commitment_linger": "0s", "commitment_attempts": 2}


class Exporting:
    """A `penstock export --to PACS` that runs; nothing is sent before the test says so."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.job_id = site.exporting(*THREE)
        words = ["-c", str(site.file), "export", self.job_id, "--to", "PACS"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "deploy", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Exporting":
        wait_for(lambda: f"{self.job_id}.PACS" in self._site.steps())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def send(self) -> None:
        """Until the export has ended."""
        wait_for(lambda: isinstance(self._site.export(self.job_id), Done | Failed))

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was said: printed, or the last line of the errors."""
        printed, errors = self._process.communicate(timeout=15)
        return self._process.returncode, printed or errors.splitlines()[-1]

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    with Pacs() as running:
        yield running


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as running:
        yield running


@pytest.fixture
def site_of(make_site: MakeSite, redis_server: EmbeddedServer) -> MakeSite:
    """A function of PACS as it is in the settings; the one pipeline exports to nowhere."""

    def make(pacs: dict[str, Any]) -> Site:
        return make_site(redis={"url": redis_server.url}, destinations={"PACS": pacs})

    return make


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        (0x0000, (0, "PACS: 3 instances delivered\n")),
        (0xB000, (0, "PACS: 3 instances delivered with warnings\n")),
        (0xC000, (1, "PACS: 3 of 3 instances were not delivered: 3 refused with C000")),
    ],
)
def test_it_ends_once_all_is_answered_to(
    site_of: MakeSite, pacs: Pacs, status: int, ended: tuple[int, str]
) -> None:
    pacs.answer = lambda uid: status
    with Exporting(site_of(pacs.section)) as exporting:
        exporting.send()
        code, said = exporting.ended()
    assert (code, said[: len(ended[1])]) == ended


def test_it_waits_until_the_destination_has_confirmed_what_it_keeps(
    site_of: MakeSite, keeper: Keeper
) -> None:
    keeper.react = keeper.answer_at_once
    site = site_of(keeper.section(commitment_linger="10s"))
    with Exporting(site) as exporting:
        exporting.send()
        assert exporting.ended() == (0, "PACS: 3 instances commitment confirmed\n")


def test_where_the_destination_says_nothing_of_it_the_export_has_failed(
    site_of: MakeSite, keeper: Keeper
) -> None:
    keeper.react = keeper.say_nothing
    with Exporting(site_of(keeper.section(**HURRIED))) as exporting:
        exporting.send()
        assert exporting.ended() == (1, "PACS: not confirmed, asked 2 times")


def test_one_that_is_discarded_ends(site_of: MakeSite, pacs: Pacs) -> None:
    site = site_of(pacs.section)
    with Exporting(site) as exporting:
        ExportActs.of(site.context.settings, site.redis, "alice").discard(exporting.job_id, "PACS")
        assert exporting.ended() == (1, "PACS: discarded by alice")


@pytest.mark.parametrize(("act", "state"), [("hold", "held"), ("cancel", "cancelled")])
def test_it_ends_when_a_person_stops_the_job_even_one_that_awaits_its_confirmation(
    site_of: MakeSite, keeper: Keeper, act: str, state: str
) -> None:
    keeper.react = keeper.say_nothing
    site = site_of(keeper.section(commitment_linger="0s"))
    with Exporting(site) as exporting:
        site.export(exporting.job_id)
        progress = find_job(site.redis, exporting.job_id).destinations["PACS"]
        assert progress.state is DestinationState.AWAITING_COMMITMENT
        assert not exporting.has_ended
        getattr(JobActs.of(site.context.settings, site.redis), act)(exporting.job_id)
        assert exporting.ended() == (1, f"PACS: the job is {state}")


def test_it_ends_when_the_job_is_gone(site_of: MakeSite, pacs: Pacs) -> None:
    site = site_of(pacs.section)
    with Exporting(site) as exporting:
        site.context.records.remove(exporting.job_id)
        assert exporting.ended() == (1, f"no job is '{exporting.job_id}'")
