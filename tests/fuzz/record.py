"""Records what real senders say to us, as seeds for the fuzzer: python -m tests.fuzz.record"""

import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.fuzz.target import FRESH
from tests.support.programs import program
from tests.support.receivers import LocalReceiver, local_receiver
from tests.support.samples import sample_file

CORPUS = Path(__file__).parent / "corpus"
_SAMPLE = "rtplan.dcm"  # a small one


def _recorded(receiver: LocalReceiver, send: Callable[[int], object]) -> bytes:
    """What a sender says to the port that it is given; it is answered by the receiver."""
    said = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = threading.Thread(target=send, args=(listener.getsockname()[1],))
        sender.start()
        peer, _ = listener.accept()
    with peer, socket.create_connection(receiver.address) as ours:
        answers = threading.Thread(target=_pass_on, args=(ours, peer))
        answers.start()
        while data := peer.recv(65536):
            said += data
            ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        answers.join()
    sender.join()
    return bytes(said)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)  # some senders wait for it after an A-ABORT


def _tool(name: str, *options: str) -> Callable[[int], object]:
    found = program(name)

    def send(port: int) -> None:
        words = [option.replace("PORT", str(port)) for option in options]
        subprocess.run([found, *words], check=False, capture_output=True, timeout=60)

    return send


def _pynetdicom(port: int) -> None:
    ae = AE(ae_title="PYNETDICOM")
    sample = dcmread(sample_file(_SAMPLE))
    ae.add_requested_context(sample.SOPClassUID)
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title="BRAIN")
    association.send_c_echo()
    association.send_c_store(sample)
    association.release()


def main() -> None:
    dcmtk = ("-aec", "BRAIN", "127.0.0.1", "PORT")
    path = str(sample_file(_SAMPLE))
    senders = {
        "echoscu": _tool("echoscu", *dcmtk),
        "storescu": _tool("storescu", "-R", *dcmtk, path),
        "storescu-128-contexts": _tool("storescu", *dcmtk, path),
        "storescu-abort": _tool("storescu", "-R", "--abort", *dcmtk, path),
        "dcmsend": _tool("dcmsend", *dcmtk, path),
        "gdcmscu-echo": _tool("gdcmscu", "--echo", "--call", "BRAIN", "127.0.0.1", "PORT"),
        "gdcmscu": _tool("gdcmscu", "--store", "--call", "BRAIN", "127.0.0.1", "PORT", path),
        "pynetdicom": _pynetdicom,
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        local_receiver(Path(folder)) as receiver,
    ):
        for name, send in senders.items():
            (CORPUS / name).write_bytes(bytes((FRESH, 0)) + _recorded(receiver, send))


if __name__ == "__main__":
    main()
