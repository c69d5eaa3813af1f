"""GDCM's gdcmscu.

It dies after every release, whoever its peer is, and takes its last words with it: what became of
its association is for our log to tell.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.tools import run, stored
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.samples import data_set_of, sample_file
from tests.support.waiting import wait_for


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[ReceiverProcess]:
    with receiver_process(tmp_path) as running:
        yield running


def gdcmscu(receiver: ReceiverProcess, *options: object, called: str = "BRAIN") -> str:
    """Our line in the log on it."""
    run("gdcmscu", *options, "--aetitle", "GDCM", "--call", called, *map(str, receiver.address))
    lines = wait_for(
        lambda: [line for line in receiver.log().splitlines() if "association ended" in line]
    )
    return lines[0]


def test_its_echo_is_answered(receiver: ReceiverProcess) -> None:
    # Without an answer it would ask for no release.
    assert "end=released" in gdcmscu(receiver, "--echo")


def test_it_is_refused_where_nobody_is_called(receiver: ReceiverProcess) -> None:
    assert "end=refused" in gdcmscu(receiver, "--echo", called="NOBODY")


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "ExplVR_BigEnd.dcm", "GDCMJ2K_TextGBR.dcm"]
)
def test_what_it_sends_is_kept_byte_for_byte(receiver: ReceiverProcess, name: str) -> None:
    assert "end=released" in gdcmscu(receiver, "--store", "-i", sample_file(name))
    ((_, path),) = stored(receiver).values()
    assert data_set_of(path) == data_set_of(sample_file(name))


def test_several_files_come_in_one_association(receiver: ReceiverProcess) -> None:
    files = [
        word for name in ("CT_small.dcm", "MR_small.dcm") for word in ("-i", sample_file(name))
    ]
    assert "end=released" in gdcmscu(receiver, "--store", *files)
    assert len(receiver.delivery().instances) == 2
