"""Housekeeping: orphans of dead receivers, and what is past its time; one at a time."""

import contextlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from shared import durable
from shared.delivery import (
    ABORTED_FILE,
    ASSOCIATION_FILE,
    DELIVERY_FILE,
    INSTANCE_SUFFIX,
    PARTIAL_SUFFIX,
    Association,
    Delivery,
    Instance,
)
from shared.job import Job, JobState
from shared.job_folder import JobFolder, remove_folder
from shared.locked_file import LockedFile
from shared.part10 import NotPart10Error, read_file_meta
from shared.tree import ids_in
from workers.context import WorkerContext
from workers.plan import PLAN_FILE, Plan

log = structlog.get_logger()

ALIVE_FILE = "alive"
_REMOVABLE = {JobState.DONE, JobState.CANCELLED}  # a failed job waits for a person


class Housekeeping:
    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._tree = context.tree

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        held = LockedFile.try_lock(self._tree.root / "housekeeping.lock")
        if held is None:
            return
        with held:
            self._rescue_orphans()
            self._remove_aborted()
            self._remove_finished_jobs()
            self._empty_trash()

    def _rescue_orphans(self) -> None:
        """Folders of a receiver that died; that it is dead shows by its lock being free."""
        for receiver in self._tree.incoming.iterdir():
            if receiver.name.startswith(".") or not (receiver / ALIVE_FILE).exists():
                continue
            held = LockedFile.try_lock(receiver / ALIVE_FILE)
            if held is None:
                continue
            with held:
                for association_id in ids_in(receiver):
                    self._abort_orphan(receiver / association_id)
                remove_folder(self._tree, receiver)

    def _abort_orphan(self, folder: Path) -> None:
        if (folder / DELIVERY_FILE).exists():
            # It died within the commit, or the commit failed: never to be removed unasked.
            durable.move(folder, self._tree.quarantine / folder.name)
            log.error("orphan of a commit moved to quarantine", association=folder.name)
            return
        for partial in folder.glob(f"*{PARTIAL_SUFFIX}"):
            partial.unlink()
        try:
            text = (folder / ASSOCIATION_FILE).read_bytes()
            association = Association.model_validate_json(text)
        except (FileNotFoundError, ValidationError):
            # It died before its first instance was whole.
            remove_folder(self._tree, folder)
            return
        record = Delivery(
            **association.model_dump(),
            ended=datetime.now(UTC),
            end="died",
            reason="the receiver died during the association",
            instances=tuple(_instances(folder)),
        )
        record.write(folder / ABORTED_FILE)
        durable.move(folder, self._tree.aborted / folder.name)
        log.warning("orphan moved to aborted", association=folder.name)

    def _remove_aborted(self) -> None:
        limit = _ago(self._context.settings.storage.aborted_retention)
        for name in ids_in(self._tree.aborted):
            folder = self._tree.aborted / name
            with contextlib.suppress(FileNotFoundError, ValidationError):
                record = Delivery.model_validate_json((folder / ABORTED_FILE).read_bytes())
                if record.ended < limit:
                    remove_folder(self._tree, folder)
                    log.info("aborted delivery removed", delivery=name)

    def _remove_finished_jobs(self) -> None:
        limit = _ago(self._context.settings.storage.job_retention)
        for job_id in ids_in(self._tree.jobs):
            folder = JobFolder(self._tree, job_id)
            with contextlib.suppress(FileNotFoundError, ValidationError):
                job = folder.read()
                if job.state in _REMOVABLE and job.ended and job.ended < limit:
                    # The folder last: where this is cut short, it is found here again.
                    self._context.hasty_records.remove(job_id)
                    self._remove_delivery_with_last(job)
                    remove_folder(self._tree, folder.path)
                    log.info("job removed", job=job_id)

    def _remove_delivery_with_last(self, job: Job) -> None:
        """A delivery goes with the last of its jobs."""
        folder = self._tree.deliveries / job.delivery
        with contextlib.suppress(FileNotFoundError):  # gone already
            plan = Plan.model_validate_json((folder / PLAN_FILE).read_bytes())
            others = (each.id for each in plan.jobs if each.id != job.id)
            if not any((self._tree.jobs / other).exists() for other in others):
                remove_folder(self._tree, folder)

    def _empty_trash(self) -> None:
        for folder in self._tree.trash.iterdir():
            shutil.rmtree(folder)


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _instances(folder: Path) -> list[Instance]:
    """What is whole in a folder whose receiver can no longer say."""
    found = []
    for path in sorted(folder.glob(f"*{INSTANCE_SUFFIX}")):
        with contextlib.suppress(NotPart10Error):
            meta = read_file_meta(path)
            found.append(
                Instance(
                    sop_class_uid=meta.sop_class_uid,
                    sop_instance_uid=meta.sop_instance_uid,
                    transfer_syntax_uid=meta.transfer_syntax_uid,
                    file=path.name,
                    size=path.stat().st_size,
                )
            )
    return found
