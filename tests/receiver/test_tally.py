import threading

from receiver.tally import COMMIT_BOUNDS, Tally


def test_it_counts_what_it_is_told() -> None:
    tally = Tally()
    tally.responded(0, kept=100)
    tally.responded(0, kept=0)  # the same instance again
    tally.responded(0xA700, kept=0)
    tally.ended("released", "")
    tally.ended("refused", "1,1,7")
    tally.ended("refused", "1,1,7")
    counts = tally.counts()
    assert counts.statuses == {0: 2, 0xA700: 1}
    assert (counts.instances, counts.bytes) == (1, 100)
    assert counts.associations == {("released", ""): 1, ("refused", "1,1,7"): 2}


def test_a_commit_counts_under_the_first_bound_that_it_was_within() -> None:
    tally = Tally()
    for seconds in (0.005, 0.006, 31):
        tally.committed(seconds)
    assert tally.counts().commits == (1, 1, *[0] * (len(COMMIT_BOUNDS) - 2), 1)
    assert round(tally.counts().commit_seconds, 3) == 31.011


def test_no_count_of_many_threads_is_lost() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(5000):
            tally.responded(0, kept=1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.counts().statuses == {0: 20_000}
