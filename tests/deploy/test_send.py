"""`penstock send` against DCMTK's storescp and pynetdicom."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from pydicom.fileset import FileSet

from shared.part10 import read_file_meta
from tests.support.certificates import Hospital
from tests.support.command import penstock
from tests.support.destinations import HOST, Archive, storescp
from tests.support.samples import data_set_of, sample_file
from tests.workers.raw_scp import Connection, RawScp

CT, MR = sample_file("CT_small.dcm"), sample_file("MR_small.dcm")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive() as running:
        yield running


def test_files_arrive_in_one_association_and_are_summed_up(archive: Archive) -> None:
    sent = penstock("send", CT, MR, HOST, str(archive.port), "-aec", "ARCHIVE", "-aet", "ME")
    assert sent.code == 0
    assert sent.printed.startswith("2 of 2 instances sent: 49.0 kB in ")
    assert [data for _, _, data in archive.received] == [data_set_of(CT), data_set_of(MR)]
    (requestor,) = archive.requestors
    assert (requestor.ae_title, requestor.primitive.called_ae_title) == ("ME", "ARCHIVE")


def test_a_folder_is_searched_for_instances_of_any_name(tmp_path: Path, archive: Archive) -> None:
    study = tmp_path / "study"
    (study / "series").mkdir(parents=True)
    shutil.copy(CT, study / "series" / "IM0001")
    shutil.copy(MR, study / "IM0002.dcm")
    (study / "notes.txt").write_text("not to be sent")
    FileSet().write(study)  # a DICOMDIR, which has file meta, and is no instance
    assert read_file_meta(study / "DICOMDIR")
    sent = penstock("send", study, HOST, str(archive.port))
    assert sent.printed.startswith("2 of 2 instances sent")
    assert len(archive.received) == 2


def test_a_destination_of_the_settings_is_called_by_its_name(archive: Archive) -> None:
    settings = {"destinations": {"ARCHIVE": archive.settings()}}
    Path("penstock.toml").write_text(tomli_w.dumps(settings))
    assert penstock("send", CT, "--destination", "ARCHIVE").code == 0
    assert archive.requestors[0].primitive.called_ae_title == "ARCHIVE"
    unknown = penstock("send", CT, "--destination", "PACS")
    assert unknown.code == 2
    assert "no destination is named 'PACS'; there are: ARCHIVE" in unknown.said


def test_all_can_be_sent_many_times_over_one_association(archive: Archive) -> None:
    sent = penstock("send", CT, HOST, str(archive.port), "--repeat", "5")
    assert sent.printed.startswith("5 of 5 instances sent")
    assert len(archive.requestors) == 1


def test_what_is_refused_is_counted_by_its_status(archive: Archive) -> None:
    archive.statuses = [0xA700, 0xB000, 0xC000, 0xA700]
    sent = penstock("send", CT, HOST, str(archive.port), "--repeat", "5")
    assert sent.code == 1
    assert sent.printed.startswith("2 of 5 instances sent")
    assert "2 refused: status A700" in sent.printed
    assert "1 refused: status C000" in sent.printed


def test_what_no_context_is_accepted_for_is_told_by_name(tmp_path: Path) -> None:
    with storescp(tmp_path / "pacs", "+x=") as port:  # nothing compressed
        jpeg = sample_file("JPEG2000.dcm")
        sent = penstock("send", CT, jpeg, HOST, str(port))
    assert sent.code == 1
    assert sent.printed.startswith("1 of 2 instances sent")
    assert "in JPEG 2000 Image Compression was not accepted" in sent.printed


def test_what_was_sent_before_the_peer_was_lost_is_said() -> None:
    def script(peer: Connection) -> None:
        peer.accept()
        peer.respond(peer.stored()[0], 0)
        peer.stored()
        peer.abort()

    with RawScp(script) as scp:
        sent = penstock("send", CT, MR, HOST, str(scp.port))
    assert sent.code == 1
    assert sent.printed.startswith("1 of 2 instances sent")
    assert "aborted by the service user" in sent.errors


def test_a_silent_peer_is_waited_for_as_long_as_is_said() -> None:
    with RawScp(lambda peer: peer.be_silent()) as scp:
        sent = penstock("send", CT, HOST, str(scp.port), "-ta", "0.2")
    assert sent.code == 1
    assert "no answer: timed out" in sent.errors


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["image.dcm"], "PATH... HOST PORT"),
        (["image.dcm", HOST, "99999"], "port: Input should be less than or equal to 65535"),
        (["image.dcm", HOST, "104", "-aec", "A" * 17], "ae_title: Value error, the AE title"),
        (["image.dcm", HOST, "104"], "No such file"),
    ],
)
def test_what_is_said_wrongly_is_an_exit_code_of_its_own(words: list[str], fault: str) -> None:
    sent = penstock("send", *words)
    assert sent.code == 2
    assert fault in sent.said


def test_tls_is_spoken_with_the_options_of_dcmtk(tmp_path: Path, hospital: Hospital) -> None:
    ours, theirs, ca = hospital.ct01, hospital.receiver, hospital.authority.certificate
    secured = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(ca))
    with storescp(tmp_path / "pacs", *secured) as port:
        address = (HOST, str(port))
        shown = ("+tls", ours.key, ours.certificate)
        assert penstock("send", CT, *address, *shown, "+cf", ca).code == 0
        unknown = penstock("send", CT, *address, *shown)
        assert "authority that we do not trust" in unknown.errors
        assert penstock("send", CT, *address).code == 1
        assert penstock("send", CT, *address, "+tla", "+cf", ca).code == 1
    assert len(list((tmp_path / "pacs").iterdir())) == 1
