from redis import Redis

from shared.registry import keys
from shared.registry.receivers import PERIOD, beat, leave, receivers
from tests.support.associations import receiver_state


def test_a_receiver_is_read_as_it_told_of_itself(redis: Redis) -> None:
    busy = receiver_state(id="b", port=2, draining=True, storage_full=True)
    idle = receiver_state(id="a", port=1, associations=0)
    for state in (busy, idle):
        beat(redis, state)
    assert receivers(redis) == [idle, busy]
    beat(redis, idle.model_copy(update={"associations": 7}))
    assert [state.associations for state in receivers(redis)] == [7, 3]


def test_one_that_stops_is_gone_at_once(redis: Redis) -> None:
    beat(redis, receiver_state())
    leave(redis, receiver_state().id)
    assert receivers(redis) == []
    assert redis.keys(f"{keys.PREFIX}receiver*") == []


def test_one_that_is_silent_is_forgotten(redis: Redis) -> None:
    beat(redis, receiver_state())
    key = keys.RECEIVER + receiver_state().id
    assert 2 * PERIOD < redis.ttl(key) <= 15
    redis.delete(key)  # as it is once that time is over
    assert receivers(redis) == []
