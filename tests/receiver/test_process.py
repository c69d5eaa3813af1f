"""The receiver as a process: signals, sudden death, limits."""

import contextlib
import resource
import time
from pathlib import Path

from tests.support.receivers import ReceiverProcess, receiver_process
from tests.support.samples import data_set
from tests.support.scu import ECHO_CONTEXT, Scu
from tests.support.waiting import wait_for


def sending(receiver: ReceiverProcess) -> Scu:
    """One instance stored, another under way."""
    scu = receiver.associated()
    assert scu.store("1.2.3", data_set(1000)).status == 0
    scu.command(1, scu.store_request("1.2.4"))
    scu.data(1, data_set(100_000)[:50_000], last=False)
    return scu


def refuses_storage(receiver: ReceiverProcess) -> bool:
    """A peer that asks before the signal is heeded is still admitted."""
    scu = receiver.scu()
    answer = scu.request()
    scu.close()
    return getattr(answer, "reject", None) is not None


def test_killed_within_a_data_set_it_has_committed_nothing(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = sending(receiver)
        wait_for(lambda: list(tmp_path.glob("incoming/*/*/*.part")))
        receiver.kill()
        assert receiver.committed() == receiver.aborted() == []
        (folder,) = receiver.incoming()
        assert (folder / "association.json").exists()
        scu.close()


def test_what_was_released_outlives_a_kill(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = receiver.associated()
        scu.store("1.2.3", data_set(1000))
        scu.release()
        receiver.kill()
        assert len(receiver.delivery().instances) == 1


def test_sigterm_lets_open_associations_finish_and_refuses_new_ones(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = receiver.associated()
        scu.store("1.2.3", data_set(1000))
        receiver.terminate()
        wait_for(lambda: refuses_storage(receiver))
        assert receiver.scu().rejection() == (2, 3, 1)
        with receiver.associated(contexts=[ECHO_CONTEXT]) as echo:
            assert echo.echo() == 0
            echo.release()
        assert scu.store("1.2.4", data_set(100_000)).status == 0
        scu.release()
        assert receiver.exit_code() == 0
        assert len(receiver.delivery().instances) == 2
        assert list(receiver.tree.incoming.iterdir()) == []


def test_sigterm_with_nothing_open_ends_at_once(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver, receiver.scu():  # which never asks
        receiver.terminate()
        assert receiver.exit_code(timeout=5) == 0


def test_when_the_drain_time_is_over_the_rest_is_aborted_and_rolled_back(tmp_path: Path) -> None:
    with receiver_process(tmp_path, receiver={"drain_timeout": "300ms"}) as receiver:
        scu = sending(receiver)
        receiver.terminate()
        assert receiver.exit_code() == 0
        assert scu.aborted() == (2, 0)
        assert receiver.committed() == []
        assert receiver.aborted_delivery().reason == "the receiver is being stopped"
        assert list(receiver.tree.incoming.iterdir()) == []


def test_a_second_sigterm_ends_by_the_abort_path(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        scu = sending(receiver)
        receiver.terminate()
        wait_for(lambda: refuses_storage(receiver))
        began = time.monotonic()
        receiver.terminate()
        assert receiver.exit_code() == 0
        assert time.monotonic() - began < 5, "the drain time is 30 s"
        assert scu.aborted() == (2, 0)
        assert receiver.committed() == []
        assert len(receiver.aborted()) == 1


def test_out_of_descriptors_it_waits_without_spinning_and_goes_on(tmp_path: Path) -> None:
    def few_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with receiver_process(tmp_path, before=few_descriptors) as receiver:
        crowd = [receiver.scu() for _ in range(60)]
        used = processor_seconds(receiver)
        time.sleep(0.5)
        assert processor_seconds(receiver) - used < 0.25
        for scu in crowd:
            scu.close()
        with receiver.associated() as scu:
            assert scu.echo() == 0
            scu.release()


def test_idle_associations_cost_no_processor_time(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver, contextlib.ExitStack() as open_scus:
        for _ in range(20):
            open_scus.enter_context(receiver.associated())
        used = processor_seconds(receiver)
        time.sleep(0.5)
        assert processor_seconds(receiver) - used < 0.1


def test_an_association_leaves_one_line_in_the_log_and_no_data(tmp_path: Path) -> None:
    canary = b"CANARY^PATIENT"
    with receiver_process(tmp_path) as receiver:
        with receiver.associated() as scu:
            scu.store("1.2.3", data_set(1000).replace(bytes(14), canary, 1))
            scu.release()
        receiver.terminate()
        assert receiver.exit_code() == 0
        (line,) = [line for line in receiver.log().splitlines() if "association ended" in line]
        for said in (receiver.delivery().id, "CT01", "BRAIN", "127.0.0.1", "released"):
            assert said in line
        assert "CANARY" not in receiver.log()
        assert b"CANARY" not in (receiver.committed()[0] / "delivery.json").read_bytes()


def processor_seconds(receiver: ReceiverProcess) -> float:
    fields = Path(f"/proc/{receiver.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
