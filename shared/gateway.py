"""One front door to all that can be asked about a gateway: for screens, scripts and notebooks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Unpack

from shared.destination_state import DestinationState
from shared.ended_association import EndedAssociation
from shared.job_files import JobFiles, read_job_files
from shared.origin import Origin, find_origin
from shared.registry.associations import list_associations
from shared.registry.connection import connect
from shared.registry.destinations import DestinationView, destinations
from shared.registry.exports import ExportView, list_exports
from shared.registry.job_index import JobFilters
from shared.registry.steps import StepView, steps_of
from shared.registry.views import HistoryLine, JobView, find_job, history, list_jobs
from shared.settings import Settings
from shared.status import Status, read_status
from shared.tree import StorageTree


@dataclass(frozen=True, slots=True)
class JobReport:
    """All that is known of a job: its record, what the gate holds, what the storage has."""

    job: JobView
    history: list[HistoryLine]
    steps: list[StepView]
    origins: list[Origin]  # of its deliveries that somebody remembers
    files: JobFiles | None  # None where the storage is not mounted, or has it no more


class Gateway:
    """Reads, and changes nothing. Every call raises `redis.RedisError` with Redis away.

    Args:
        url: of Redis.
        storage: `storage.root`, for what only the storage knows; its absence is no error.
        destinations: to be shown in the status though no job had them yet.
    """

    def __init__(
        self, url: str, storage: Path | None = None, destinations: Iterable[str] = ()
    ) -> None:
        self._redis = connect(url)
        self._tree = None if storage is None else StorageTree(storage)
        self._destinations = tuple(destinations)

    @classmethod
    def of(cls, settings: Settings, url: str | None = None) -> "Gateway":
        """
        Args:
            url: of Redis, where `redis.url` is not set.

        Raises:
            ValueError: no URL is set, and none is given.
        """
        if url is None and settings.redis.url is not None:
            url = settings.redis.url.get_secret_value()
        if url is None:
            raise ValueError("the settings have no redis.url, and none is given")
        return cls(url, settings.storage.root, settings.destinations)

    def jobs(
        self, *, limit: int = 50, before: JobView | None = None, **filters: Unpack[JobFilters]
    ) -> list[JobView]:
        """The newest jobs first; `before` the last of one list is the next.

        Raises:
            ValueError: `destination_state` without a `destination`.
        """
        return list_jobs(self._redis, limit=limit, before=before, **filters)

    def find(self, id_or_part: str) -> JobView:
        """The record of the job with this id, or the only recent one whose id begins or ends so.

        Raises:
            UnknownJobError: none, or several.
        """
        return find_job(self._redis, id_or_part)

    def job(self, id_or_part: str) -> JobReport:
        """All of the job that `find` finds.

        Raises:
            UnknownJobError: none, or several.
            OSError: the storage cannot be read.
            pydantic.ValidationError: the delivery's record on the storage is damaged.
        """
        job = self.find(id_or_part)
        files = None if self._tree is None else read_job_files(self._tree, job.id)
        deliveries = files.deliveries if files and files.deliveries else (job.delivery,)
        origins = (find_origin(self._redis, self._tree, each) for each in deliveries)
        return JobReport(
            job=job,
            history=history(self._redis, job.id),
            steps=steps_of(self._redis, job),
            origins=[origin for origin in origins if origin is not None],
            files=files,
        )

    def history(self, job_id: str) -> list[HistoryLine]:
        """What happened to a job, oldest first."""
        return history(self._redis, job_id)

    def exports(
        self,
        *,
        destination: str | None = None,
        states: Collection[DestinationState] = (DestinationState.FAILED,),
        since: datetime | None = None,
        until: datetime | None = None,
        before: JobView | None = None,
        limit: int = 50,
    ) -> list[ExportView]:
        """The exports of the newest jobs first, the failed ones unless told otherwise."""
        return list_exports(
            self._redis,
            destination=destination,
            states=states,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )

    def destinations(self) -> list[DestinationView]:
        """Those of the settings, and those that jobs have had."""
        return destinations(self._redis, self._destinations)

    def associations(
        self,
        *,
        calling: str | None = None,
        called: str | None = None,
        end: str | None = None,
        limit: int = 50,
    ) -> list[EndedAssociation]:
        """The newest ended associations first: who sent what, who was refused and why."""
        return list_associations(self._redis, calling=calling, called=called, end=end, limit=limit)

    def status(self) -> Status:
        return read_status(self._redis, self._tree, self._destinations)

    def close(self) -> None:
        self._redis.close()

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
