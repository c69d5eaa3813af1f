"""New settings for a worker that runs."""

import signal
from pathlib import Path

from shared.registry import keys
from tests.support.gateway import Gateway
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
