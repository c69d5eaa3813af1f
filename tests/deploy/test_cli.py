"""The command's words and exit codes, as scripts rely on them."""

import json
import socket
import tomllib
from pathlib import Path

import pytest
import tomli_w

from tests.support.command import penstock
from tests.support.samples import sample_file


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_config_init_writes_a_file_that_config_check_finds_well(tmp_path: Path) -> None:
    assert penstock("config", "init").code == 0
    assert (tmp_path / "penstock.toml").exists()
    assert penstock("config", "check").code == 0


def test_config_init_never_overwrites() -> None:
    Path("penstock.toml").write_text("mine")
    assert penstock("config", "init").code == 2
    assert Path("penstock.toml").read_text() == "mine"


def test_config_check_names_every_fault() -> None:
    Path("penstock.toml").write_text(
        '[receiver]\nport = 99999\nprot = 1\n[[ae_titles]]\ntitle = "A"\npipeline = "nowhere"\n'
    )
    result = penstock("config", "check")
    assert result.code == 2
    assert "receiver.port" in result.said
    assert "99999" in result.said
    assert "receiver.prot: no such setting" in result.said


def test_config_check_names_an_ae_title_whose_pipeline_does_not_exist() -> None:
    Path("penstock.toml").write_text('[[ae_titles]]\ntitle = "A"\npipeline = "nowhere"\n')
    result = penstock("config", "check")
    assert result.code == 2
    assert "ae_titles.0.pipeline: no pipeline is named 'nowhere'" in result.said


def test_config_check_finds_a_program_that_is_not_there() -> None:
    Path("penstock.toml").write_text(
        '[[ae_titles]]\ntitle = "A"\npipeline = "p"\n'
        '[pipelines.p]\nkind = "command"\ncommand = ["no-such-program"]\n'
    )
    result = penstock("config", "check")
    assert result.code == 1
    assert "no-such-program" in result.said


def test_config_show_prints_toml_that_says_what_is_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "104")
    shown = tomllib.loads(penstock("config", "show").said)
    assert shown["receiver"]["port"] == 104
    assert shown["storage"]["job_retention"] == "7d"
    assert json.loads(penstock("config", "show", "--json").said)["receiver"]["port"] == 104


def test_config_show_masks_the_password_of_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://:s3cret@redis.example")
    for words in (["config", "show"], ["config", "show", "--json"]):
        assert "s3cret" not in penstock(*words).said


def test_jobs_without_a_redis_to_ask_has_an_exit_code_of_its_own() -> None:
    result = penstock("jobs")
    assert result.code == 69
    assert "no redis.url" in result.said


def test_jobs_with_a_redis_that_does_not_answer_has_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://127.0.0.1:1")
    result = penstock("jobs")
    assert result.code == 69
    assert "does not answer" in result.said


def test_send_says_that_nobody_listens() -> None:
    result = penstock("send", sample_file("CT_small.dcm"), "127.0.0.1", "1", "-aec", "X")
    assert result.code == 1
    assert "no connection to 127.0.0.1:1" in result.said


def test_send_refuses_what_is_not_a_dicom_file(tmp_path: Path) -> None:
    (tmp_path / "notes.dcm").write_text("no")
    result = penstock("send", tmp_path, "127.0.0.1", "1")
    assert result.code == 2
    assert "DICM" in result.said


def test_a_worker_for_pipelines_takes_nothing_else() -> None:
    result = penstock("work", "--queues", "pipeline,export")
    assert result.code == 2
    assert "worker of their own" in result.said


def test_a_receiver_whose_port_is_taken_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"storage": {"root": "data"}, "receiver": {"port": port}}
        Path("penstock.toml").write_text(tomli_w.dumps(settings))
        result = penstock("receive")
    assert result.code == 1
    assert "Address already in use" in result.said
    assert str(port) in result.said
    assert list((tmp_path / "data" / "incoming").iterdir()) == []
