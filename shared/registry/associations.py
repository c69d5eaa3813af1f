"""The newest ended associations of all receivers: who sent what, who was refused and why."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from redis import Redis

from shared.ended_association import EndedAssociation
from shared.registry import keys

_KEEP = 10_000
_PAGE = 500
_Page = list[tuple[str, dict[str, str]]]
_CLOCKS_DIFFER = timedelta(minutes=5)  # a receiver's and the server's, at the most


def remember(redis: Redis, associations: Iterable[EndedAssociation]) -> None:
    """
    Raises:
        redis.RedisError: Redis is away; when called again, nothing is listed twice.
    """
    with redis.pipeline(transaction=False) as pipeline:
        for ended in associations:
            fields: dict[Any, Any] = {
                name: str(value) for name, value in ended.model_dump(mode="json").items()
            }
            pipeline.xadd(keys.ASSOCIATIONS, fields, maxlen=_KEEP, approximate=True)
        pipeline.execute()


def list_associations(
    redis: Redis,
    *,
    calling: str | None = None,
    called: str | None = None,
    end: str | None = None,
    limit: int = 50,
) -> list[EndedAssociation]:
    """The newest first; of those that are given, the AE titles and the end must be the same."""
    found: dict[str, EndedAssociation] = {}
    for association in _newest_first(redis):
        if (
            calling in (None, association.calling)
            and called in (None, association.called)
            and end in (None, association.end)
        ):
            found[association.id] = association
            if len(found) == limit:
                break
    return list(found.values())


def find_association(redis: Redis, association_id: str) -> EndedAssociation | None:
    """None if it is none of those that are remembered; an association's id says when it began."""
    begun = datetime.strptime(association_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    after: int | str = round((begun - _CLOCKS_DIFFER).timestamp() * 1000)
    while page := cast(_Page, redis.xrange(keys.ASSOCIATIONS, after, count=_PAGE)):
        for entry_id, fields in page:
            after = f"({entry_id}"
            if fields["id"] == association_id:
                return EndedAssociation.model_validate(fields)
    return None


def _newest_first(redis: Redis) -> Iterator[EndedAssociation]:
    last = "+"
    while page := cast(_Page, redis.xrevrange(keys.ASSOCIATIONS, last, count=_PAGE)):
        for entry_id, fields in page:
            last = f"({entry_id}"
            yield EndedAssociation.model_validate(fields)
