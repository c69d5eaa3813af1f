"""The log: one event a line, for machines where nobody looks on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPEAK = """
import logging, sys, structlog
from shared.log import configure
from shared.settings.sections import Log
configure(Log(level=sys.argv[1], format=sys.argv[2]), "receiver")
log = structlog.get_logger()
log.debug("a debug word")
with structlog.contextvars.bound_contextvars(delivery="20261122T104907-3f9c2a41d07e"):
    log.info("committed", instances=3)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broke")
logging.getLogger("kombu").info("chatter")
logging.getLogger("kombu").warning("connection %s", "lost")
"""


def spoken(level: str, form: str) -> str:
    root = str(Path(__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "-c", SPEAK, level, form],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert run.stdout == ""
    return run.stderr


@pytest.mark.parametrize("form", ["json", "auto"])
def test_each_event_is_one_line_of_json_with_part_time_level_and_context(form: str):
    lines: list[dict[str, Any]] = [json.loads(line) for line in spoken("info", form).splitlines()]
    assert [line["event"] for line in lines] == ["committed", "broke", "connection lost"]
    assert all(line["part"] == "receiver" for line in lines)
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert [line["level"] for line in lines] == ["info", "error", "warning"]
    assert lines[0]["delivery"] == "20261122T104907-3f9c2a41d07e"
    assert lines[0]["instances"] == 3
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "delivery" not in lines[1]


def test_the_level_is_the_least_that_is_told():
    assert "a debug word" in spoken("debug", "json")
    told = spoken("error", "json")
    assert "committed" not in told
    assert "connection lost" not in told
    assert "broke" in told


def test_for_people_it_is_text():
    told = spoken("info", "console")
    assert "committed" in told
    assert not told.startswith("{")
