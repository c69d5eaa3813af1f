"""What an engine elsewhere is told of an attempt: ids and paths, and where it asks for them, UIDs.

For each call of an attempt it is the same, so that the engine knows a repeated one.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from shared.delivery import read_delivery
from shared.job import Job
from shared.job_folder import Attempt
from shared.part10 import read_file_meta
from workers.dispatching.headers import Headers, read_headers
from workers.dispatching.plan import PLAN_FILE, Plan
from workers.pipelines.kind import AttemptRun


class _Indexed(NamedTuple):
    sop_instance_uid: str
    headers: Headers


def idempotency_key(job: Job, attempt: Attempt) -> str:
    return f"{job.id}.{attempt.number}"


def ids_and_paths(run: AttemptRun, token: str) -> dict[str, Any]:
    """No patient data: this may go through a broker, and stand in logs."""
    return {
        "job": run.job.id,
        "attempt": run.attempt.number,
        "pipeline": run.job.pipeline,
        "idempotency_key": idempotency_key(run.job, run.attempt),
        "token": token,
        "input": str(run.folder.input),
        "output": str(run.attempt.output),
        "work": str(run.attempt.work),
    }


def identifiers(run: AttemptRun) -> dict[str, Any]:
    """AE titles, and the UIDs and counts of what the job's input holds.

    Raises:
        OSError: the storage failed.
        pydantic.ValidationError: a record of a delivery is damaged.
    """
    delivery = read_delivery(run.folder.deliveries / run.job.delivery)
    return {
        "calling_ae_title": run.job.calling_ae_title,
        "called_ae_title": delivery.called_ae_title,
        "ae_title": run.job.ae_title,
        "instances": run.job.instances,
        "size": run.job.size,
        "incomplete": run.job.incomplete,
        "studies": _studies(_instances(run)),
    }


def _studies(instances: Iterable[_Indexed]) -> list[dict[str, Any]]:
    """As they stand in each other; a UID that a data set lacks is empty."""
    found: dict[str, dict[str, list[_Indexed]]] = {}
    for each in instances:
        of_study = found.setdefault(each.headers.study_instance_uid or "", {})
        of_study.setdefault(each.headers.series_instance_uid or "", []).append(each)
    return [
        {
            "study_instance_uid": study,
            "series": [
                {
                    "series_instance_uid": series,
                    "modality": held[0].headers.modality or "",
                    "body_part": held[0].headers.body_part or "",
                    "instances": len(held),
                    "sop_instance_uids": [each.sop_instance_uid for each in held],
                }
                for series, held in sorted(of_study.items())
            ],
        }
        for study, of_study in sorted(found.items())
    ]


def _instances(run: AttemptRun) -> Iterator[_Indexed]:
    """From the plans, where the headers were read before: an input is a link to what was planned.

    What came from several deliveries may have got another name.
    """
    planned = dict(_planned(run))
    for path in sorted(run.folder.input.iterdir()):
        known = planned.get(path.stat().st_ino)
        yield known or _Indexed(read_file_meta(path).sop_instance_uid, read_headers(path))


def _planned(run: AttemptRun) -> Iterator[tuple[int, _Indexed]]:
    for name in run.job.deliveries:
        folder = run.folder.deliveries / name
        uids = {each.file: each.sop_instance_uid for each in read_delivery(folder).instances}
        for each in Plan.model_validate_json((folder / PLAN_FILE).read_bytes()).instances:
            yield (folder / each.file).stat().st_ino, _Indexed(uids[each.file], each.headers)
