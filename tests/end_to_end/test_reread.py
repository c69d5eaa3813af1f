"""New settings for a worker that runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.registry import keys
from tests.support.gateway import ENVIRONMENT, VERBS, Gateway
from tests.support.process import held_signals
from tests.support.waiting import wait_for


def test_a_worker_that_is_told_gives_the_gate_the_new_caps_and_goes_on(tmp_path: Path) -> None:
    with Gateway(tmp_path, parts=["exports"], exporter={"max_concurrent_sends": 3}) as gateway:
        worker, redis = gateway.process("exports"), gateway.redis
        log = tmp_path / "exports.log"
        wait_for(lambda: redis.hget(keys.CAPS, "export") == "3", 30)
        good = gateway.config.read_text()
        gateway.config.write_text(good.replace("= 3", "= 5"))
        wait_for(lambda: redis.hlen(f"{keys.PLACES}export"), 30)
        worker.send_signal(signal.SIGHUP)
        wait_for(lambda: redis.hget(keys.CAPS, "export") == "5")
        gateway.config.write_text(good.replace("= 3", "= 0"))
        worker.send_signal(signal.SIGHUP)
        wait_for(lambda: "new settings refused" in log.read_text())
        assert redis.hget(keys.CAPS, "export") == "5"
        assert worker.poll() is None


@pytest.mark.parametrize(
    ("verb", "listening"),
    [
        (["up"], "send to"),
        (VERBS["receiver"], "receiving"),
        (VERBS["exports"], "settings read"),
    ],
    ids=["up", "receiver", "worker"],
)
def test_a_hangup_ends_nobody_who_does_not_listen_yet(
    verb: list[str], listening: str, tmp_path: Path
) -> None:
    log = tmp_path / "program.log"
    with Gateway(tmp_path, parts=[]) as gateway, log.open("wb") as output:
        program = subprocess.Popen(
            [sys.executable, "-P", "-m", "deploy", "-c", str(gateway.config), *verb],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,  # without a terminal, as a service
        )
        try:
            wait_for(lambda: signal.SIGHUP in held_signals(program.pid), 30)
            while listening not in log.read_text():
                assert program.poll() is None, log.read_text()
                program.send_signal(signal.SIGHUP)
                time.sleep(0.02)
        finally:
            program.terminate()
            assert program.wait(30) == 0
