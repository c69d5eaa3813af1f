"""Whose data the embedded server may open."""

import json
from pathlib import Path

import pytest

from deploy.embedded_server import binary
from deploy.engine import Engine, WrongEngineError


def test_the_binary_of_the_package_says_who_it_is() -> None:
    engine = Engine.of(binary())
    assert engine.name == "valkey"
    assert int(engine.version.split(".")[0]) >= 9


def test_redis_own_words_are_understood_too(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc'\n")
    program.chmod(0o755)
    assert Engine.of(program) == Engine("redis", "7.0.15")


def test_a_program_that_is_no_engine_is_refused() -> None:
    with pytest.raises(WrongEngineError):
        Engine.of(Path("/bin/echo"))


def test_the_engine_is_noted_beside_the_data(tmp_path: Path) -> None:
    Engine("valkey", "9.1.2").take_over(tmp_path)
    assert json.loads((tmp_path / "engine.json").read_text()) == {
        "name": "valkey",
        "version": "9.1.2",
    }


def test_a_newer_engine_takes_over_and_the_older_one_is_then_refused(tmp_path: Path) -> None:
    Engine("valkey", "9.1.9").take_over(tmp_path)
    Engine("valkey", "9.1.10").take_over(tmp_path)
    with pytest.raises(WrongEngineError, match=r"written by valkey 9\.1\.10"):
        Engine("valkey", "9.1.9").take_over(tmp_path)


def test_another_engine_is_refused_whatever_its_version(tmp_path: Path) -> None:
    Engine("redis", "7.0.15").take_over(tmp_path)
    with pytest.raises(WrongEngineError, match="redis"):
        Engine("valkey", "9.1.2").take_over(tmp_path)


def test_data_that_nobody_signed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(WrongEngineError, match="whose"):
        Engine("valkey", "9.1.2").take_over(tmp_path)


@pytest.mark.parametrize(
    "note", ["", "[]", '{"name": "valkey"}', '{"name": "x", "version": "y"}', '{"version": 7}']
)
def test_a_note_that_cannot_be_read_is_refused(tmp_path: Path, note: str) -> None:
    (tmp_path / "engine.json").write_text(note)
    with pytest.raises(WrongEngineError, match="cannot be read"):
        Engine("valkey", "9.1.2").take_over(tmp_path)
