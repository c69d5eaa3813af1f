"""`penstock jobs retry`, `cancel`, `hold`, `release`: words and exit codes for scripts."""

from collections.abc import Callable

import pytest
from redis import Redis

from shared.destination_state import DestinationState
from shared.job import DestinationEnd, Result
from shared.job_state import JobState
from shared.registry.views import find_job, history
from tests.deploy.on_disk import on_disk
from tests.support import command
from tests.support.command import Ran

RESULT = Result(attempt=1, folder="input")
NO_WAY = DestinationEnd(state=DestinationState.FAILED, delivered=0, failed=1, reason="no way")


def penstock(*words: str, answer: str = "") -> Ran:
    return command.penstock("jobs", *words, answer=answer)


@pytest.fixture
def failed(make_job: Callable[..., str]) -> Callable[..., str]:
    def make(destination: str = "PACS", **fields: object) -> str:
        return make_job(
            result=RESULT,
            export_to=("PACS", "OTHER"),
            destinations={
                "PACS": DestinationEnd(state=DestinationState.DELIVERED, delivered=1),
                "OTHER": DestinationEnd(state=DestinationState.DELIVERED, delivered=1),
                destination: NO_WAY,
            },
            **fields,
        )

    return make


def test_each_act_answers_for_each_job(make_job: Callable[..., str], redis: Redis) -> None:
    one, two = make_job(), make_job()
    assert penstock("hold", one, two[-8:]) == Ran(0, f"{one}: held\n{two}: held\n", "")
    assert penstock("release", one) == Ran(0, f"{one}: queued\n", "")
    assert penstock("cancel", one, two) == Ran(0, f"{one}: cancelled\n{two}: cancelled\n", "")
    assert {on_disk(each).state for each in (one, two)} == {JobState.CANCELLED}
    assert history(redis, one)[-1].who.startswith("alice@")


def test_where_some_could_not_be_done_the_others_are_and_the_exit_code_says_so(
    make_job: Callable[..., str],
) -> None:
    done, queued = make_job(result=RESULT), make_job()
    run = penstock("cancel", done, queued, "nothing-like-it")
    assert run.code == 1
    assert run.printed == f"{queued}: cancelled\n"
    assert run.errors.splitlines() == [
        f"{done}: not done: it is done already",
        "nothing-like-it: no job is 'nothing-like-it'",
    ]


def test_a_job_that_is_not_failed_is_not_retried(make_job: Callable[..., str]) -> None:
    job_id = make_job()
    run = penstock("retry", job_id)
    assert (run.code, run.errors) == (1, f"{job_id}: not done: it is queued, not failed\n")


def test_json_is_for_scripts(make_job: Callable[..., str]) -> None:
    done, queued = make_job(result=RESULT), make_job()
    run = penstock("hold", "--json", done, queued)
    assert run.code == 1
    assert run.json == [
        {"job": done, "done": False, "said": "not done: it is done, and nothing of it goes on"},
        {"job": queued, "done": True, "said": "held"},
    ]


def test_all_that_failed_at_a_destination_are_retried_there(failed: Callable[..., str]) -> None:
    pacs, other = failed(), failed("OTHER")
    run = penstock("retry", "--failed", "--destination", "PACS", "--json")
    assert (run.code, [answer["job"] for answer in run.json]) == (0, [pacs])
    assert on_disk(pacs).open_destinations == ("PACS",)
    assert on_disk(other).state is JobState.FAILED


def test_all_that_failed_are_chosen_by_pipeline_and_ae_title(failed: Callable[..., str]) -> None:
    first = failed(pipeline="a", ae_title="ONE")
    second = failed(pipeline="b", ae_title="TWO")
    assert penstock("retry", "--failed", "--pipeline", "c") == Ran(
        0, "no job is meant by that\n", ""
    )
    assert penstock("retry", "--failed", "--pipeline", "a").code == 0
    assert penstock("retry", "--failed", "--ae-title", "TWO").code == 0
    assert {on_disk(each).state for each in (first, second)} == {JobState.EXPORTING}


@pytest.mark.parametrize(
    ("words", "answer", "state"),
    [
        ((), "n\n", JobState.FAILED),
        ((), "y\n", JobState.EXPORTING),
        (("--yes",), "", JobState.EXPORTING),
    ],
)
def test_at_a_terminal_several_are_asked_about(
    failed: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    answer: str,
    state: JobState,
) -> None:
    jobs = [failed(), failed()]
    monkeypatch.setattr("deploy.cli.each_job.at_a_terminal", lambda: True)
    run = penstock("retry", "--failed", *words, answer=answer)
    assert run.code == (0 if state is JobState.EXPORTING else 1)
    assert ("Retry 2 jobs?" in run.errors) == bool(answer)
    assert {on_disk(each).state for each in jobs} == {state}


def test_one_job_or_a_script_is_not_asked(
    failed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = failed()
    with monkeypatch.context() as terminal:
        terminal.setattr("deploy.cli.each_job.at_a_terminal", lambda: True)
        assert penstock("retry", "--failed").printed == f"{job_id}: exporting\n"
    failed(), failed()
    assert penstock("retry", "--failed").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("retry",),
        ("cancel",),
        ("retry", "--failed", "some-id"),
        ("retry", "some-id", "--pipeline", "a"),
        ("retry", "some-id", "--ae-title", "A"),
    ],
)
def test_words_that_make_no_sense_are_a_fault_of_usage(
    make_job: Callable[..., str], words: tuple[str, ...]
) -> None:
    assert penstock(*words).code == 2


def test_with_redis_away_nothing_is_done(
    make_job: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = make_job()
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://127.0.0.1:1")
    for act in ("retry", "cancel", "hold", "release"):
        assert penstock(act, job_id).code == 69
    assert penstock("retry", "--failed").code == 69
    assert on_disk(job_id).state is JobState.QUEUED


def test_a_storage_that_is_not_there_is_said(
    make_job: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = make_job()
    monkeypatch.setenv("PENSTOCK_STORAGE__ROOT", "elsewhere")
    run = penstock("cancel", job_id)
    assert run.code == 1
    assert "no storage is at" in run.errors


def test_a_job_whose_record_redis_has_lost_is_acted_on_by_its_whole_id(
    make_job: Callable[..., str], redis: Redis
) -> None:
    job_id = make_job()
    redis.flushall()
    assert penstock("cancel", job_id).code == 0
    assert find_job(redis, job_id).state is JobState.CANCELLED
