"""Where a delivery came from: its association, as the storage or, without it, Redis remembers."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from redis import Redis

from shared.delivery import read_delivery
from shared.registry.associations import find_association
from shared.tree import StorageTree


@dataclass(frozen=True, slots=True)
class Origin:
    delivery: str  # its id is the association's
    calling_ae_title: str
    called_ae_title: str
    peer_address: str
    started: datetime
    ended: datetime
    end: str  # released, aborted, died
    instances: int  # kept
    # C-STOREs of which nothing was kept; None where only the storage could tell.
    ignored: int | None = None
    refused: int | None = None
    duplicates: int | None = None


def find_origin(redis: Redis, tree: StorageTree | None, delivery_id: str) -> Origin | None:
    """None where nobody remembers it any more.

    Raises:
        redis.RedisError: Redis is away.
        pydantic.ValidationError: `delivery.json` is damaged.
    """
    if tree is not None:
        try:
            return _of_delivery(tree, delivery_id)
        except (FileNotFoundError, PermissionError):  # not mounted, or not ours to read
            pass
    return _of_association(redis, delivery_id)


def _of_delivery(tree: StorageTree, delivery_id: str) -> Origin:
    delivery = read_delivery(tree.deliveries / delivery_id)
    return Origin(
        delivery=delivery_id,
        calling_ae_title=delivery.calling_ae_title,
        called_ae_title=delivery.called_ae_title,
        peer_address=delivery.peer_address,
        started=delivery.started,
        ended=delivery.ended,
        end=delivery.end,
        instances=len(delivery.instances),
        ignored=delivery.ignored,
        refused=delivery.refused,
        duplicates=delivery.duplicates,
    )


def _of_association(redis: Redis, delivery_id: str) -> Origin | None:
    ended = find_association(redis, delivery_id)
    if ended is None:
        return None
    return Origin(
        delivery=delivery_id,
        calling_ae_title=ended.calling,
        called_ae_title=ended.called,
        peer_address=ended.peer,
        started=ended.ended - timedelta(seconds=ended.seconds),
        ended=ended.ended,
        end=ended.end,
        instances=ended.instances,
    )
