"""Faults that are not a step's own: the storage or Redis is away or full, or the job is gone."""

import errno

from redis import RedisError

from shared.registry.step import Step
from workers.context import WorkerContext

_ELSEWHERE = {
    errno.EIO,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ESTALE,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}


def is_elsewhere(context: WorkerContext, error: Exception) -> bool:
    """Whether another step would have met it too: this one waits."""
    if isinstance(error, RedisError):
        return True
    full = isinstance(error, OSError) and error.errno in _ELSEWHERE
    return full or not context.tree.jobs.is_dir()


def is_gone(context: WorkerContext, step: Step) -> bool:
    """Whether a step's job was removed; where the storage is away, nothing is known to be."""
    jobs = context.tree.jobs
    return bool(step.job) and jobs.is_dir() and not (jobs / step.job).exists()
