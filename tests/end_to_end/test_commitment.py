"""Destinations that confirm what they keep, and what is lost between question and answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from deploy.system import free_port
from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.registry.views import JobView
from tests.support.committing import HOST, Keeper, Question
from tests.support.gateway import Gateway
from tests.support.orthanc import Orthanc, orthanc
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

NAMES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm")


def routing(destination: dict[str, Any]) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
        "pipelines": {"route": {"kind": "forward", "export_to": ["PACS"]}},
        "destinations": {"PACS": destination},
    }


def uids() -> set[str]:
    return {pydicom.dcmread(sample_file(name)).SOPInstanceUID for name in NAMES}


def send(gateway: Gateway) -> None:
    gateway.storescu(*map(sample_file, NAMES), called="ROUTER")


def stands(gateway: Gateway, state: DestinationState) -> JobView | None:
    (job,) = gateway.jobs() or [None]
    return job if job and job.destinations["PACS"].state is state else None


def confirmed(gateway: Gateway) -> JobView:
    job = gateway.wait_for_job(timeout=60)
    assert job.destinations["PACS"].state is DestinationState.COMMITMENT_CONFIRMED
    assert job.destinations["PACS"].delivered == len(NAMES)
    return job


class Held:
    """A keeper that answers when it is let."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._let = threading.Event()
        keeper.react = self._answer

    def answer(self) -> None:
        self._let.set()

    def _answer(self, question: Question) -> None:
        self._let.wait(60)
        self._keeper.call_and_report(question)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, keeper: Keeper) -> Iterator[Gateway]:
    with Gateway(tmp_path, **routing(keeper.section(commitment_linger="0s"))) as running:
        keeper.port_to_call = running.port
        yield running


@pytest.fixture
def held(gateway: Gateway, keeper: Keeper) -> Held:
    """The answer for instances that were sent, and wait for it."""
    answer = Held(keeper)
    send(gateway)
    wait_for(lambda: stands(gateway, DestinationState.AWAITING_COMMITMENT), 30)
    return answer


def test_a_study_is_confirmed_and_every_screen_says_so(gateway: Gateway, keeper: Keeper) -> None:
    held = Held(keeper)
    send(gateway)
    job = wait_for(lambda: stands(gateway, DestinationState.AWAITING_COMMITMENT), 30)
    assert job.state is JobState.EXPORTING
    assert "awaiting commitment" in gateway.penstock("jobs", "show", job.id).stdout
    held.answer()
    job = confirmed(gateway)
    assert keeper.statuses == [0x0000]
    shown = gateway.penstock("jobs", "show", job.id).stdout
    assert "commitment confirmed" in shown
    assert "asked to commit" in shown
    assert set(keeper.received) == uids()
    listed = gateway.penstock(
        "jobs", "--destination", "PACS", "--destination-state", "commitment confirmed"
    )
    assert job.id in listed.stdout


def test_a_worker_killed_between_question_and_answer_loses_neither(
    gateway: Gateway, keeper: Keeper
) -> None:
    held = Held(keeper)
    send(gateway)
    wait_for(lambda: keeper.questions, 30)
    gateway.kill("exports")
    held.answer()
    wait_for(lambda: keeper.statuses)  # the receiver takes it while no worker is there
    gateway.start("exports")
    confirmed(gateway)
    assert sorted(keeper.received) == sorted(uids())


def test_redis_lost_between_question_and_answer_loses_neither(
    gateway: Gateway, keeper: Keeper, held: Held
) -> None:
    gateway.redis.flushall()
    held.answer()
    confirmed(gateway)
    assert sorted(keeper.received) == sorted(uids())
    assert len(keeper.questions) == 1


def test_redis_killed_while_the_answer_comes_loses_nothing(
    gateway: Gateway, keeper: Keeper, held: Held
) -> None:
    gateway.kill_redis()
    held.answer()
    wait_for(lambda: keeper.statuses == [0x0000])
    gateway.server.start()
    confirmed(gateway)
    assert sorted(keeper.received) == sorted(uids())


def test_who_never_answers_fails_the_job_and_the_files_stay(tmp_path: Path, keeper: Keeper) -> None:
    keeper.react = keeper.say_nothing
    options = {"commitment_timeout": "300ms", "commitment_attempts": 2, "commitment_linger": "0s"}
    settings = routing(keeper.section(**options))
    settings["storage"] = {"job_retention": "1s"}
    with Gateway(tmp_path, **settings) as gateway:
        send(gateway)
        job = gateway.wait_for_job(JobState.FAILED)
        assert job.reason == "PACS: not confirmed, asked 2 times"
        shown = gateway.penstock("jobs", "show", job.id)
        assert shown.returncode == 1
        assert "not confirmed" in shown.stdout
        assert len(list((gateway.tree.jobs / job.id / "input").iterdir())) == len(NAMES)
        keeper.react = keeper.call_and_report
        keeper.port_to_call = gateway.port
        assert gateway.penstock("jobs", "retry", job.id).returncode == 0
        wait_for(lambda: keeper.statuses == [0x0000])
        wait_for(lambda: not gateway.jobs(), 30)  # it is done, and past its retention
    assert sorted(keeper.received) == sorted(uids())


# Orthanc


# It answers to the first instance as to the others, and drops it.
DROPS_THE_FIRST = """
dropped = false
function ReceivedInstanceFilter(dicom, origin)
  local keep = dropped
  dropped = true
  return keep
end
"""


@contextmanager
def archive(folder: Path, script: str = "") -> Iterator[tuple[Orthanc, Gateway]]:
    port = free_port(HOST)
    at = {"ae_title": "ORTHANC", "host": HOST, "port": port, "storage_commitment": True}
    with Gateway(folder, **routing(at)) as gateway:
        modalities = {"penstock": ("PENSTOCK", gateway.port)}
        with orthanc(folder / "orthanc", modalities, port, script) as peer:
            yield peer, gateway


def test_orthanc_confirms_what_it_keeps(tmp_path: Path) -> None:
    with archive(tmp_path) as (peer, gateway):
        send(gateway)
        job = confirmed(gateway)
        assert len(peer.instances()) == len(NAMES)
        assert not any("sending 1 instance" in line.what for line in gateway.history(job))


def test_orthanc_is_sent_again_what_it_does_not_keep(tmp_path: Path) -> None:
    with archive(tmp_path, DROPS_THE_FIRST) as (peer, gateway):
        send(gateway)
        job = confirmed(gateway)
        assert len(peer.instances()) == len(NAMES)
        what = [line.what for line in gateway.history(job)]
        assert "sending 1 instances to PACS" in what
        assert what.index("PACS: asked to commit (1)") < what.index("sending 1 instances to PACS")
        assert "PACS: asked to commit (2)" in what
