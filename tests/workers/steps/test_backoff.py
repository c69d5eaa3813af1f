from workers.steps.backoff import full_jitter

MANY = 500


def test_a_delay_lies_anywhere_below_a_bound_that_doubles() -> None:
    for attempt, bound in [(1, 2.0), (2, 4.0), (3, 8.0)]:
        delays = [full_jitter(attempt, 2, 300) for _ in range(MANY)]
        assert 0 <= min(delays) < bound / 4
        assert bound * 3 / 4 < max(delays) <= bound


def test_no_delay_is_longer_than_the_longest() -> None:
    delays = [full_jitter(attempt, 2, 300) for attempt in (8, 100, 10**6) for _ in range(MANY)]
    assert 200 < max(delays) <= 300
