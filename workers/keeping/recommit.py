"""Making a committed delivery of what was set apart: what is whole, and who is told."""

from pathlib import Path

from redis import RedisError

from shared.delivery import INSTANCE_SUFFIX, Delivery, Instance
from workers.context import WorkerContext
from workers.reconciling.reconciler import submit_dispatch


def not_whole(folder: Path, delivery: Delivery) -> list[str]:
    """Files that are no instances: not on record as whole, or not as they were recorded."""
    whole = {instance.file for instance in whole_instances(folder, delivery.instances)}
    files = {path.name for path in folder.glob(f"*{INSTANCE_SUFFIX}")}
    listed = {instance.file for instance in delivery.instances}
    return sorted((files | listed) - whole)


def whole_instances(folder: Path, instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Those whose file is there as it was recorded."""
    return tuple(each for each in instances if _size(folder / each.file) == each.size)


def announce(context: WorkerContext, delivery_id: str) -> bool:
    """Submits the dispatch of what was committed by hand; False with Redis away."""
    try:
        submit_dispatch(context, delivery_id)
    except RedisError:
        return False
    return True


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
