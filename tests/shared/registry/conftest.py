import pytest
from redis import Redis

from shared.registry.gate import Gate
from shared.registry.step import Queue
from tests.shared.registry.steps import BRIEF, LONG


@pytest.fixture
def gate(redis: Redis) -> Gate:
    """Open, with more places than any test needs, and leases that outlast every test."""
    gate = Gate(redis, LONG)
    gate.open()
    gate.announce_places("worker-1", dict.fromkeys(Queue, 100))
    return gate


@pytest.fixture
def brief(redis: Redis, gate: Gate) -> Gate:
    """The same gate, as one sees it who asks for leases that run out at once."""
    return Gate(redis, BRIEF)
