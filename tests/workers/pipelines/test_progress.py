import pytest

from workers.pipelines import progress as progress_module
from workers.pipelines.progress import Progress


@pytest.fixture
def told() -> list[float]:
    return []


@pytest.fixture
def progress(told: list[float], monkeypatch: pytest.MonkeyPatch) -> Progress:
    monkeypatch.setattr(progress_module, "_PERIOD", 0.0)
    return Progress(told.append)


def taken(progress: Progress, *pieces: bytes) -> None:
    for piece in pieces:
        progress.take(piece)
        progress.tell()


@pytest.mark.parametrize(
    ("line", "fraction"),
    [
        (b"PENSTOCK_PROGRESS 0.4 loading the model", 0.4),
        (b"PENSTOCK_PROGRESS 0", 0),
        (b"PENSTOCK_PROGRESS\t1", 1),
        (b"PENSTOCK_PROGRESS 1.00\r", 1),
        (b"PENSTOCK_PROGRESS .5", 0.5),
    ],
)
def test_a_fraction_is_told(
    progress: Progress, told: list[float], line: bytes, fraction: float
) -> None:
    taken(progress, b"before\n" + line + b"\nafter\n")
    assert told == [fraction]


@pytest.mark.parametrize(
    "line",
    [
        b"PENSTOCK_PROGRESS 40 %",
        b"PENSTOCK_PROGRESS 1.5",
        b"PENSTOCK_PROGRESS -0.5",
        b"PENSTOCK_PROGRESS 0.5x",
        b"PENSTOCK_PROGRESS nan",
        b"PENSTOCK_PROGRESS",
        b"now PENSTOCK_PROGRESS 0.5",
        b"PENSTOCK_PROGRESS0.5",
    ],
)
def test_anything_else_is_not(progress: Progress, told: list[float], line: bytes) -> None:
    taken(progress, line + b"\n")
    assert told == []


def test_a_line_may_come_in_pieces_and_counts_when_it_is_whole(
    progress: Progress, told: list[float]
) -> None:
    for byte in b"PENSTOCK_PROGRESS 0.25":
        taken(progress, bytes([byte]))
    assert told == []
    taken(progress, b"\nPENSTOCK_PROGRESS 0.5 half")
    taken(progress, b" of it\n")
    assert told == [0.25, 0.5]


def test_a_line_without_end_takes_no_memory(progress: Progress, told: list[float]) -> None:
    for _ in range(100):
        taken(progress, bytes(1 << 16))
    assert len(progress._rest) < 1000
    taken(progress, b"\nPENSTOCK_PROGRESS 0.5\n")
    assert told == [0.5]


def test_it_is_not_told_more_often_than_once_a_period_and_the_last_word_not_lost(
    progress: Progress, told: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_PERIOD", 60.0)
    for percent in range(100):
        taken(progress, b"PENSTOCK_PROGRESS 0.%02d\n" % percent)
    assert told == [0.0]
    monkeypatch.setattr(progress_module, "_PERIOD", 0.0)
    progress.tell()
    assert told == [0.0, 0.99]
    progress.tell()
    assert told == [0.0, 0.99]
