"""The plan of a delivery, `plan.json`: which jobs it makes, of which instances. Written once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from shared.delivery import Delivery, Instance, Record
from shared.group import Group, group_key
from shared.ids import derived_id
from shared.job import Job
from shared.marks import Marks
from shared.settings import Settings
from shared.settings.receiving import AeTitleEntry
from shared.stored_file import StoredFile
from shared.study import series_hash, study_hash
from workers.dispatching.choosing import choose
from workers.dispatching.headers import Headers, read_headers

PLAN_FILE = "plan.json"


class PlannedInstance(Record):
    file: str
    sha256: str
    size: int | None = None  # bytes; None in a plan of an older version
    modified: int | None = None  # when the file was (ns)
    headers: Headers


class PlannedJob(Record):
    """A job of one pipeline, and what of the delivery it gets.

    One with a group is made, under an id of its own, only where the group has none that is open.
    """

    job: Job
    files: tuple[str, ...]


class Plan(Record):
    delivery: str
    planned: tuple[PlannedJob, ...]
    instances: tuple[PlannedInstance, ...]
    left_out: int = 0  # instances that are in no job

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(each.job for each in self.planned)

    def files_for(self, group: str) -> tuple[str, ...]:
        """What goes into the group with this key."""
        for job, files in ((each.job, each.files) for each in self.planned):
            if job.group and job.group.key == group:
                return files
        return ()


class _Indexed(NamedTuple):
    """An instance as it was received, and what is known of its file now."""

    received: Instance
    planned: PlannedInstance

    @property
    def headers(self) -> Headers:
        return self.planned.headers

    @property
    def differs(self) -> bool:
        """Whether the data set is another instance than the C-STORE-RQ said (PS3.7 9.1.1.1)."""
        said = self.headers.sop_class_uid, self.headers.sop_instance_uid
        received = self.received.sop_class_uid, self.received.sop_instance_uid
        return self.headers.readable and said != received


def make_plan(delivery: Delivery, entry: AeTitleEntry, settings: Settings, folder: Path) -> Plan:
    """Hashes and indexes each instance, and decides the jobs; the same ones each time.

    Raises:
        OSError: an instance cannot be read.
    """
    indexed = [_index(folder, instance) for instance in delivery.instances]
    taken = choose(
        {name: settings.pipelines[name].when for name in entry.pipeline_names},
        delivery,
        {each.received.file: each.headers for each in indexed},
    )
    left_out = len(indexed) - len(frozenset().union(*taken.values()))
    planned = []
    for uid, some in _split(entry, indexed).items():
        for name, files in taken.items():
            mine = [each for each in some if each.received.file in files]
            if mine:
                job = _job(delivery, entry, settings, name, uid, mine, left_out)
                names = tuple(each.received.file for each in mine)
                planned.append(PlannedJob(job=job, files=names))
    return Plan(
        delivery=delivery.id,
        planned=tuple(planned),
        instances=tuple(each.planned for each in indexed),
        left_out=left_out,
    )


def _index(folder: Path, instance: Instance) -> _Indexed:
    path = folder / instance.file
    stored = StoredFile.of(path, path.name)
    planned = PlannedInstance(
        file=path.name,
        sha256=stored.sha256,
        size=stored.size,
        modified=stored.modified,
        headers=read_headers(path),
    )
    return _Indexed(instance, planned)


def _split(entry: AeTitleEntry, instances: Sequence[_Indexed]) -> dict[str, list[_Indexed]]:
    """By the UID that groups them; '' for those that are not to be grouped, or cannot be."""
    parts: dict[str, list[_Indexed]] = {}
    for instance in instances:
        parts.setdefault(_uid(entry, instance.headers), []).append(instance)
    return parts


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
    instances: Sequence[_Indexed],
    left_out: int,
) -> Job:
    group = _group(delivery, entry, pipeline, uid) if uid else None
    return Job(
        id=derived_id(delivery.id, f"{pipeline}/{group.key}" if group else pipeline),
        delivery=delivery.id,
        pipeline=pipeline,
        ae_title=delivery.ae_title,
        calling_ae_title=delivery.calling_ae_title,
        priority=entry.priority,
        created=delivery.ended,
        instances=len(instances),
        size=sum(each.received.size for each in instances),
        incomplete=delivery.incomplete,
        studies=_hashes(study_hash, (each.headers.study_instance_uid for each in instances)),
        series=_hashes(series_hash, (each.headers.series_instance_uid for each in instances)),
        marks=_marks(instances, left_out),
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


def _hashes(made: Callable[[str], str], uids: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted(made(uid) for uid in set(uids) if uid))


def _marks(instances: Sequence[_Indexed], left_out: int) -> Marks:
    return Marks(
        unreadable=sum(not each.headers.readable for each in instances),
        differing=sum(each.differs for each in instances),
        conflicting=sum(each.received.conflicts for each in instances),
        left_out=left_out,
    )
