"""The plan of a delivery, `plan.json`: which jobs it makes, of which instances. Written once."""

import hashlib
from pathlib import Path

from shared.delivery import Delivery, Record
from shared.ids import derived_id
from shared.job import Job
from shared.settings import Settings
from shared.settings.sections import AeTitleEntry
from shared.study import study_hash
from workers.headers import Headers, read_headers

PLAN_FILE = "plan.json"


class PlannedInstance(Record):
    file: str
    sha256: str
    headers: Headers


class Plan(Record):
    delivery: str
    jobs: tuple[Job, ...]
    instances: tuple[PlannedInstance, ...]


def make_plan(delivery: Delivery, entry: AeTitleEntry, settings: Settings, folder: Path) -> Plan:
    """Hashes and indexes each instance, and decides the jobs; the same ones each time.

    Raises:
        OSError: an instance cannot be read.
    """
    instances = tuple(_index(folder / instance.file) for instance in delivery.instances)
    size = sum(instance.size for instance in delivery.instances)
    jobs = tuple(
        Job(
            id=derived_id(delivery.id, name),
            delivery=delivery.id,
            pipeline=name,
            ae_title=delivery.ae_title,
            calling_ae_title=delivery.calling_ae_title,
            priority=entry.priority,
            created=delivery.ended,
            instances=len(delivery.instances),
            size=size,
            incomplete=delivery.incomplete,
            studies=_studies(instances),
            export_to=settings.pipelines[name].export_to,
        )
        for name in entry.pipeline_names
    )
    return Plan(delivery=delivery.id, jobs=jobs, instances=instances)


def _studies(instances: tuple[PlannedInstance, ...]) -> tuple[str, ...]:
    uids = {instance.headers.study_instance_uid for instance in instances}
    return tuple(sorted(study_hash(uid) for uid in uids if uid))


def _index(path: Path) -> PlannedInstance:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PlannedInstance(file=path.name, sha256=digest, headers=read_headers(path))
