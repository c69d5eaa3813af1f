"""Flower shows each step as one row, with its state and its retries."""

import json
import re
from pathlib import Path
from typing import Any

from shared.job_state import JobState
from tests.support.destinations import Archive
from tests.support.flower import ask, rows, wait_until_it_listens
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

ROUTER: dict[str, Any] = {
    "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
    "pipelines": {"route": {"kind": "forward"}},
}
PARTS = ("flower", "receiver", "exports", "pipelines")


def test_a_step_that_was_tried_again_is_one_row_with_its_retries(tmp_path: Path) -> None:
    with (
        Archive(statuses=(0xA700,) * 1000) as archive,
        Gateway(
            tmp_path,
            PARTS,
            ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
            pipelines={"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        wait_until_it_listens(gateway)
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job(JobState.EXPORTING)
        export = f"{job.id}.ARCHIVE"

        def shown(state: str, retries: int) -> dict[str, Any]:
            tasks = rows(gateway)
            row = tasks.get(export, {"state": None})
            return tasks if row["state"] == state and row["retries"] >= retries else {}

        tasks = wait_for(lambda: shown("RETRY", 2), 30)
        assert "A700" in tasks[export]["exception"]
        archive.statuses.clear()
        tasks = wait_for(lambda: shown("SUCCESS", 2), 30)
        # Beside them perhaps the probe of the destination, after its third failure.
        kinds = {job.delivery: "dispatch", job.id: "pipeline", export: "export"}
        assert {name: tasks[name]["name"] for name in kinds} == {
            name: f"penstock.{kind}" for name, kind in kinds.items()
        }
        assert {task["state"] for task in tasks.values()} == {"SUCCESS"}
        assert tasks[job.id]["retries"] == 0
        assert tasks[job.delivery]["args"].startswith(f"['{job.delivery}', '")  # ids, no more


def test_a_step_that_failed_for_good_is_shown_with_its_reason(tmp_path: Path) -> None:
    with Gateway(
        tmp_path,
        PARTS,
        ae_titles=[{"title": "BROKEN", "pipeline": "broken"}],
        pipelines={"broken": {"kind": "command", "command": ["false"], "max_attempts": 1}},
    ) as gateway:
        wait_until_it_listens(gateway)
        gateway.storescu(sample_file("CT_small.dcm"), called="BROKEN")
        job = gateway.wait_for_job(JobState.FAILED)
        row = wait_for(lambda: _row_in(gateway, job.id, "FAILURE"))
        assert row["exception"] == "StepFailedError('exit code 1 (attempt 1 of 1)')"
        (shown,) = (row for row in _page(gateway) if row["uuid"] == job.id)
        assert shown["exception"] == "exit code 1 (attempt 1 of 1)"  # the reason alone


_TABLE = "/tasks/datatable?draw=1&start=0&length=50&order[0][column]=0&columns[0][data]=name"


def _page(gateway: Gateway) -> list[dict[str, Any]]:
    """The rows of the page of tasks, as its table asks for them."""
    page: list[dict[str, Any]] = json.loads(ask(gateway, _TABLE).text)["data"]
    return page


def _row_in(gateway: Gateway, step: str, state: str) -> dict[str, Any]:
    row: dict[str, Any] = rows(gateway).get(step, {})
    return row if row.get("state") == state else {}


def test_prometheus_reads_the_counts_of_a_job_from_it(tmp_path: Path) -> None:
    with Gateway(tmp_path, PARTS, **ROUTER) as gateway:
        wait_until_it_listens(gateway)
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job()
        wait_for(lambda: _row_in(gateway, job.id, "SUCCESS"))
        metrics = ask(gateway, "/metrics")
        assert metrics.status == 200
        found = re.findall(
            r'flower_events_total{task="(.+)",type="task-succeeded",worker="(\w+)@.+"} (.+)',
            metrics.text,
        )
        assert sorted(found) == [
            ("penstock.dispatch", "exports", "1.0"),
            ("penstock.pipeline", "pipelines", "1.0"),
        ]


def test_nothing_that_it_shows_is_of_the_patient(tmp_path: Path) -> None:
    canaries = "CompressedSamples^CT1", "1CT1"  # name and ID
    tells_all = ["sh", "-c", "cat {input}/*.dcm; cat {input}/*.dcm >&2; exit 7"]
    with (
        Archive(statuses=(0xA700,)) as archive,
        Gateway(
            tmp_path,
            PARTS,
            ae_titles=[{"title": "BOTH", "pipelines": ["route", "tell"]}],
            pipelines={
                "route": {"kind": "forward", "export_to": ["ARCHIVE"]},
                "tell": {"kind": "command", "command": tells_all, "max_attempts": 1},
            },
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        wait_until_it_listens(gateway)
        source = sample_file("CT_small.dcm")
        assert all(canary.encode() in source.read_bytes() for canary in canaries)
        gateway.storescu(source, called="BOTH")
        tasks = wait_for(lambda: _all_over(gateway, 4), 30)
        assert {task["state"] for task in tasks.values()} == {"SUCCESS", "FAILURE"}
        workers = wait_for(lambda: _known_workers(gateway), 30)
        pages = [
            *("/", "/workers", "/tasks", _TABLE, "/broker", "/metrics"),
            *("/api/tasks", "/api/task/types", "/api/queues/length", "/api/workers"),
            *(f"/{kind}/{task}" for kind in ("task", "api/task/info") for task in tasks),
            *(f"/worker/{worker}" for worker in workers),
        ]
        for page in pages:
            answer = ask(gateway, page)
            assert answer.status == 200, page
            assert not [canary for canary in canaries if canary in answer.text], page


def _all_over(gateway: Gateway, count: int) -> dict[str, Any]:
    tasks = rows(gateway)
    over = [task for task in tasks.values() if task["state"] in ("SUCCESS", "FAILURE")]
    return tasks if len(over) == count else {}


def _known_workers(gateway: Gateway) -> dict[str, Any]:
    workers: dict[str, Any] = json.loads(ask(gateway, "/api/workers?refresh=1").text)
    return workers if len(workers) == 2 else {}


def test_it_hears_of_steps_again_after_redis_was_killed(tmp_path: Path) -> None:
    with Gateway(tmp_path, PARTS, **ROUTER) as gateway:
        wait_until_it_listens(gateway)
        gateway.kill_redis()
        gateway.server.start()
        wait_until_it_listens(gateway)
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job()
        wait_for(lambda: _row_in(gateway, job.id, "SUCCESS"))
