"""New settings while associations run."""

from pathlib import Path

from shared.upper_layer.events import AssociateAccepted
from tests.support.receivers import ReceiverProcess, local_receiver, receiver_process
from tests.support.samples import data_set
from tests.support.waiting import wait_for

BRAIN = {"title": "BRAIN", "pipeline": "keep"}
HEART = {"title": "HEART", "pipeline": "keep"}


def admits(receiver: ReceiverProcess, called: str, calling: str = "CT01") -> bool:
    with receiver.scu() as scu:
        return isinstance(scu.request(called=called, calling=calling), AssociateAccepted)


def test_a_new_ae_title_is_accepted_and_a_running_association_is_unaffected(
    tmp_path: Path,
) -> None:
    with receiver_process(tmp_path) as receiver, receiver.associated() as scu:
        assert scu.store("1.2.3", data_set(1000)).status == 0
        scu.command(1, scu.store_request("1.2.4"))
        scu.data(1, data_set(100_000)[:50_000], last=False)
        assert not admits(receiver, "HEART")
        receiver.configure(ae_titles=[HEART])
        receiver.hang_up()
        wait_for(lambda: admits(receiver, "HEART"))
        assert not admits(receiver, "BRAIN")
        scu.data(1, data_set(100_000)[50_000:])
        scu.event()
        scu.release()
        assert len(receiver.delivery().instances) == 2


def test_settings_with_a_fault_are_refused_with_its_reason_and_the_old_ones_stay(
    tmp_path: Path,
) -> None:
    with receiver_process(tmp_path) as receiver, receiver.associated() as scu:
        receiver.configure(ae_titles=[BRAIN, {"title": "HEART", "pipeline": "heart"}])
        receiver.hang_up()
        wait_for(lambda: "new settings refused" in receiver.log())
        assert "no pipeline is named 'heart'" in receiver.log()
        receiver.config.write_text("[receiver\n")
        receiver.hang_up()
        wait_for(lambda: receiver.log().count("new settings refused") == 2)
        receiver.config.unlink()
        receiver.hang_up()
        wait_for(lambda: receiver.log().count("new settings refused") == 3)
        assert not admits(receiver, "HEART")
        assert admits(receiver, "BRAIN")
        assert scu.echo() == 0
        receiver.configure(ae_titles=[BRAIN, HEART])
        receiver.hang_up()
        wait_for(lambda: admits(receiver, "HEART"))


def test_callers_and_limits_are_new_too(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver, receiver.associated() as scu:
        receiver.configure(
            receiver={"max_associations": 1}, ae_titles=[BRAIN | {"allowed_calling": ["MR02"]}]
        )
        receiver.hang_up()
        wait_for(lambda: not admits(receiver, "BRAIN"))
        assert receiver.scu().rejection(calling="MR02") == (2, 3, 2)
        scu.release()
        assert admits(receiver, "BRAIN", calling="MR02")


def test_what_cannot_change_while_it_runs_is_said_and_kept(tmp_path: Path) -> None:
    with receiver_process(tmp_path) as receiver:
        receiver.configure(
            receiver={"port": 1},
            storage={"root": str(tmp_path / "elsewhere")},
            ae_titles=[HEART],
        )
        receiver.hang_up()
        wait_for(lambda: admits(receiver, "HEART"))
        for name in ("receiver.port", "storage.root"):
            assert any(
                "needs a restart" in line and name in line for line in receiver.log().splitlines()
            )
        with receiver.associated(called="HEART") as scu:
            assert scu.store("1.2.3", data_set(1000)).status == 0
            scu.release()
        assert receiver.delivery().ae_title == "HEART"


def test_a_changed_file_is_read_again_where_that_is_asked_for(tmp_path: Path) -> None:
    asked = {"reload_on_change": True}
    with receiver_process(tmp_path, receiver=asked) as receiver:
        receiver.configure(receiver=asked, ae_titles=[HEART])
        wait_for(lambda: admits(receiver, "HEART"))


def test_an_association_keeps_the_settings_that_it_began_with(tmp_path: Path) -> None:
    titles = [BRAIN | {"ignored_sop_classes": ["CTImageStorage"]}]
    with local_receiver(tmp_path, ae_titles=titles) as receiver:
        live = receiver.services.live
        with receiver.associated() as before:
            unchanged, live.now = live.now, live.now.model_copy(update={"ae_titles": ()})
            assert receiver.scu().rejection() == (1, 1, 7)
            assert before.store("1.2.3", data_set(100)).status == 0
            before.release()
        live.now = unchanged
    assert receiver.committed() == []
