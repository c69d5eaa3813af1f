from redis import Redis

from shared.registry import keys
from shared.registry.associations import list_associations, remember
from tests.support.associations import ended_association


def test_the_newest_comes_first_as_it_was_remembered(redis: Redis) -> None:
    first, second = ended_association(1), ended_association(2, end="refused", cause="1,1,7")
    remember(redis, [first, second])
    assert list_associations(redis) == [second, first]
    assert list_associations(redis, limit=1) == [second]


def test_it_is_found_by_its_titles_and_its_end_however_far_back(redis: Redis) -> None:
    wanted = ended_association(1, calling="MR\x0702", called="HEART", end="aborted", cause="peer")
    remember(redis, [wanted, *map(ended_association, range(2, 1500))])
    assert list_associations(redis, calling="MR\x0702") == [wanted]
    assert list_associations(redis, called="HEART", end="aborted") == [wanted]
    assert list_associations(redis, called="HEART", end="released") == []


def test_what_was_told_twice_is_listed_once(redis: Redis) -> None:
    remember(redis, [ended_association(1), ended_association(2)])
    remember(redis, [ended_association(1), ended_association(2), ended_association(3)])
    assert [ended.id[-1] for ended in list_associations(redis)] == ["3", "2", "1"]


def test_only_the_newest_ten_thousand_are_kept(redis: Redis) -> None:
    remember(redis, map(ended_association, range(10_500)))
    assert 10_000 <= redis.xlen(keys.ASSOCIATIONS) < 10_200
