"""The troubles, each a block that begins and ends it; the names are those of the list of faults."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from tests.soak.world import DESTINATIONS, EXPORTERS, LEASE, PIPELINES, World
from tests.support.counted import OUT_OF_RESOURCES, Script, Visit, takes_all


class Kind(NamedTuple):
    begin: Callable[[World, str], AbstractContextManager[None]]
    targets: tuple[str, ...]
    lasts: tuple[float, float]  # seconds, from and to


@contextmanager
def _killed(world: World, part: str) -> Iterator[None]:
    world.kill(part)
    yield
    world.gateway.start(part)


@contextmanager
def _suspended(world: World, part: str) -> Iterator[None]:
    with world.gateway.suspended(part):
        yield


@contextmanager
def _redis_away(world: World, _: str) -> Iterator[None]:
    world.kill_redis()
    yield
    world.gateway.server.start()


@contextmanager
def _redis_restarted_twice(world: World, _: str) -> Iterator[None]:
    for _ in range(2):
        world.kill_redis()
        world.gateway.server.start()
    yield


@contextmanager
def _connections_reset(world: World, _: str) -> Iterator[None]:
    with world.gateway.redis as redis:
        for _ in range(10):
            for kind in ("normal", "pubsub"):
                redis.client_kill_filter(_type=kind, skipme=True)
            time.sleep(0.05)
    yield


@contextmanager
def _redis_emptied(world: World, _: str) -> Iterator[None]:
    with world.gateway.redis as redis:
        redis.flushall()
    yield


@contextmanager
def _down(world: World, name: str) -> Iterator[None]:
    world.destinations[name].go_down()
    yield
    world.destinations[name].come_up()


def _behaving(script: Script) -> Callable[[World, str], AbstractContextManager[None]]:
    @contextmanager
    def behaving(world: World, name: str) -> Iterator[None]:
        world.destinations[name].script = script
        yield
        world.destinations[name].script = takes_all

    return behaving


def _hangs(visit: Visit) -> None:
    visit.accept()
    if visit.take_up_to(1):
        visit.be_silent()


def _aborts(visit: Visit) -> None:
    visit.accept()
    if visit.take_up_to(2):
        visit.abort()


def _resets(visit: Visit) -> None:
    """With an instance that it has, and that the sender does not know it to have."""
    visit.accept()
    if visit.take_up_to(2):
        visit.take(None)
        visit.reset()


def _is_short_of_resources(visit: Visit) -> None:
    visit.accept()
    if visit.take_up_to(1):
        visit.take(OUT_OF_RESOURCES)
        visit.take_all()


_SHORTLY, _FOR_A_WHILE, _PAST_THE_LEASE = (0.1, 1.5), (1.0, 4.0), (LEASE + 0.5, LEASE + 2)

TROUBLES = {
    "R10 killed": Kind(_killed, ("receiver",), _SHORTLY),
    "D1 away": Kind(_redis_away, ("redis",), _FOR_A_WHILE),
    "D2 restarted twice": Kind(_redis_restarted_twice, ("redis",), (0, 0)),
    "D2 resets connections": Kind(_connections_reset, ("redis",), (0, 0)),
    "D3 emptied": Kind(_redis_emptied, ("redis",), (0, 0)),
    "D5 killed": Kind(_killed, PIPELINES, _SHORTLY),
    "D5 suspended": Kind(_suspended, PIPELINES, _PAST_THE_LEASE),
    "E1 down": Kind(_down, DESTINATIONS, _FOR_A_WHILE),
    "E1 silent": Kind(_behaving(Visit.be_silent), DESTINATIONS, _FOR_A_WHILE),
    "E1 hangs": Kind(_behaving(_hangs), DESTINATIONS, _FOR_A_WHILE),
    "E3 short of resources": Kind(_behaving(_is_short_of_resources), DESTINATIONS, _FOR_A_WHILE),
    "E4 aborts": Kind(_behaving(_aborts), DESTINATIONS, _FOR_A_WHILE),
    "E4 resets": Kind(_behaving(_resets), DESTINATIONS, _FOR_A_WHILE),
    "E5 killed": Kind(_killed, EXPORTERS, _SHORTLY),
}
