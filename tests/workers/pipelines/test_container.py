"""The recipes of docs/pipelines.md with `docker`, word for word, and containers that outlive."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker import Docker, recipes
from tests.support.waiting import wait_for
from tests.workers.site import Given, Site
from workers.steps.lease import StepWithdrawnError, StoppingError
from workers.steps.outcome import Done, Failed, TryAgain

RECIPES = recipes()
BRAIN, SPLEEN = "brain:1.4", "spleen-seg-x64-workstation-dgpu-linux-amd64:1.0"
SLEEP = "touch output/started; sleep 600; true"
MakeJob = Callable[..., tuple[Site, str]]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    docker = Docker(tmp_path / "docker")
    docker.build(BRAIN, "cp input/*.dcm output; echo made")
    # As the images of MONAI Deploy have it.
    variables = "HOLOSCAN_INPUT_PATH=/var/holoscan/input HOLOSCAN_OUTPUT_PATH=/var/holoscan/output"
    docker.build(SPLEEN, f'{variables}; cp ".$HOLOSCAN_INPUT_PATH"/* ".$HOLOSCAN_OUTPUT_PATH"')
    monkeypatch.setenv("PATH", docker.path)
    yield docker
    wait_for(lambda: docker.containers == [])


@pytest.fixture
def make_job(make_site: Callable[..., Site], docker: Docker) -> MakeJob:
    def make(recipe: str, **options: Any) -> tuple[Site, str]:
        section = RECIPES[recipe] | {"export_to": []} | options
        site = make_site(pipelines={"keep": section}, workers={"beat": "50ms"})
        return site, site.dispatched(Given("1.2.3"), Given("1.2.4"))

    return make


def started(site: Site, docker: Docker, job_id: str) -> str:
    """The container of a job, once its image runs."""
    wait_for(lambda: list(site.folder(job_id).path.glob("attempts/*/output/started")))
    wait_for(lambda: docker.containers)  # it has begun before it is listed
    (name,) = docker.containers
    return name


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_the_recipe_is_understood_and_its_image_makes_the_result(
    make_job: MakeJob, docker: Docker, recipe: str
) -> None:
    site, job_id = make_job(recipe)
    assert site.run_pipeline(job_id) == Done()
    attempt = site.folder(job_id).path / "attempts" / "1"
    assert {path.name for path in (attempt / "output").iterdir()} == {"1.2.3.dcm", "1.2.4.dcm"}
    (run,) = docker.runs
    assert run.name == f"penstock-{job_id}-1"
    assert run.user == f"{os.getuid()}:{os.getgid()}"
    (source, _, mode), (target, _) = run.volumes
    assert (source, mode, target) == (str(attempt / "input"), "ro", str(attempt / "output"))


def test_there_is_one_of_our_own_and_one_of_monai() -> None:
    assert sorted(RECIPES) == ["brain", "spleen"]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_at_the_timeout_the_container_ends_too(
    make_job: MakeJob, docker: Docker, recipe: str
) -> None:
    docker.build(BRAIN, SLEEP)
    docker.build(SPLEEN, "sleep 600; true")
    site, job_id = make_job(recipe, timeout="1s")
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert outcome.reason == "timed out after 1 s"
    wait_for(lambda: docker.containers == [])


@pytest.mark.parametrize("stops", [StepWithdrawnError, StoppingError])
def test_with_its_job_or_its_worker_the_container_ends_too(
    make_job: MakeJob, docker: Docker, stops: type[Exception]
) -> None:
    docker.build(BRAIN, SLEEP)
    site, job_id = make_job("brain")

    def stop() -> None:
        started(site, docker, job_id)
        if stops is StoppingError:
            site.context.stopping.set()
        else:
            site.gate.withdraw(job_id)

    threading.Thread(target=stop).start()
    with pytest.raises(stops):
        site.run_pipeline(job_id)
    wait_for(lambda: docker.containers == [])


def test_when_its_client_dies_the_container_ends_before_the_next_attempt(
    make_job: MakeJob, docker: Docker
) -> None:
    """Killed by the system for want of memory, say."""
    docker.build(BRAIN, SLEEP)
    site, job_id = make_job("brain")

    def kill() -> None:
        name = started(site, docker, job_id)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            words = path.read_bytes().decode(errors="replace").split("\0") if path.exists() else []
            if "run" in words and name in words:
                os.kill(int(path.parent.name), signal.SIGKILL)

    threading.Thread(target=kill).start()
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert outcome.reason == "ended by signal SIGKILL"
    wait_for(lambda: docker.containers == [])


def test_without_its_daemon_it_is_not_now(make_job: MakeJob, docker: Docker) -> None:
    docker.turn_off()
    site, job_id = make_job("brain", max_attempts=1)
    outcome = site.run_pipeline(job_id)
    assert isinstance(outcome, TryAgain)
    assert outcome.reason == "exit code 125"
    assert site.folder(job_id).attempts() == 0


def test_an_image_that_fails_has_its_exit_code(make_job: MakeJob, docker: Docker) -> None:
    docker.build(BRAIN, "exit 3")
    site, job_id = make_job("brain", max_attempts=1)
    assert site.run_pipeline(job_id) == Failed("exit code 3 (attempt 1 of 1)")
