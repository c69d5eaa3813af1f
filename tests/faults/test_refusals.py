"""Who may not associate (R1, R13): told the code, nothing after it, and a line in the log."""

from typing import Any

import pytest

from tests.faults.invariants import committed, content, uids
from tests.support.receivers import ReceiverProcess
from tests.support.waiting import wait_for

TITLES = [
    {"title": "BRAIN", "pipeline": "keep"},
    {"title": "CLOSED", "pipeline": "keep", "allowed_calling": ["MR02"]},
    {"title": "ELSEWHERE", "pipeline": "keep", "allowed_calling": ["CT01@10.0.0.0/8"]},
]


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return {"ae_titles": TITLES}


def check_nothing_outside(receiver: ReceiverProcess) -> None:
    root = receiver.tree.root
    assert list(root.parent.iterdir()) == [root]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        pytest.param({"called": "WHO"}, (1, 1, 7), id="unknown called AE title"),
        pytest.param({"called": "CLOSED"}, (1, 1, 3), id="caller not allowed"),
        pytest.param({"called": "ELSEWHERE"}, (1, 1, 3), id="right title, wrong address"),
    ],
)
def test_who_may_not_associate_is_told_the_code_and_nothing_more(
    receiver: ReceiverProcess, request_: dict[str, str], code: tuple[int, int, int]
) -> None:
    said_before = len(receiver.log())
    for _ in range(5):
        # Fails if any byte comes between the A-ASSOCIATE-RJ and the end of the connection.
        assert receiver.scu().rejection(**request_) == code
    line = f"reason='{','.join(map(str, code))} "
    wait_for(lambda: receiver.log()[said_before:].count(line) == 5)


@pytest.mark.parametrize(
    "title", ["../../etc/x", "BRAIN/..", "BR\x00AIN", "BR\nAIN", "\x1b[2J", "", "brain"]
)
def test_a_called_ae_title_that_is_not_ours_is_not_recognized(
    receiver: ReceiverProcess, title: str
) -> None:
    assert receiver.scu().rejection(called=title) == (1, 1, 7)


@pytest.mark.parametrize("title", ["CT\x0001", "CT\n01", "\x1b[2J", "CT\\01", ""])
def test_a_calling_ae_title_that_is_none_is_not_recognized(
    receiver: ReceiverProcess, title: str
) -> None:
    assert receiver.scu().rejection(calling=title) == (1, 1, 3)


@pytest.mark.parametrize("title", ["../../../../x", "/etc/passwd", ".", "..", "CT 01", "CT*"])
def test_a_calling_ae_title_like_a_path_is_a_name_and_nothing_else(
    receiver: ReceiverProcess, title: str
) -> None:
    with receiver.associated(calling=title) as scu:
        assert scu.store("1.2.3", content("1.2.3")).status == 0
        scu.release()
    (delivery,) = committed(receiver)
    assert delivery.calling_ae_title == title
    check_nothing_outside(receiver)


@pytest.mark.parametrize(
    "uid",
    ["../x", "../../../../x", "/tmp/x", "", "1" * 65, "1.2\x003", "1.2\n", "1.2.a", ".1", "\xe9"],
)
def test_what_is_no_uid_is_refused_and_writes_nothing(receiver: ReceiverProcess, uid: str) -> None:
    with receiver.associated() as scu:
        assert scu.store(uid, content("x", 50_000)).status == 0x0117
        assert receiver.incoming() == []
        assert scu.store("1.2.3", content("1.2.3")).status == 0
        scu.release()
    (delivery,) = committed(receiver)
    assert (uids(delivery), delivery.refused) == (["1.2.3"], 1)
    check_nothing_outside(receiver)
