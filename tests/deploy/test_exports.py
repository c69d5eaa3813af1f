"""`penstock exports` and `penstock destinations`: words and exit codes for scripts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from redis import Redis

from deploy.system import free_port
from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Result
from shared.job_state import JobState
from shared.registry.destinations import destination_healths
from shared.registry.gate import Gate, Leases
from shared.registry.step import Queue, Step, StepEnd, Trouble
from shared.registry.views import history
from tests.deploy.on_disk import on_disk
from tests.support.command import penstock
from tests.support.receivers import LocalReceiver

NO_WAY = DestinationEnd(state=DestinationState.FAILED, delivered=2, failed=1, reason="no way")


@pytest.fixture
def failed(make_job: Callable[..., str]) -> Callable[..., str]:
    """A function of destinations to which the export of a job has failed; the job's id."""

    def make(*names: str, age: float = 0) -> str:
        return make_job(
            age=age,
            result=Result(attempt=1, folder="input"),
            export_to=names,
            destinations=dict.fromkeys(names, NO_WAY),
        )

    return make


def test_failed_exports_are_listed_with_their_reasons(failed: Callable[..., str]) -> None:
    old, new = failed("PACS", age=100), failed("PACS", "OTHER", age=50)
    found = penstock("exports", "--json").json
    assert [(each["job"], each["destination"]) for each in found] == [
        (new, "OTHER"),
        (new, "PACS"),
        (old, "PACS"),
    ]
    assert {each["progress"]["reason"] for each in found} == {"no way"}
    assert [
        each["job"] for each in penstock("exports", "--destination", "OTHER", "--json").json
    ] == [new]
    page = penstock("exports", "--before", new, "--json").json
    assert [each["job"] for each in page] == [old]
    assert penstock("exports", "--state", "pending", "--json").json == []
    assert len(penstock("exports", "--any", "--json").json) == 3
    listed = penstock("exports")
    assert listed.code == 0
    for said in (old, "PACS", "failed", "no way"):
        assert said in listed.printed


def test_one_of_them_all_of_them_or_all_of_a_destination_are_retried(
    failed: Callable[..., str], redis: Redis
) -> None:
    one, two, three = failed("PACS", "OTHER"), failed("PACS", "OTHER"), failed("PACS", "OTHER")
    assert penstock("exports", "retry", one, "--to", "PACS").printed == f"{one}: exporting\n"
    assert on_disk(one).open_destinations == ("PACS",)
    assert penstock("exports", "retry", two).code == 0
    assert on_disk(two).open_destinations == ("PACS", "OTHER")
    assert penstock("exports", "retry", "--destination", "OTHER", "--all").code == 0
    assert on_disk(one).open_destinations == ("PACS", "OTHER")
    assert on_disk(three).open_destinations == ("OTHER",)
    assert history(redis, three)[-1].who.startswith("alice@")


def test_they_are_discarded_and_redirected(failed: Callable[..., str]) -> None:
    one, two = failed("PACS"), failed("PACS")
    assert penstock("exports", "discard", one).printed == f"{one}: done\n"
    redirected = penstock("exports", "redirect", two, "--to", "OTHER")
    assert redirected.printed == f"{two}: exporting\n"
    assert on_disk(two).export_to == ("PACS", "OTHER")
    assert penstock("exports", "--json").json == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["retry"], 2, "either IDs or --all"),
        (["retry", "x", "--all"], 2, "either IDs or --all"),
        (["discard", "--all"], 2, "--all needs --destination"),
        (["redirect", "x", "--to", "NOWHERE"], 2, "no destination is named 'NOWHERE'"),
        (["retry", "nothing-like-it"], 1, "no job is"),
        (["--any", "--state", "failed"], 2, "either --state or --any"),
        (["--before", "nothing-like-it"], 1, "no job is"),
    ],
)
def test_what_cannot_be_done_is_said(
    failed: Callable[..., str], words: list[str], code: int, said: str
) -> None:
    ran = penstock("exports", *words)
    assert ran.code == code
    assert said in ran.errors


def test_what_has_not_failed_stays(failed: Callable[..., str]) -> None:
    job_id = failed("PACS")
    ran = penstock("exports", "retry", job_id, "--to", "OTHER")
    assert (ran.code, ran.printed) == (1, "")
    assert "not exported to 'OTHER'" in ran.errors
    assert on_disk(job_id).state is JobState.FAILED


def trouble(redis: Redis) -> None:
    """PACS is shut, with an export that waits."""
    gate = Gate(redis, Leases())
    gate.open()
    gate.announce_places("one", {Queue.EXPORT: 1})
    gate.submit(Step("a.PACS", Queue.EXPORT, "export:PACS", "a"))
    (grant,) = gate.grant(Queue.EXPORT)
    run = gate.start(grant.step_id, grant.token, "one")
    assert run is not None
    gate.finish(run, StepEnd.RETRYING, reason="refused", delay=60, trouble=Trouble(1, 600))
    gate.grant(Queue.EXPORT)


def test_destinations_are_listed_with_their_health(
    failed: Callable[..., str], redis: Redis
) -> None:
    failed("GONE")
    trouble(redis)
    found = {each["name"]: each for each in penstock("destinations", "--json").json}
    assert sorted(found) == ["GONE", "OTHER", "PACS"]
    assert found["PACS"]["health"]["breaker"] == "open"
    assert found["PACS"]["health"]["next_probe"] is not None
    assert found["OTHER"]["health"]["breaker"] == "closed"
    listed = penstock("destinations").printed
    for said in ("THERE at 127.0.0.1:104", "not in the settings", "breaker open", "refused"):
        assert said in " ".join(listed.split())
    assert "PACS is down, and exports wait for it: 1" in penstock("status").printed


def test_a_destination_is_paused_and_resumed_which_tries_it_at_once(
    failed: Callable[..., str], redis: Redis
) -> None:
    failed("PACS")
    trouble(redis)
    assert penstock("destinations", "pause", "PACS").printed == "PACS: paused\n"
    assert destination_healths(redis, ["PACS"])["PACS"].paused
    assert json.loads(Path("storage/paused/PACS.json").read_text())["who"].startswith("alice@")
    assert penstock("destinations", "resume", "PACS").code == 0
    assert not destination_healths(redis, ["PACS"])["PACS"].paused
    (grant,) = Gate(redis, Leases()).grant(Queue.EXPORT)
    assert grant.step_id == "probe:export:PACS"
    assert penstock("destinations", "pause", "NOWHERE").code == 2


def test_a_destination_is_asked_whether_it_is_there(
    failed: Callable[..., str], receiver: LocalReceiver
) -> None:
    there = {"ae_title": "BRAIN", "host": "127.0.0.1", "port": receiver.port}
    gone = there | {"port": free_port("127.0.0.1")}
    Path("penstock.toml").write_text(tomli_w.dumps({"destinations": {"PACS": there, "GONE": gone}}))
    answered = penstock("destinations", "echo", "PACS")
    assert (answered.code, answered.printed) == (
        0,
        f"PACS: BRAIN at 127.0.0.1:{receiver.port} answers\n",
    )
    assert penstock("destinations", "echo", "GONE").code == 1
    assert penstock("destinations", "echo", "NOWHERE").code == 2
