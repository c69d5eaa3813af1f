"""The plan of a delivery, `plan.json`: which jobs it makes, of which instances. Written once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.delivery import Delivery, Record
from shared.group import Group, group_key
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


class Part(Record):
    """Instances that stay together, and their jobs, one for each pipeline.

    A job with a group is made, under an id of its own, only where the group has none that is open.
    """

    files: tuple[str, ...]
    jobs: tuple[Job, ...]


class Plan(Record):
    delivery: str
    parts: tuple[Part, ...]
    instances: tuple[PlannedInstance, ...]

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(job for part in self.parts for job in part.jobs)

    def files_for(self, group: str) -> tuple[str, ...]:
        """What goes into the group with this key."""
        for part in self.parts:
            if any(job.group and job.group.key == group for job in part.jobs):
                return part.files
        return ()


def make_plan(delivery: Delivery, entry: AeTitleEntry, settings: Settings, folder: Path) -> Plan:
    """Hashes and indexes each instance, and decides the jobs; the same ones each time.

    Raises:
        OSError: an instance cannot be read.
    """
    instances = tuple(_index(folder / instance.file) for instance in delivery.instances)
    parts = []
    for uid, some in _split(entry, instances).items():
        jobs = (_job(delivery, entry, settings, name, uid, some) for name in entry.pipeline_names)
        parts.append(Part(files=tuple(each.file for each in some), jobs=tuple(jobs)))
    return Plan(delivery=delivery.id, parts=tuple(parts), instances=instances)


def _studies(instances: Sequence[PlannedInstance]) -> tuple[str, ...]:
    uids = {instance.headers.study_instance_uid for instance in instances}
    return tuple(sorted(study_hash(uid) for uid in uids if uid))


def _index(path: Path) -> PlannedInstance:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PlannedInstance(file=path.name, sha256=digest, headers=read_headers(path))


def _split(
    entry: AeTitleEntry, instances: Sequence[PlannedInstance]
) -> dict[str, list[PlannedInstance]]:
    """By the UID that groups them; '' for those that are not to be grouped, or cannot be."""
    parts: dict[str, list[PlannedInstance]] = {}
    for instance in instances:
        parts.setdefault(_uid(entry, instance.headers), []).append(instance)
    return parts or {"": []}


def _uid(entry: AeTitleEntry, headers: Headers) -> str:
    if entry.group_by == "association" or not headers.readable:
        return ""
    by_study = entry.group_by == "study"
    return (headers.study_instance_uid if by_study else headers.series_instance_uid) or ""


def _job(
    delivery: Delivery,
    entry: AeTitleEntry,
    settings: Settings,
    pipeline: str,
    uid: str,
    instances: Sequence[PlannedInstance],
) -> Job:
    group = _group(delivery, entry, pipeline, uid) if uid else None
    files = {instance.file for instance in instances}
    return Job(
        id=derived_id(delivery.id, f"{pipeline}/{group.key}" if group else pipeline),
        delivery=delivery.id,
        pipeline=pipeline,
        ae_title=delivery.ae_title,
        calling_ae_title=delivery.calling_ae_title,
        priority=entry.priority,
        created=delivery.ended,
        instances=len(files),
        size=sum(instance.size for instance in delivery.instances if instance.file in files),
        incomplete=delivery.incomplete,
        studies=_studies(instances),
        group=group,
        ungrouped=group is None and entry.group_by != "association",
        export_to=settings.pipelines[pipeline].export_to,
    )


def _group(delivery: Delivery, entry: AeTitleEntry, pipeline: str, uid: str) -> Group:
    sender = delivery.ae_title, delivery.calling_ae_title
    return Group(
        key=group_key(*sender, pipeline, entry.group_by, uid),
        quiet_period=entry.quiet_period,
        max_wait=entry.max_wait,
        opened=delivery.ended,
        grown=delivery.ended,
    )
