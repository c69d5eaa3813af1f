"""Associations that do not end by a release (R11): never committed; kept for a time, or gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.invariants import committed, content
from tests.support.receivers import ReceiverProcess
from tests.support.samples import data_set_of
from tests.support.scu import Scu
from tests.support.waiting import wait_for

UIDS = [f"1.2.{number}" for number in range(5)]


def silence(scu: Scu) -> None:
    """Says nothing more, and keeps the connection."""


def send(receiver: ReceiverProcess, *, within_an_instance: bool) -> Scu:
    """Five whole instances, and perhaps a part of another."""
    scu = receiver.associated()
    for uid in UIDS:
        assert scu.store(uid, content(uid)).status == 0
    if within_an_instance:
        scu.command(1, scu.store_request("1.2.99"))
        scu.data(1, content("1.2.99", 200_000)[:100_000], last=False)
    return scu


@pytest.fixture(scope="module", params=["1h", "0s"], ids=["kept for a time", "not kept"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {
        "storage": {"aborted_retention": request.param},
        "receiver": {"idle_timeout": "1s", "pdu_timeout": "1s"},
    }


@pytest.mark.parametrize("end", [Scu.abort, Scu.reset, Scu.close, silence])
@pytest.mark.parametrize("within_an_instance", [True, False], ids=["within", "after"])
def test_what_is_broken_off_is_never_committed(
    receiver: ReceiverProcess,
    settings: dict[str, Any],
    end: Callable[[Scu], None],
    within_an_instance: bool,
) -> None:
    with send(receiver, within_an_instance=within_an_instance) as scu:
        end(scu)
        wait_for(lambda: not own_folders(receiver))
    assert committed(receiver) == []
    if settings["storage"]["aborted_retention"] == "0s":
        assert receiver.aborted() == []
    else:
        check_set_apart(receiver)


def own_folders(receiver: ReceiverProcess) -> list[Path]:
    return list(receiver.tree.incoming.glob("*/*T*"))


def check_set_apart(receiver: ReceiverProcess) -> None:
    (folder,) = receiver.aborted()
    assert receiver.aborted_delivery().end == "aborted"
    assert {path.name for path in folder.glob("*.dcm")} == {f"{uid}.dcm" for uid in UIDS}
    for uid in UIDS:
        assert data_set_of(folder / f"{uid}.dcm") == content(uid)
    assert not list(folder.glob("*.part"))
