"""Housekeeping: orphans of dead receivers, and what is past its time; one at a time."""

import contextlib
import time
from datetime import datetime

import structlog

from shared.decision import RefusedError, deciding
from shared.job_folder import JobFolder
from shared.locked_file import LockedFile
from shared.trash import empty_trash, throw_away
from workers.context import WorkerContext
from workers.keeping import aborted, quarantine
from workers.keeping.orphans import rescue_orphans
from workers.keeping.removal import remove_job
from workers.keeping.retention import job_removal_time, shortest_retention
from workers.keeping.shelf import Shelf

log = structlog.get_logger()

_TURN = 5.0  # seconds that one look may take; the rest is for the next tick


class Housekeeping:
    """`tick` often; past their time things are looked for only now and then."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._tree = tree = context.tree
        self._aborted = Shelf(tree.aborted, self._aborted_until, self._remove_aborted)
        self._quarantine = Shelf(tree.quarantine, self._quarantined_until, self._remove_quarantined)
        self._jobs = Shelf(tree.jobs, self._job_until, lambda name: remove_job(context, name))
        self._next_look = 0.0
        self._revision = ""
        self._stuck: set[str] = set()

    def tick(self) -> None:
        """
        Raises:
            redis.RedisError, OSError: Redis or the storage is away; to be called again.
        """
        held = LockedFile.try_lock(self._tree.root / "housekeeping.lock")
        if held is None:
            return
        # Redis may be away, or the disk full: neither keeps the others from being done.
        with held, contextlib.ExitStack() as also:
            look = time.monotonic() >= self._next_look
            if look:
                also.callback(self._empty_trash)
            also.callback(rescue_orphans, self._tree)
            if look:
                self._remove_what_is_past_its_time()

    def _remove_what_is_past_its_time(self) -> None:
        settings = self._context.settings
        storage = settings.storage
        if settings.revision != self._revision:
            for shelf in (self._aborted, self._quarantine, self._jobs):
                shelf.look_anew()
            self._revision = settings.revision
        begun = time.monotonic()
        deadline = begun + _TURN
        whole = self._aborted.clear(storage.aborted_retention, deadline)
        if storage.quarantine_retention is not None:
            whole &= self._quarantine.clear(storage.quarantine_retention, deadline)
        whole &= self._jobs.clear(shortest_retention(storage), deadline)
        if whole:
            self._next_look = begun + settings.workers.housekeeping

    def _aborted_until(self, name: str) -> datetime | None:
        delivery = aborted.read_aborted(self._tree.aborted / name)
        if delivery is None:
            return None
        return aborted.removal_time(delivery, self._context.settings.storage)

    def _remove_aborted(self, name: str) -> None:
        folder = self._tree.aborted / name
        try:
            with deciding(folder):
                throw_away(self._tree, folder)
        except RefusedError:  # a person is at it, or was
            return
        log.info("aborted delivery removed", delivery=name)

    def _quarantined_until(self, name: str) -> datetime | None:
        folder = self._tree.quarantine / name
        return quarantine.removal_time(folder, self._context.settings.storage)

    def _remove_quarantined(self, name: str) -> None:
        folder = self._tree.quarantine / name
        try:
            with deciding(folder):
                throw_away(self._tree, folder)
        except RefusedError:
            return
        log.warning("delivery in quarantine removed", delivery=name)

    def _job_until(self, name: str) -> datetime | None:
        job = JobFolder(self._tree, name).read()
        return job_removal_time(job, self._context.settings.storage)

    def _empty_trash(self) -> None:
        stuck = set(empty_trash(self._tree, self._context.settings.storage.trash_retention))
        if new := stuck - self._stuck:
            log.error("the trash cannot be emptied", of=sorted(new)[:10])
        self._stuck = stuck
