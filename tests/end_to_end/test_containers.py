"""A container of the documented recipe, when its worker is killed and when its job is cancelled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.job_state import JobState
from tests.support.docker import Docker, recipes
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Docker]:
    """The image runs until there is a file `end` in its output."""
    docker = Docker(tmp_path / "docker")
    docker.build("brain:1.4", "while ! [ -e output/end ]; do sleep 0.1; done")
    yield docker
    wait_for(lambda: docker.containers == [])


def gateway(folder: Path, docker: Docker) -> Gateway:
    return Gateway(
        folder,
        environment={"PATH": docker.path},
        ae_titles=[{"title": "AI", "pipeline": "brain"}],
        pipelines={"brain": recipes()["brain"] | {"export_to": []}},
    )


def test_what_a_killed_worker_left_in_a_container_ends_before_the_next_attempt(
    tmp_path: Path, docker: Docker
) -> None:
    with gateway(tmp_path, docker) as running:
        running.storescu(sample_file("CT_small.dcm"), called="AI")
        (first,) = wait_for(lambda: docker.containers, 60)
        running.kill("pipelines")
        assert docker.containers == [first]
        running.start("pipelines")
        wait_for(lambda: len(docker.runs) == 2, 60)
        (second,) = wait_for(lambda: docker.containers)
        assert second == docker.runs[1].name != first
        (output,) = running.tree.jobs.glob("*/attempts/2/output")
        (output / "end").touch()
        running.wait_for_job(timeout=60)


def test_with_its_job_a_container_ends(tmp_path: Path, docker: Docker) -> None:
    with gateway(tmp_path, docker) as running:
        running.storescu(sample_file("CT_small.dcm"), called="AI")
        wait_for(lambda: docker.containers, 60)
        (job,) = running.jobs()
        assert running.penstock("jobs", "cancel", job.id).returncode == 0
        wait_for(lambda: docker.containers == [], 60)
        running.wait_for_job(JobState.CANCELLED)
