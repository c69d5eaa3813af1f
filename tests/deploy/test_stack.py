"""The parts of `penstock up`, and what it says of itself."""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from deploy.embedded_server import ServerDirectoryInUseError
from deploy.processes.part import Part
from deploy.stack import PortUnavailableError, Stack
from shared.settings import Settings, load
from tests.support.waiting import wait_for

ROUTED = """
[[ae_titles]]
title = "BRAIN [red]"
pipelines = ["segment", "archive"]

[pipelines.segment]
kind = "command"
command = ["segment", "{input}"]
export_to = ["PACS"]

[pipelines.archive]
kind = "forward"
export_to = ["PACS", "VNA"]

[destinations.PACS]
ae_title = "ORTHANC"
host = "pacs.example"
port = 4242

[destinations.VNA]
ae_title = "VNA"
host = "vna.example"
port = 104
"""


@pytest.fixture(autouse=True)
def _free_ports_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", "0")
    monkeypatch.setenv("PENSTOCK_FLOWER__PORT", "0")


def written(text: str) -> Settings:
    Path("penstock.toml").write_text(text)
    return load()


def described(settings: Settings) -> str:
    with Stack(settings) as stack:
        out = io.StringIO()
        stack.describe(Console(file=out, width=200))
    return out.getvalue()


def by_name(stack: Stack) -> dict[str, Part]:
    return {part.name: part for stage in stack.stages() for part in stage}


def test_the_intake_opens_last_and_the_records_come_first() -> None:
    with Stack(load()) as stack:
        names = [[part.name for part in stage] for stage in stack.stages()]
    assert names == [["redis"], ["exports", "pipelines", "flower"], ["receiver"]]


def test_flower_is_left_out_where_it_is_not_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_FLOWER__ENABLED", "false")
    with Stack(load()) as stack:
        assert "flower" not in by_name(stack)
    assert "not enabled" in described(load())


def test_nothing_waits_until_flower_answers() -> None:
    with Stack(load()) as stack:
        assert by_name(stack)["flower"].is_ready is None


def test_the_parts_are_the_commands_verbs_with_the_same_settings_file() -> None:
    with Stack(load(), Path("/etc/site.toml")) as stack:
        parts = by_name(stack)
    start = [sys.executable, "-P", "-m", "deploy", "--config", "/etc/site.toml"]
    assert parts["receiver"].argv == [*start, "receive"]
    assert parts["flower"].argv == [*start, "flower"]
    exports = ["work", "--queues", "dispatch,export", "--name", "exports"]
    assert parts["exports"].argv == [*start, *exports]
    pipelines = ["work", "--queues", "pipeline", "--name", "pipelines"]
    assert parts["pipelines"].argv == [*start, *pipelines]


def test_without_a_settings_file_none_is_passed_on() -> None:
    with Stack(load()) as stack:
        assert by_name(stack)["receiver"].argv == [sys.executable, "-P", "-m", "deploy", "receive"]


def test_the_parts_read_the_ports_and_the_url_that_were_picked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Stack(load()) as stack:
        for name, value in by_name(stack)["exports"].environment.items():
            monkeypatch.setenv(name, value)
        in_a_part = load()
        assert in_a_part.model_dump() == stack.settings.model_dump()
    assert in_a_part.receiver.port
    assert in_a_part.flower.port
    assert in_a_part.redis.url
    assert len({in_a_part.receiver.port, in_a_part.flower.port, stack.server_port}) == 3


def test_the_port_of_tls_is_picked_too_and_is_waited_for_where_it_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"CERTIFICATE": "a.crt", "KEY": "a.key", "PORT": "0"}.items():
        monkeypatch.setenv(f"PENSTOCK_RECEIVER__TLS__{name}", value)
    monkeypatch.setenv("PENSTOCK_RECEIVER__PLAIN", "false")
    with Stack(load()) as stack:
        assert stack.tls_port
        assert stack.settings.receiver.served_port == stack.tls_port
        assert f"127.0.0.1:{stack.tls_port}" in described(stack.settings)
        for name, value in by_name(stack)["receiver"].environment.items():
            monkeypatch.setenv(name, value)
        assert load().model_dump() == stack.settings.model_dump()


def test_where_http_is_asked_for_it_gets_a_port_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "/metrics" not in described(load())
    monkeypatch.setenv("PENSTOCK_RECEIVER__HTTP__PORT", "0")
    with Stack(load()) as stack:
        out = io.StringIO()
        stack.describe(Console(file=out, width=200))
        port = stack.settings.receiver.http.port
        environment = by_name(stack)["receiver"].environment
    assert port
    assert environment["PENSTOCK_RECEIVER__HTTP__PORT"] == str(port)
    assert f"http://127.0.0.1:{port}/metrics" in out.getvalue()


def test_parts_have_their_drain_time_and_some_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_RECEIVER__DRAIN_TIMEOUT", "90s")
    monkeypatch.setenv("PENSTOCK_WORKERS__DRAIN_TIMEOUT", "70s")
    with Stack(load()) as stack:
        parts = by_name(stack)
    assert parts["receiver"].grace == 95
    assert parts["exports"].grace == parts["pipelines"].grace == 75


def test_a_redis_of_the_settings_takes_the_embedded_ones_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://user:secret@redis.example:6379/2")
    with Stack(load()) as stack:
        parts = by_name(stack)
        assert "redis" not in parts
        assert "PENSTOCK_REDIS__URL" not in parts["exports"].environment
    assert not (tmp_path / "data" / "redis").exists()
    text = described(load())
    assert "redis://redis.example:6379/2" in text
    assert "secret" not in text


def test_a_port_that_is_taken_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PENSTOCK_RECEIVER__PORT", str(port))
        with pytest.raises(PortUnavailableError, match=rf"^receiver: 127\.0\.0\.1:{port}: "):
            Stack(load())


def test_a_host_that_is_not_ours_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_FLOWER__HOST", "192.0.2.1")
    monkeypatch.setenv("PENSTOCK_FLOWER__BASIC_AUTH", "user:password")
    with pytest.raises(PortUnavailableError, match=r"^flower: "):
        Stack(load())


def test_two_stacks_never_share_a_storage() -> None:
    settings = load()
    with Stack(settings), pytest.raises(ServerDirectoryInUseError), Stack(settings):
        pass
    with Stack(settings):
        pass


def test_the_server_part_gets_ready_and_keeps_the_claim_for_as_long_as_it_runs() -> None:
    settings = load()
    with Stack(settings) as stack:
        part = by_name(stack)["redis"]
        assert part.is_ready is not None
        assert not part.is_ready()
        server = subprocess.Popen(part.argv, pass_fds=part.descriptors)
    try:
        wait_for(part.is_ready)
        with pytest.raises(ServerDirectoryInUseError), Stack(settings):
            pass
    finally:
        server.terminate()
        server.wait(10)
    with Stack(settings):
        pass


def test_it_says_who_gets_what_and_where_to_send() -> None:
    with Stack(written(ROUTED)) as stack:
        out = io.StringIO()
        stack.describe(Console(file=out, width=200))
    text = out.getvalue()
    assert "BRAIN [red]" in text
    assert "segment (command), archive (forward)" in text
    assert "PACS (ORTHANC at pacs.example:4242), VNA (VNA at vna.example:104)" in text
    assert f"127.0.0.1:{stack.receiver_port}" in text
    assert f"http://127.0.0.1:{stack.flower_port}" in text
    assert f"embedded, data in {stack.settings.storage.root / 'redis'}" in text
    assert "No penstock.toml" not in text


def test_the_address_of_flower_has_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_FLOWER__URL_PREFIX", "monitor/flower")
    with Stack(load()) as stack:
        port = stack.flower_port
        assert f"http://127.0.0.1:{port}/monitor/flower/" in described(stack.settings)


def test_for_every_interface_it_names_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_RECEIVER__HOST", "0.0.0.0")
    text = described(load())
    assert f"{socket.gethostname()}:" in text
    assert "from this machine only" not in text


def test_without_a_settings_file_it_says_what_the_defaults_do(tmp_path: Path) -> None:
    text = " ".join(described(load()).split())
    assert "No penstock.toml: the defaults apply. PENSTOCK takes instances" in text
    assert "from this machine only" in text
    assert f"keeps them in {tmp_path / 'data' / 'deliveries'} for 7d" in text
    assert "penstock config init" in text


def test_a_disk_that_is_too_full_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    space = os.statvfs(tmp_path)
    monkeypatch.setenv("PENSTOCK_STORAGE__WATERMARK_PERCENT", "0.000001")
    monkeypatch.setenv("PENSTOCK_STORAGE__RESERVE_GB", str(2 * space.f_blocks * space.f_frsize))
    text = described(load())
    assert "storage.watermark_percent is 1e-06" in text
    assert "storage.reserve_gb is" in text


def test_a_disk_with_room_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_STORAGE__WATERMARK_PERCENT", "100")
    monkeypatch.setenv("PENSTOCK_STORAGE__RESERVE_GB", "0")
    assert "Refusing" not in described(load())
