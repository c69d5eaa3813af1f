"""dcmjs-dimse, a JavaScript SCU that transcodes to whatever was accepted."""

from pathlib import Path

import pydicom

from tests.peers.tools import run, stored
from tests.support.receivers import LocalReceiver
from tests.support.samples import sample_file

SCRIPT = Path(__file__).parent / "dcmjs" / "send.js"
FILES = ["CT_small.dcm", "MR_small.dcm"]


def send(receiver: LocalReceiver, *files: Path, called: str = "BRAIN") -> tuple[int, list[str]]:
    """The exit code, and the status of each answer."""
    said = run("node", SCRIPT, "127.0.0.1", receiver.port, called, *files)
    statuses = [line for line in said.stdout.splitlines() if len(line) == 4]
    return said.returncode, statuses


def test_its_echo_is_answered(receiver: LocalReceiver) -> None:
    assert send(receiver) == (0, ["0000"])


def test_it_learns_that_it_is_refused(receiver: LocalReceiver) -> None:
    assert send(receiver, called="NOBODY") == (1, [])


def test_what_it_sends_is_in_the_transfer_syntax_that_was_accepted(
    receiver: LocalReceiver,
) -> None:
    assert send(receiver, *map(sample_file, FILES)) == (0, ["0000", "0000"])
    kept = stored(receiver)
    assert len(kept) == len(FILES)
    for name in FILES:
        original = pydicom.dcmread(sample_file(name))
        instance, path = kept[original.SOPInstanceUID]
        sent = pydicom.dcmread(path)
        assert sent.file_meta.TransferSyntaxUID == instance.transfer_syntax_uid
        assert sent.PatientName == original.PatientName
        assert sent.PixelData == original.PixelData  # uncompressed in both
