"""Many processes and threads at one gate."""

import os
import subprocess
import sys
from pathlib import Path

from redis import Redis

from deploy.embedded_server import EmbeddedServer
from shared.registry.gate import Gate
from tests.shared.registry.hammer import MOST, RUNS
from tests.shared.registry.steps import QUEUE, step

STEPS, PROCESSES = 150, 3
CAPS = {QUEUE: 4, "one": 1, "three": 3}


def test_grants_from_many_processes_never_exceed_a_cap_and_every_step_is_done(
    redis: Redis, gate: Gate, redis_server: EmbeddedServer
):
    gate.set_caps(CAPS)
    for number in range(STEPS):
        gate.submit(step(f"{number}", "one" if number % 3 == 0 else "three"))
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.shared.registry.hammer",
                redis_server.url,
                f"process-{number}",
                str(STEPS),
            ],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        for number in range(PROCESSES)
    ]
    try:
        assert [process.wait(60) for process in processes] == [0] * PROCESSES
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert int(redis.scard("test:done")) == STEPS
    runs = [int(times) for times in redis.hgetall(RUNS).values()]
    assert len(runs) == STEPS
    assert set(runs) == {1, 2}
    most = {name: max(map(int, redis.zrange(MOST + name, 0, -1))) for name in CAPS}
    assert all(most[name] <= cap for name, cap in CAPS.items()), most
    assert most[QUEUE] > 1  # they did get in each other's way
