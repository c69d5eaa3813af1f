"""How many instances a second go to a destination."""

import time
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from shared.registry.gate import Gate
from tests.shared.registry.steps import let_pass, server_time


def paced_start(gate: Gate, redis: Redis, destination: str, per_second: float) -> float:
    """The server's time when an instance may start, at the latest."""
    while wait := gate.pace(destination, per_second):
        assert 0 < wait <= 1 / per_second
        time.sleep(wait)
    return server_time(redis)


def test_the_first_instance_starts_at_once_and_the_next_waits(gate: Gate):
    assert gate.pace("PACS", 0.001) == 0
    assert 900 < gate.pace("PACS", 0.001) <= 1000


def test_asking_in_vain_costs_nothing(gate: Gate):
    gate.pace("PACS", 0.001)
    for _ in range(5):
        assert gate.pace("PACS", 0.001) <= 1000


def test_destinations_have_a_pace_each(gate: Gate):
    assert gate.pace("PACS", 0.001) == 0
    assert gate.pace("ARCHIVE", 0.001) == 0


def test_many_senders_together_hold_the_rate(redis: Redis, gate: Gate):
    before = server_time(redis)
    with ThreadPoolExecutor(4) as pool:
        starts = sorted(pool.map(lambda _: paced_start(gate, redis, "PACS", 50), range(16)))
    for number, at in enumerate(starts):
        assert at - before > number / 50 - 0.002


def test_time_without_a_send_is_not_saved_up(redis: Redis, gate: Gate):
    assert gate.pace("PACS", 20) == 0
    let_pass(redis, 0.15)
    assert gate.pace("PACS", 0.001) == 0
    assert gate.pace("PACS", 0.001) > 0
