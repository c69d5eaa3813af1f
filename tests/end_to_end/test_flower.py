"""Flower shows each step as one row, with its state and its retries."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from deploy.system import accepts_connections
from shared.job import JobState
from tests.support.destinations import HOST, Archive
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for


def _tasks(gateway: Gateway) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{HOST}:{gateway.flower_port}/api/tasks") as answer:
        tasks: dict[str, Any] = json.load(answer)
        return tasks


def test_a_step_that_was_tried_again_is_one_row_with_its_retries(tmp_path: Path) -> None:
    with (
        Archive(statuses=(0xA700,) * 1000) as archive,
        Gateway(
            tmp_path,
            ("flower", "receiver", "exports", "pipelines"),
            ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
            pipelines={"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        wait_for(lambda: accepts_connections(HOST, gateway.flower_port), 30)
        # It serves before it listens: what happens until then it never hears of. Subscribed
        # are then the workers, to their remote control, and Flower, to their events.
        wait_for(lambda: gateway.redis.pubsub_numpat() == 2, 30)
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job(JobState.EXPORTING)
        export = f"{job.id}.ARCHIVE"

        def rows(state: str, retries: int) -> dict[str, Any]:
            tasks = _tasks(gateway)
            row = tasks.get(export, {"state": None})
            return tasks if row["state"] == state and row["retries"] >= retries else {}

        tasks = wait_for(lambda: rows("RETRY", 2), 30)
        assert "A700" in tasks[export]["exception"]
        archive.statuses.clear()
        tasks = wait_for(lambda: rows("SUCCESS", 2), 30)
        assert {name: task["name"] for name, task in tasks.items()} == {
            job.delivery: "penstock.dispatch",
            job.id: "penstock.pipeline",
            export: "penstock.export",
        }
        assert {task["state"] for task in tasks.values()} == {"SUCCESS"}
        assert tasks[job.id]["retries"] == 0
        assert tasks[job.delivery]["args"].startswith(f"['{job.delivery}', '")  # ids, no more
