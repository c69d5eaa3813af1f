"""A study goes through: received, committed, dispatched, run, exported."""

from pathlib import Path

from shared.destination_state import DestinationState
from shared.job_state import JobState
from shared.part10 import read_file_meta
from tests.support.destinations import HOST, Archive, storescp
from tests.support.gateway import Gateway
from tests.support.samples import (
    SECONDARY_CAPTURE,
    Sample,
    bundled_samples,
    data_set_of,
    sample_file,
)

COPY = {
    "kind": "command",
    "command": ["cp", "-R", "{input}/.", "{output}"],
    "export_to": ["ARCHIVE"],
}


def _distinct() -> list[Sample]:
    """One for each SOP Instance UID: some of the files are one image, stored in several ways."""
    return list({sample.sop_instance_uid: sample for sample in bundled_samples()}.values())


def test_a_study_of_many_transfer_syntaxes_arrives_byte_for_byte(tmp_path: Path) -> None:
    samples = _distinct()
    assert len({sample.transfer_syntax_uid for sample in samples}) >= 10
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "COPY", "pipeline": "copy"}],
            pipelines={"copy": COPY},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        paths = [str(sample.path) for sample in samples]
        sent = gateway.penstock("send", *paths, HOST, str(gateway.port), "-aec", "COPY")
        assert sent.returncode == 0, sent.stderr
        job = gateway.wait_for_job()

        assert archive.data_sets() == {
            sample.sop_instance_uid: (sample.transfer_syntax_uid, sample.data_set)
            for sample in samples
        }
        assert len(archive.requestors) == archive.released == 1
        assert job.instances == len(samples)
        assert job.destinations["ARCHIVE"].state is DestinationState.DELIVERED
        assert job.destinations["ARCHIVE"].delivered == len(samples)
        assert [line.state for line in gateway.history(job)] == [
            "queued", "running", "exporting", "exporting", "done"
        ]  # fmt: skip


def test_what_storescu_sends_is_forwarded_to_storescp_byte_for_byte(tmp_path: Path) -> None:
    files = [sample_file(name) for name in ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm")]
    kept = tmp_path / "kept"
    with (
        storescp(kept) as port,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
            pipelines={"route": {"kind": "forward", "export_to": ["DCMTK"]}},
            destinations={"DCMTK": {"ae_title": "ANY", "host": HOST, "port": port}},
        ) as gateway,
    ):
        sent = gateway.storescu(*files, called="ROUTER")
        assert sent.returncode == 0, sent.stderr
        job = gateway.wait_for_job()

        (folder,) = gateway.tree.deliveries.iterdir()
        stored = {path.name: path for path in folder.glob("*.dcm")}
        arrived = {_uid(path): data_set_of(path) for path in kept.iterdir()}
        assert len(stored) == len(files)
        assert arrived == {_uid(path): data_set_of(path) for path in stored.values()}
        assert job.state is JobState.DONE


def _uid(path: Path) -> str:
    return read_file_meta(path).sop_instance_uid


def test_both_sides_say_the_implementation_class_uid_and_version_name(tmp_path: Path) -> None:
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "ROUTER", "pipeline": "route"}],
            pipelines={"route": {"kind": "forward", "export_to": ["ARCHIVE"]}},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        sent = gateway.storescu("-d", sample_file("CT_small.dcm"), called="ROUTER")
        gateway.wait_for_job()
        said = " ".join((sent.stdout + sent.stderr).split())
        assert "Their Implementation Class UID: 1.3.6.1.4.1.30071.8" in said
        assert "Their Implementation Version Name: fo-dicom 4.0.0" in said
        (requestor,) = archive.requestors
        assert requestor.implementation_class_uid == "1.3.6.1.4.1.30071.8"
        assert requestor.implementation_version_name == "fo-dicom 4.0.0"


def test_an_aborted_association_never_reaches_a_pipeline(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.storescu("--abort", sample_file("CT_small.dcm"), called="PENSTOCK")
        gateway.storescu(sample_file("MR_small.dcm"), called="PENSTOCK")
        gateway.wait_for_job()  # of the second: the first had its time

        (aborted,) = gateway.tree.aborted.iterdir()
        assert [path.suffix for path in aborted.iterdir()].count(".dcm") == 1
        assert len(list(gateway.tree.deliveries.iterdir())) == 1
        assert len(list(gateway.tree.jobs.iterdir())) == 1


def test_an_ignored_sop_class_is_answered_with_success_and_not_kept(tmp_path: Path) -> None:
    title = {
        "title": "PICKY",
        "pipeline": "keep",
        "ignored_sop_classes": ["SecondaryCaptureImageStorage"],
    }
    with Gateway(tmp_path, ae_titles=[title]) as gateway:
        ignored = sample_file("SC_rgb_small_odd.dcm")
        assert read_file_meta(ignored).sop_class_uid == SECONDARY_CAPTURE
        sent = gateway.storescu(ignored, sample_file("CT_small.dcm"), called="PICKY")
        assert sent.returncode == 0
        assert sent.stderr.count("Received Store Response (Success)") == 2
        job = gateway.wait_for_job()
        assert job.instances == 1
        assert len(list(gateway.tree.root.rglob("*.dcm"))) == 2  # the delivery, and its link


def test_an_ae_title_can_have_several_pipelines(tmp_path: Path) -> None:
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "BOTH", "pipelines": ["copy", "keep"]}],
            pipelines={"copy": COPY, "keep": {"kind": "forward"}},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        gateway.storescu(sample_file("CT_small.dcm"), called="BOTH")
        jobs = gateway.wait_for_jobs(2, JobState.DONE)
        assert {job.pipeline for job in jobs} == {"copy", "keep"}
        assert len(archive.received) == 1


def test_the_command_shows_jobs_and_asks_destinations(tmp_path: Path) -> None:
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "COPY", "pipeline": "copy"}],
            pipelines={"copy": COPY},
            destinations={
                "ARCHIVE": archive.settings(),
                "GONE": {"ae_title": "X", "host": HOST, "port": 1},
            },
        ) as gateway,
    ):
        gateway.storescu(sample_file("CT_small.dcm"), called="COPY")
        job = gateway.wait_for_job()
        listed = gateway.penstock("jobs")
        assert job.id in listed.stdout
        assert "done" in listed.stdout
        shown = gateway.penstock("jobs", "show", job.id[-12:])
        assert shown.returncode == 0
        for said in ("ARCHIVE", "delivered", "from STORESCU at", "1 with 0000", "pipelines@"):
            assert said in shown.stdout
        status = gateway.penstock("status")
        assert status.returncode == 0, status.stdout
        assert "ARCHIVE" in status.stdout
        assert gateway.penstock("jobs", "show", "nonsense").returncode == 1
        assert gateway.penstock("destinations", "echo", "ARCHIVE").returncode == 0
        assert gateway.penstock("destinations", "echo", "GONE").returncode == 1
        assert gateway.penstock("destinations", "echo", "UNKNOWN").returncode == 2


def test_no_patient_name_is_anywhere_but_in_the_stored_data_sets(tmp_path: Path) -> None:
    canary = b"CompressedSamples^CT1"
    with (
        Archive() as archive,
        Gateway(
            tmp_path,
            ("receiver", "exports", "pipelines", "flower"),
            ae_titles=[{"title": "COPY", "pipeline": "copy"}],
            pipelines={"copy": COPY},
            destinations={"ARCHIVE": archive.settings()},
        ) as gateway,
    ):
        source = sample_file("CT_small.dcm")
        assert canary in source.read_bytes()
        gateway.storescu(source, called="COPY")
        gateway.wait_for_job()
    # The append-only file holds every command that Redis was ever given.
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert any("appendonly" in str(path) for path in files)
    assert not [path for path in files if canary in path.read_bytes()]
