"""SIGTERM under load (R16): open associations finish; a second one ends them by the abort path."""

import contextlib
import threading
import time
from pathlib import Path

from shared.upper_layer.c_services import EchoRequest
from shared.upper_layer.errors import LocalProtocolError
from shared.upper_layer.events import Aborted, MessageReceived, ReleaseConfirmed
from tests.faults.invariants import check_intact, content
from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.scu import Scu
from tests.support.waiting import wait_for

SENDERS = 5


class Sender(threading.Thread):
    """Stores one instance after another until it is told to release, or its peer aborts."""

    def __init__(self, scu: Scu, name: str) -> None:
        super().__init__()
        self.scu = scu
        self.title = name
        self.stored = 0
        self.enough = threading.Event()
        self.released = False

    def run(self) -> None:
        # Aborted, perhaps in the same breath as the last answer.
        with self.scu, contextlib.suppress(OSError, EOFError, LocalProtocolError):
            while not self.enough.is_set():
                uid = f"1.2.{self.stored}"
                self.scu.command(1, self.scu.store_request(uid))
                self.scu.data(1, content(uid, 20_000))
                answer = self.scu.event()
                if isinstance(answer, Aborted):
                    return
                assert isinstance(answer, MessageReceived)
                assert getattr(answer.message, "status", None) == 0
                self.stored += 1
            self.scu.ask_release()
            self.scu.expect(ReleaseConfirmed)
            self.released = True


def senders(receiver: ReceiverProcess) -> list[Sender]:
    """Each with an instance stored, and more on the way."""
    started = []
    for number in range(SENDERS):
        title = f"CT{number}"
        sender = Sender(receiver.associated(calling=title), title)
        sender.start()
        started.append(sender)
    wait_for(lambda: all(sender.stored for sender in started))
    return started


def is_draining(receiver: ReceiverProcess) -> bool:
    with receiver.scu() as scu:
        answer = scu.request()
        reject = getattr(answer, "reject", None)
        return reject is not None and (reject.result, reject.source, reject.reason) == (2, 3, 1)


def test_under_load_new_associations_are_refused_and_open_ones_finish(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        started = senders(receiver)
        receiver.terminate()
        wait_for(lambda: is_draining(receiver))
        stored = [sender.stored for sender in started]
        wait_for(lambda: all(s.stored > before for s, before in zip(started, stored, strict=True)))
        for sender in started:
            sender.enough.set()
            sender.join()
        assert receiver.exit_code() == 0
        assert all(sender.released for sender in started)
        deliveries = [check_intact(folder) for folder in receiver.committed()]
        assert {d.calling_ae_title: len(d.instances) for d in deliveries} == {
            sender.title: sender.stored for sender in started
        }
        assert list(receiver.tree.incoming.iterdir()) == []
        assert "Traceback" not in receiver.log()


def test_a_second_sigterm_under_load_aborts_what_is_open_and_commits_none_of_it(
    tmp_path: Path,
) -> None:
    with receiver_process(tmp_path) as receiver:
        started = senders(receiver)
        receiver.terminate()
        wait_for(lambda: is_draining(receiver))
        began = time.monotonic()
        receiver.terminate()
        assert receiver.exit_code() == 0
        assert time.monotonic() - began < 8, "the drain time is 30 s"
        for sender in started:
            sender.enough.set()
            sender.join()
            assert not sender.released
        assert receiver.committed() == []
        assert len(receiver.aborted()) == SENDERS
        assert list(receiver.tree.incoming.iterdir()) == []
        assert "Traceback" not in receiver.log()


def test_a_peer_that_reads_nothing_does_not_hold_up_the_second_sigterm(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = receiver.associated()
        assert scu.store("1.2.3", content("1.2.3")).status == 0
        fill_with_unread_answers(scu)
        receiver.terminate()
        wait_for(lambda: is_draining(receiver))
        began = time.monotonic()
        receiver.terminate()
        assert receiver.exit_code() == 0
        assert time.monotonic() - began < 8
        assert receiver.committed() == []
        assert len(receiver.aborted()) == 1
        assert list(receiver.tree.incoming.iterdir()) == []
        scu.close()


def fill_with_unread_answers(scu: Scu) -> None:
    """Asks until the receiver can neither answer nor take more questions."""
    questions = scu.requestor.send_command(3, EchoRequest(7)) * 1000
    scu.socket.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while True:
            scu.socket.sendall(questions)
