"""Pipelines choose by what comes; they run by priority, within their caps, and independently."""

import subprocess
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import generate_uid

from shared.job_state import JobState
from shared.part10 import read_file_meta
from tests.support.destinations import HOST, storescp
from tests.support.gateway import Gateway
from tests.support.samples import data_set_of, sample_file
from tests.support.waiting import wait_for

CT, MR, SR = (sample_file(name) for name in ("CT_small.dcm", "MR_small.dcm", "reportsi.dcm"))


def instance(folder: Path, sample: Path, study: str, series: str, body_part: str = "") -> Path:
    made = dcmread(sample)
    made.StudyInstanceUID, made.SeriesInstanceUID = study, series
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    if body_part:
        made.BodyPartExamined = body_part
    made.pop("DataSetTrailingPadding", None)  # storescu does not send it
    path = folder / f"{made.SOPInstanceUID}.dcm"
    made.save_as(path)
    subprocess.run(["dcmconv", path, path], check=True)  # lengths, as storescu would write them
    return path


def mixed_study(folder: Path) -> dict[str, list[Path]]:
    """CT of the chest, MR of the head and of the spine, and a report; by what each is."""
    folder.mkdir()
    study = generate_uid()
    kinds = {"chest": (CT, "CHEST"), "head": (MR, "HEAD"), "spine": (MR, "SPINE"), "report": (SR,)}
    found = {}
    for kind, (sample, *body_part) in kinds.items():
        series = generate_uid()
        found[kind] = [instance(folder, sample, study, series, *body_part) for _ in range(3)]
    return found


def data_sets(*lists: list[Path]) -> dict[str, bytes]:
    """By SOP Instance UID."""
    paths = (path for paths in lists for path in paths)
    return {read_file_meta(path).sop_instance_uid: data_set_of(path) for path in paths}


def test_a_mixed_study_goes_to_the_pipelines_and_destinations_that_are_to_have_it(
    tmp_path: Path,
) -> None:
    study = mixed_study(tmp_path / "study")
    pacs, workstation = tmp_path / "pacs", tmp_path / "workstation"
    copy = {"kind": "command", "command": ["cp", "-R", "{input}/.", "{output}"]}
    images = ["CTImageStorage", "MRImageStorage"]
    pipelines: dict[str, Any] = {
        "brain": copy | {"when": {"modality": ["MR"], "body_part": ["HEAD*", "BRAIN"]}},
        "breast": copy | {"when": {"modality": ["MG", "MR"], "body_part": ["BREAST"]}},
        "everything": {"kind": "forward"},
        "images": {"when": {"sop_class": images}, "export_to": ["PACS"]},
        "spines": {"when": {"body_part": ["*SPINE"], "calling": ["MR02"]}, "export_to": ["WS"]},
        "rest": {"when": {"otherwise": True}, "export_to": ["PACS", "WS"]},
    }
    pipelines = {name: {"kind": "forward"} | section for name, section in pipelines.items()}
    with (
        storescp(pacs) as pacs_port,
        storescp(workstation) as workstation_port,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "HUB", "pipelines": list(pipelines)}],
            pipelines=pipelines,
            destinations={
                "PACS": {"ae_title": "PACS", "host": HOST, "port": pacs_port},
                "WS": {"ae_title": "WS", "host": HOST, "port": workstation_port},
            },
        ) as gateway,
    ):
        files = [path for paths in study.values() for path in paths]
        sent = gateway.storescu("-aet", "MR02", *files, called="HUB")
        assert sent.returncode == 0, sent.stderr
        jobs = {job.pipeline: job for job in gateway.wait_for_jobs(5, JobState.DONE)}

        (delivery,) = gateway.tree.deliveries.iterdir()
        everything = data_sets(list(delivery.glob("*.dcm")))
        assert everything == data_sets(*study.values())
        given = {
            name: data_sets(list((gateway.tree.jobs / job.id / "input").iterdir()))
            for name, job in jobs.items()
        }
        assert given == {
            "brain": data_sets(study["head"]),
            "everything": everything,
            "images": data_sets(study["chest"], study["head"], study["spine"]),
            "spines": data_sets(study["spine"]),
            "rest": data_sets(study["report"]),
        }
        assert data_sets(list(pacs.iterdir())) == everything
        at_workstation = data_sets(study["spine"], study["report"])
        assert data_sets(list(workstation.iterdir())) == at_workstation
        assert {job.marks.left_out for job in jobs.values()} == {0}
        shown = gateway.penstock("jobs", "show", jobs["images"].id)
        assert "dispatched, 9 of 12 instances" in shown.stdout
        assert "9 of 3 series" in shown.stdout


def test_what_no_pipeline_takes_is_set_apart_and_goes_on_once_one_does(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "ae_titles": [{"title": "HUB", "pipelines": ["ct"]}],
        "pipelines": {"ct": {"kind": "forward", "when": {"modality": ["CT"]}}},
    }
    with Gateway(tmp_path, **sections) as gateway:
        gateway.storescu(SR, called="HUB")
        (folder,) = wait_for(lambda: list(gateway.tree.quarantine.iterdir()))
        listed = gateway.penstock("quarantine", "list")
        assert "no pipeline of 'HUB' takes any of it" in " ".join(listed.stdout.split())
        status = gateway.penstock("status")
        assert "in quarantine, for a person to judge: 1" in status.stdout

        sections["ae_titles"][0]["pipelines"].append("rest")
        sections["pipelines"]["rest"] = {"kind": "forward", "when": {"otherwise": True}}
        gateway.configure(**sections)
        released = gateway.penstock("quarantine", "release", folder.name)
        assert released.returncode == 0, released.stdout + released.stderr
        assert gateway.wait_for_job().pipeline == "rest"
        assert not list(gateway.tree.quarantine.iterdir())


# Priorities, caps, and independence


def runs_in(folder: Path) -> list[str]:
    path = folder / "runs"
    return path.read_text().split() if path.exists() else []


def test_stat_goes_first_whatever_its_pipeline_and_however_late(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    script = f"echo {{job}} >> {tmp_path}/runs; while [ -e {hold} ]; do sleep 0.02; done"
    held = {"kind": "command", "command": ["sh", "-c", script]}
    titles = [
        {"title": "LOW", "pipeline": "one", "priority": "low"},
        {"title": "NORMAL", "pipeline": "one"},
        {"title": "STAT", "pipeline": "two", "priority": "stat"},
    ]
    with Gateway(
        tmp_path,
        ae_titles=titles,
        pipelines={"one": held, "two": held},
        workers={"pipeline_threads": 1},
    ) as gateway:
        for count, title in enumerate(("NORMAL", "LOW", "LOW", "NORMAL", "STAT", "STAT"), 1):
            gateway.storescu(CT, called=title)
            # The next is younger: of one priority the oldest goes first.
            wait_for(lambda count=count: len(gateway.jobs()) == count)
            wait_for(lambda: len(runs_in(tmp_path)) == 1)
        hold.unlink()
        jobs = {job.id: job for job in gateway.wait_for_jobs(6, JobState.DONE)}
        order = [jobs[job_id] for job_id in runs_in(tmp_path)]
        assert [job.priority for job in order] == ["normal", "stat", "stat", "normal", "low", "low"]
        for first, second in ((1, 2), (4, 5)):
            assert order[first].created <= order[second].created


def test_no_more_run_at_once_than_max_parallel_over_all_workers(tmp_path: Path) -> None:
    running = tmp_path / "running"
    running.mkdir()
    script = (
        f"mkdir {running}/{{job}}; ls {running} | wc -l >> {tmp_path}/runs; sleep 0.3;"
        f" rmdir {running}/{{job}}"
    )
    pipeline = {"kind": "command", "command": ["sh", "-c", script], "max_parallel": 2}
    with Gateway(
        tmp_path,
        ("receiver", "exports", "pipelines", "pipelines-2"),
        ae_titles=[{"title": "GPU", "pipeline": "gpu"}],
        pipelines={"gpu": pipeline},
    ) as gateway:
        for _ in range(8):
            gateway.storescu(CT, called="GPU")
        jobs = gateway.wait_for_jobs(8, JobState.DONE, 60)
        assert max(map(int, runs_in(tmp_path))) == 2
        assert len(runs_in(tmp_path)) == 8
        workers = {line.who for job in jobs for line in gateway.history(job) if line.attempt}
        assert len(workers) == 2


def test_of_several_pipelines_one_that_fails_or_hangs_holds_up_no_other(tmp_path: Path) -> None:
    hold, kept = tmp_path / "hold", tmp_path / "kept"
    hold.touch()
    command = {"kind": "command", "max_attempts": 1}
    pipelines: dict[str, Any] = {
        "fails": command | {"command": ["false"]},
        "hangs": command | {"command": ["sh", "-c", f"while [ -e {hold} ]; do sleep 0.02; done"]},
        "copies": command | {"command": ["cp", "-R", "{input}/.", "{output}"]},
        "routes": {"kind": "forward"},
    }
    for name in ("fails", "copies", "routes"):
        pipelines[name]["export_to"] = ["PACS"]
    with (
        storescp(kept) as port,
        Gateway(
            tmp_path,
            ae_titles=[{"title": "ALL", "pipelines": list(pipelines)}],
            pipelines=pipelines,
            destinations={"PACS": {"ae_title": "PACS", "host": HOST, "port": port}},
        ) as gateway,
    ):
        gateway.storescu(CT, called="ALL")
        expected = {
            "fails": JobState.FAILED,
            "hangs": JobState.RUNNING,
            "copies": JobState.DONE,
            "routes": JobState.DONE,
        }
        wait_for(lambda: {job.pipeline: job.state for job in gateway.jobs()} == expected, 30)
        (received,) = gateway.tree.deliveries.glob("*/*.dcm")
        assert data_sets(list(kept.iterdir())) == data_sets([received])
        hold.unlink()
        wait_for(lambda: len(gateway.jobs(JobState.DONE)) == 3)
