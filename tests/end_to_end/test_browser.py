"""Flower's page of tasks in a real browser, Chromium; `make screenshot` runs it.

It takes the picture that docs/dashboard.md shows.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.study import make_study
from deploy.system import free_port
from shared.job_state import JobState
from tests.support.destinations import HOST, Archive
from tests.support.flower import wait_until_it_listens
from tests.support.gateway import REPOSITORY, Gateway
from tests.support.waiting import wait_for

pytestmark = pytest.mark.browser

PICTURE = REPOSITORY / "docs" / "images" / "flower-tasks.png"
Row = dict[str, str]  # cells by their column's name


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # only `make screenshot` installs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser.new_page(viewport={"width": 1840, "height": 740})
        browser.close()


@pytest.fixture
def busy() -> Iterator[Archive]:
    """A destination that refuses what it gets until it is told otherwise."""
    with Archive(statuses=(0xA700,) * 1000) as archive:
        yield archive


@pytest.fixture
def gateway(tmp_path: Path, busy: Archive) -> Iterator[Gateway]:
    """Each of its AE titles gets on in another way."""
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ("flower", "receiver", "exports", "pipelines"),
            ae_titles=[
                {"title": "DEMO", "pipeline": "copy"},
                {"title": "ROUTER", "pipeline": "route"},
                {"title": "BROKEN", "pipeline": "broken"},
            ],
            pipelines={
                "copy": {
                    "kind": "command",
                    "command": ["cp", "-R", "{input}/.", "{output}"],
                    "export_to": ["ARCHIVE"],
                },
                "route": {"kind": "forward", "export_to": ["BUSY", "DOWN"]},
                "broken": {"kind": "command", "command": ["false"], "max_attempts": 1},
            },
            destinations={
                "ARCHIVE": archive.settings(),
                "BUSY": busy.settings(),
                "DOWN": {"ae_title": "DOWN", "host": HOST, "port": free_port(HOST)},
            },
        ) as gateway,
    ):
        wait_until_it_listens(gateway)
        yield gateway


def test_each_step_is_a_row_with_its_state_its_reason_and_its_retries(
    gateway: Gateway, busy: Archive, page: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    study = make_study(folder)
    for title in ("DEMO", "ROUTER", "BROKEN"):
        sent = gateway.penstock("send", *map(str, study), HOST, str(gateway.port), "-aec", title)
        assert sent.returncode == 0, sent.stderr
    done = wait_for(lambda: gateway.jobs(JobState.DONE), 30)[0]
    failed = wait_for(lambda: gateway.jobs(JobState.FAILED), 30)[0]
    routed = wait_for(lambda: gateway.jobs(JobState.EXPORTING), 30)[0]

    retrying = _wait_for_row(page, gateway, f"{routed.id}.BUSY", _is("RETRY", retries=2))
    assert retrying["exception"] == "BUSY: status A700"
    busy.statuses.clear()
    delivered = _wait_for_row(page, gateway, f"{routed.id}.BUSY", _is("SUCCESS", retries=2))
    assert delivered["name"] == "penstock.export"
    broken = _wait_for_row(page, gateway, failed.id, _is("FAILURE"))
    assert broken["exception"] == "exit code 1 (attempt 1 of 1)"

    rows = _rows(page, gateway)
    assert {uuid: row["name"] for uuid, row in rows.items()} == {
        **{job.delivery: "penstock.dispatch" for job in (done, failed, routed)},
        **{job.id: "penstock.pipeline" for job in (done, failed, routed)},
        f"{done.id}.ARCHIVE": "penstock.export",
        f"{routed.id}.BUSY": "penstock.export",
        f"{routed.id}.DOWN": "penstock.export",
    }
    _wait_for_row(page, gateway, f"{routed.id}.DOWN", _is("RETRY", retries=1))
    PICTURE.parent.mkdir(exist_ok=True)
    page.screenshot(path=PICTURE)
    assert PICTURE.stat().st_size < 200_000


def _is(state: str, retries: int = 0) -> Callable[[Row], bool]:
    return lambda row: row["state"] == state and int(row["retries"] or 0) >= retries


def _wait_for_row(page: Any, gateway: Gateway, uuid: str, enough: Callable[[Row], bool]) -> Row:
    def found() -> Row | None:
        row = _rows(page, gateway).get(uuid)
        return row if row is not None and enough(row) else None

    return wait_for(found, 60)


def _rows(page: Any, gateway: Gateway) -> dict[str, Row]:
    """What the page shows when it is opened anew, by UUID."""
    page.goto(f"http://{HOST}:{gateway.flower_port}/tasks")
    page.wait_for_selector("#tasks-table tbody tr")
    heads = page.locator("#tasks-table thead th").evaluate_all(
        "heads => heads.map(head => head.dataset.column)"
    )
    lines = page.locator("#tasks-table tbody tr").all()
    cells = [line.locator("td").all_inner_texts() for line in lines]
    found = [dict(zip(heads, row, strict=True)) for row in cells if len(row) == len(heads)]
    assert len({row["uuid"] for row in found}) == len(found)  # one row a step
    return {row["uuid"]: row for row in found}
