"""Flower's rows outlive its process; no fault of its database keeps it from starting."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.flower import ask, rows, wait_until_it_listens, write_deadly_rows
from tests.support.gateway import Gateway
from tests.support.samples import sample_file
from tests.support.waiting import wait_for

PIPELINE: dict[str, Any] = {
    "ae_titles": [{"title": "ROUTER", "pipeline": "route"}],
    "pipelines": {"route": {"kind": "forward"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """That of the database."""
    folder = tmp_path / "storage" / "flower"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def alone(tmp_path: Path, folder: Path) -> Iterator[Gateway]:
    """Flower with nothing to show, not started yet."""
    with Gateway(tmp_path, ()) as gateway:
        yield gateway


def _start(gateway: Gateway) -> None:
    gateway.start("flower")
    wait_for(lambda: serves(gateway), 30)


def serves(gateway: Gateway) -> bool:
    try:
        return ask(gateway, "/healthcheck").text == "OK"
    except OSError:
        return False


def _log(gateway: Gateway) -> str:
    return (gateway.folder / "flower.log").read_text()


def test_rows_are_there_again_after_it_was_killed_or_stopped(tmp_path: Path, folder: Path) -> None:
    parts = ("flower", "receiver", "exports", "pipelines")
    with Gateway(tmp_path, parts, **PIPELINE, flower={"save_interval": "1s"}) as gateway:
        wait_until_it_listens(gateway)
        gateway.storescu(sample_file("CT_small.dcm"), called="ROUTER")
        job = gateway.wait_for_job()
        row = wait_for(lambda: _succeeded(gateway, job.id), 30)
        seen = time.time()
        wait_for(lambda: _saved_since(folder, seen), 30)
        gateway.kill("flower")
        _start(gateway)
        assert rows(gateway)[job.id] == row

        gateway.process("flower").terminate()
        assert gateway.process("flower").wait(15) == 0
        _start(gateway)
        assert rows(gateway)[job.id] == row


def _succeeded(gateway: Gateway, step: str) -> dict[str, Any]:
    row: dict[str, Any] = rows(gateway).get(step, {})
    return row if row.get("state") == "SUCCESS" else {}


def _saved_since(folder: Path, seen: float) -> bool:
    files = list(folder.glob("tasks*"))
    return bool(files) and all(file.stat().st_mtime > seen for file in files)


@pytest.mark.parametrize("damage", [b"", b"\0" * 4096, b"no database\n" * 500])
def test_a_database_that_cannot_be_read_is_put_aside(
    alone: Gateway, folder: Path, damage: bytes
) -> None:
    _start(alone)
    alone.process("flower").terminate()
    assert alone.process("flower").wait(15) == 0
    files = list(folder.glob("tasks*"))
    assert files
    for file in files:
        file.write_bytes(damage)
    _start(alone)


def test_a_database_that_ends_its_reader_is_put_aside_at_the_next_start(
    alone: Gateway, folder: Path
) -> None:
    write_deadly_rows(folder)
    names = {file.name for file in folder.glob("tasks*")}
    alone.start("flower")
    assert alone.process("flower").wait(30) != 0
    _start(alone)
    assert "rows put aside: Flower ended while it read them" in _log(alone)
    assert {f"damaged-{name}" for name in names} <= {file.name for file in folder.iterdir()}


def test_a_second_one_on_the_same_storage_serves_too_and_keeps_no_rows(
    alone: Gateway, tmp_path: Path
) -> None:
    _start(alone)
    other = tmp_path / "other"
    other.mkdir()
    with Gateway(other, (), storage={"root": str(tmp_path / "storage")}) as second:
        _start(second)
        assert "another Flower keeps its own there" in _log(second)


def test_where_nothing_can_be_written_it_serves_too(alone: Gateway, folder: Path) -> None:
    folder.rmdir()
    folder.write_text("not a folder")
    _start(alone)
    assert "rows are not kept" in _log(alone)
