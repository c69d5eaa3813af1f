import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workers.exports.sent_log import Sent, SentLog
from workers.exports.store_status import Verdict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sent-PACS.log"


@contextmanager
def opened(path: Path, round_: int = 0, whole_round: int = 0) -> Iterator[SentLog]:
    log = SentLog.try_open(path, round_, whole_round)
    assert log is not None
    with log:
        yield log


def test_a_reopened_log_knows_what_is_final(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
        log.record("sub folder/b.dcm", Verdict.WARNING, 0xB000)
        log.record("c.dcm", Verdict.FAILED, 0xC000)
        log.record("d.dcm", Verdict.FAILED, None)
        log.record("e.dcm", Verdict.LATER, 0xA700)
        log.record("f.dcm", Verdict.UNKNOWN, None)
        final = dict(log.final)
    assert final == {
        "a.dcm": Sent(Verdict.DELIVERED, 0x0000),
        "sub folder/b.dcm": Sent(Verdict.WARNING, 0xB000),
        "c.dcm": Sent(Verdict.FAILED, 0xC000),
        "d.dcm": Sent(Verdict.FAILED, None),
    }
    with opened(path) as log:
        assert log.final == final
        assert log.count(Verdict.FAILED) == 2
        assert log.count(Verdict.DELIVERED) == 1
        assert log.count(Verdict.LATER) == 0


def test_what_the_destination_keeps_is_known_and_what_it_misses_is_owed_again(path: Path) -> None:
    with opened(path) as log:
        for name in ("a.dcm", "b.dcm", "c.dcm"):
            log.record(name, Verdict.DELIVERED, 0x0000)
        log.commit("a.dcm")
        log.commit("b.dcm")
        log.miss("c.dcm", 0x0112)
        log.miss("b.dcm", None)
    for round_ in (0, 1):
        with opened(path, round_) as log:
            assert log.committed == {"a.dcm"}
            assert set(log.final) == {"a.dcm"}
            assert log.answers("c.dcm", 0x0112) == 0  # no answer to a C-STORE
    with opened(path) as log:
        log.record("c.dcm", Verdict.WARNING, 0xB000)
        assert log.final["c.dcm"] == Sent(Verdict.WARNING, 0xB000)


def test_in_a_whole_round_all_is_owed_once_more_and_once_only(path: Path) -> None:
    with opened(path) as log:
        for name in ("a.dcm", "b.dcm"):
            log.record(name, Verdict.DELIVERED, 0x0000)
            log.commit(name)
    with opened(path, 1, 1) as log:
        assert (log.final, log.committed, log.whole_round) == ({}, set(), 1)
        assert log.was_sent("a.dcm")
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
    for round_ in (1, 2):
        with opened(path, round_, 1) as log:
            assert (set(log.final), log.whole_round) == ({"a.dcm"}, 1)


def test_a_whole_round_that_was_never_begun_is_not_skipped_by_a_later_one(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
    with opened(path, 2, 1) as log:
        assert log.final == {}


def test_what_was_to_be_sent_later_becomes_final_once_it_is_sent(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.LATER, 0xA700)
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
    with opened(path) as log:
        assert log.final == {"a.dcm": Sent(Verdict.DELIVERED, 0x0000)}


def test_it_counts_how_often_a_file_got_a_status_over_all_senders(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.LATER, 0x0110)
        log.record("b.dcm", Verdict.LATER, 0x0110)
        log.record("a.dcm", Verdict.LATER, 0xA700)
    with opened(path) as log:
        assert log.answers("a.dcm", 0x0110) == 1
        log.record("a.dcm", Verdict.LATER, 0x0110)
        assert log.answers("a.dcm", 0x0110) == 2
        assert log.answers("a.dcm", 0x0122) == 0


def test_it_knows_when_the_first_sender_began(path: Path) -> None:
    with opened(path) as log:
        begun = log.begun
    with opened(path) as log:
        assert log.begun == pytest.approx(begun, abs=0.01)
        first = log.begun
    with opened(path) as log:
        assert log.begun == first


def test_a_further_round_takes_up_what_had_failed_and_only_that(path: Path) -> None:
    path.write_text("1000.000 BEGUN ---- \n")
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
        log.record("b.dcm", Verdict.WARNING, 0xB000)
        log.record("c.dcm", Verdict.LATER, 0x0110)
        log.record("c.dcm", Verdict.FAILED, 0x0110)
        log.record("d.dcm", Verdict.FAILED, None)
        assert log.begun == 1000
    for _ in range(2):  # begun once, however often it is opened
        with opened(path, 1) as log:
            assert list(log.final) == ["a.dcm", "b.dcm"]
            assert log.answers("c.dcm", 0x0110) == 0
            assert log.begun > 1000
    with opened(path, 1) as log:
        log.record("c.dcm", Verdict.FAILED, 0xC000)
        log.record("d.dcm", Verdict.DELIVERED, 0x0000)
    with opened(path, 1) as log:
        assert list(log.final) == ["a.dcm", "b.dcm", "c.dcm", "d.dcm"]
    with opened(path, 2) as log:
        assert list(log.final) == ["a.dcm", "b.dcm", "d.dcm"]
    assert path.read_text().count(" ROUND ") == 2


def test_wherever_a_crash_tears_it_only_the_torn_line_is_lost(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0x0000)
        log.record("b.dcm", Verdict.FAILED, 0xC000)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with opened(path) as log:
            expected = ["a.dcm"] if length >= len(lines[0] + lines[1]) else []
            assert list(log.final) == expected, length
            log.record("z.dcm", Verdict.DELIVERED, 0)
        with opened(path) as log:
            assert list(log.final) == [*expected, "z.dcm"], length


@pytest.mark.parametrize(
    "name",
    ["two\nlines.dcm", "Ä\u2028.dcm", "a b  c.dcm", "100%41.dcm", "\udcff\udc80.dcm", " .dcm"],
)
def test_a_result_may_have_any_name(path: Path, name: str) -> None:
    with opened(path) as log:
        log.record(name, Verdict.DELIVERED, 0)
        log.record("a.dcm", Verdict.FAILED, 0xC000)
    with opened(path) as log:
        assert list(log.final) == [name, "a.dcm"]


def test_a_second_sender_does_not_get_it(path: Path) -> None:
    with opened(path):
        assert SentLog.try_open(path) is None
    with opened(path):
        pass


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file of this process gets longer: what a full disk does, in the middle of a line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_log_that_cannot_be_read_is_left_free_for_the_next_sender(path: Path) -> None:
    path.write_text("damaged\n")
    with pytest.raises(ValueError, match="damaged"):
        SentLog.try_open(path)
    path.write_text("")
    with opened(path):
        pass


def test_a_full_disk_is_an_error_and_nothing_counts_that_is_not_written(path: Path) -> None:
    with opened(path) as log:
        log.record("a.dcm", Verdict.DELIVERED, 0)
        size = path.stat().st_size
        with files_limited_to(size + 5), pytest.raises(OSError, match="No space left"):
            log.record("b.dcm", Verdict.DELIVERED, 0)
        assert path.stat().st_size == size + 5
        assert list(log.final) == ["a.dcm"]
    with opened(path) as log:
        assert list(log.final) == ["a.dcm"]
