"""What was received is shared by all jobs of a delivery: whoever changes it has no result."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shared.job import Job
from tests.support.engine import Engine, Reply, Request
from tests.workers.site import Given, MakeSite, Site
from workers.attempts.callback import finish
from workers.attempts.handover import Told
from workers.steps.outcome import Done, Failed

WHILE_IT_RAN = Failed("1 of the received instances were changed while it ran")
Change = Callable[[Path], None]


def write_into(path: Path) -> None:
    path.chmod(0o640)
    with path.open("ab") as file:
        file.write(b"\0\0")


def write_into_and_touch_the_folder(path: Path) -> None:
    write_into(path)
    (path.parent / "further").touch()
    (path.parent / "further").unlink()


def replace(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(b"\0\0")
    new.rename(path)


def add_another(path: Path) -> None:
    path.with_name("1.2.9.dcm").write_bytes(b"\0\0")


CHANGES: list[Change] = [
    write_into,
    write_into_and_touch_the_folder,
    replace,
    Path.unlink,
    add_another,
]


def the_instance(request: Request) -> Path:
    return Path(request.json["input"]) / "1.2.3.dcm"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_engine_that_changed_its_input_has_no_result(
    make_site: MakeSite, engine: Engine, change: Change
) -> None:
    engine.replies = [Reply(meanwhile=lambda request: change(the_instance(request)))]
    site = make_site(pipelines={"keep": {"kind": "webhook", "url": engine.url}})
    job_id = site.dispatched(Given("1.2.3"), Given("1.2.4"))
    with capture_logs() as lines:
        assert site.run_pipeline(job_id) == WHILE_IT_RAN
    assert [line["log_level"] for line in lines if "changed" in line["event"]] == ["error"]


@pytest.mark.parametrize("told", [Told.SUCCEEDED, Told.RETRY])
def test_so_has_one_that_tells_later_however_it_ended(
    engine_site: Site, engine: Engine, told: Told
) -> None:
    site = engine_site
    job_id = site.handed_over()
    write_into(the_instance(engine.requests[0]))
    finish(site.context, job_id, engine.requests[0].json["token"], told)
    assert read(site, job_id).failure == WHILE_IT_RAN.reason


@pytest.mark.parametrize("end", ["exit 0", "exit 1", "exit 75"])
def test_so_has_a_program_however_it_ended(make_site: MakeSite, end: str) -> None:
    script = f'cd "$0"; chmod u+w 1.2.3.dcm; echo mine >> 1.2.3.dcm; {end}'
    pipeline = {"kind": "command", "command": ["sh", "-c", script, "{input}"]}
    site = make_site(pipelines={"keep": pipeline})
    assert site.run_pipeline(site.dispatched(Given("1.2.3"))) == WHILE_IT_RAN


def test_so_has_a_program_that_leaves_its_folders_and_gets_at_the_jobs(make_site: MakeSite) -> None:
    script = 'cd "$0/../../../input" && rm 1.2.3.dcm && echo mine > 1.2.3.dcm'
    pipeline = {"kind": "command", "command": ["sh", "-c", script, "{work}"]}
    site = make_site(pipelines={"keep": pipeline})
    assert site.run_pipeline(site.dispatched(Given("1.2.3"))) == WHILE_IT_RAN


@pytest.mark.parametrize("kind", ["command", "webhook", "forward"])
def test_nothing_more_is_made_of_what_was_changed(
    make_site: MakeSite, engine: Engine, tmp_path: Path, kind: str
) -> None:
    ran = tmp_path / "ran"
    sections = {
        "command": {"kind": "command", "command": ["touch", str(ran)]},
        "webhook": {"kind": "webhook", "url": engine.url},
        "forward": {"kind": "forward"},
    }
    site = make_site(pipelines={"keep": sections[kind]})
    job_id = site.dispatched(Given("1.2.3"))
    write_into(site.tree.deliveries / read(site, job_id).delivery / "1.2.3.dcm")
    before = Failed("1 of the received instances were changed before it ran")
    assert site.run_pipeline(job_id) == before
    assert not ran.exists()
    assert not engine.requests


def test_who_only_touches_or_replaces_it_by_the_same_has_changed_nothing(
    make_site: MakeSite, engine: Engine
) -> None:
    def touch(request: Request) -> None:
        path = the_instance(request)
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        os.utime(path.with_name("1.2.4.dcm"))

    engine.replies = [Reply(meanwhile=touch)]
    site = make_site(pipelines={"keep": {"kind": "webhook", "url": engine.url}})
    assert site.run_pipeline(site.dispatched(Given("1.2.3"), Given("1.2.4"))) == Done()


def read(site: Site, job_id: str) -> Job:
    return site.folder(job_id).read()
