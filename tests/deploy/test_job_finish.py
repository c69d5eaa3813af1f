"""`penstock jobs finish`, as an engine's last word."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from shared.job_state import JobState
from shared.registry.views import history
from tests.support.command import Ran, penstock
from tests.support.engine import Engine, Reply
from tests.workers.site import MakeSite, Site


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Reply(202)) as running:
        yield running


@pytest.fixture
def site(
    make_site: MakeSite,
    engine: Engine,
    redis_server: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """The folder that the command runs in has this site's settings."""
    pipeline = {"kind": "webhook", "url": engine.url, "mode": "callback"}
    made = make_site(pipelines={"keep": pipeline}, redis={"url": redis_server.url})
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def job_id(site: Site) -> str:
    """Of a job whose engine has it."""
    return site.handed_over()


@pytest.fixture
def token(job_id: str, engine: Engine) -> str:
    return str(engine.requests[0].json["token"])


def finish(*words: str) -> tuple[int, str]:
    run = penstock("jobs", "finish", *words)
    return run.code, run.said.strip()


def test_a_success_is_taken_and_again_it_is_the_same(site: Site, job_id: str, token: str) -> None:
    words = (job_id, "--token", token, "--succeeded", "--message", "2 lesions")
    assert finish(*words) == (0, f"{job_id}: succeeded")
    assert site.folder(job_id).read().state is JobState.DONE
    last = history(site.redis, job_id)[-1]
    assert "2 lesions" in last.what
    assert last.who.startswith("engine@")
    assert finish(*words) == (0, f"{job_id}: succeeded")


def test_a_failure_may_say_that_another_attempt_can_help(
    site: Site, job_id: str, token: str
) -> None:
    assert finish(job_id, "--token", token, "--failed", "--retry") == (
        0,
        f"{job_id}: failed, and may be tried again",
    )
    assert site.steps()[job_id] == "retrying"


def test_what_is_refused_is_said_and_changes_nothing(site: Site, job_id: str, token: str) -> None:
    assert finish(job_id, "--token", "guess", "--succeeded") == (
        1,
        f"{job_id}: not taken: no attempt of this job has this token",
    )
    assert finish("nothing", "--token", token, "--succeeded")[0] == 1
    assert site.steps()[job_id] == "handed over"
    assert finish(job_id, "--token", token, "--failed")[0] == 0
    code, said = finish(job_id, "--token", token, "--succeeded")
    assert (code, said) == (1, f"{job_id}: not taken: attempt 1 is over: failed")


@pytest.mark.parametrize("words", [(), ("--succeeded", "--retry")])
def test_words_that_make_no_sense_are_a_fault_of_usage(
    site: Site, job_id: str, token: str, words: tuple[str, ...]
) -> None:
    assert finish(job_id, "--token", token, *words)[0] == 2
    assert site.steps()[job_id] == "handed over"


def test_with_redis_away_nothing_is_taken(
    site: Site, job_id: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://127.0.0.1:1")
    assert finish(job_id, "--token", token, "--succeeded")[0] == 69
    assert site.folder(job_id).read().result is None


def test_the_settings_are_checked_for_whether_the_engine_answers(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(url: str) -> Ran:
        pipelines = {"keep": {"kind": "webhook", "url": url}}
        Path("penstock.toml").write_text(tomli_w.dumps({"pipelines": pipelines}))
        return penstock("config", "check")

    assert check(engine.url).code == 0
    unreachable = check("http://127.0.0.1:1/x")
    assert unreachable.code == 1
    assert (
        "pipelines.keep: http://127.0.0.1:1/x: no connection: Connection refused"
        in unreachable.said
    )
