"""Which instances of a delivery each pipeline takes, by its `when`.

Each key is judged where DICOM has it: calling by the delivery, modality and body part by the
series, SOP class by the instance. So no condition on a series ever takes half of one.
"""

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from shared.delivery import Delivery, Instance
from shared.settings.fields import caller_matches
from shared.settings.when import When
from workers.dispatching.headers import Headers


class _Series(NamedTuple):
    """What the data sets of a series say of it, in capitals."""

    modalities: set[str]
    body_parts: set[str]


def choose(
    conditions: Mapping[str, When | None], delivery: Delivery, headers: Mapping[str, Headers]
) -> dict[str, frozenset[str]]:
    """The files that each pipeline takes; `headers` are by file.

    A data set that cannot be read has no modality and no body part.
    """
    series = _series(headers)
    everything = frozenset(instance.file for instance in delivery.instances)
    matched = {
        name: frozenset(
            instance.file
            for instance in delivery.instances
            if _takes(when, delivery, instance, series[instance.file])
        )
        for name, when in conditions.items()
        if when is not None and not when.otherwise
    }
    rest = everything.difference(*matched.values())
    unmatched = {
        name: everything if when is None else rest
        for name, when in conditions.items()
        if name not in matched
    }
    return matched | unmatched


def _takes(when: When, delivery: Delivery, instance: Instance, series: _Series) -> bool:
    sender = delivery.calling_ae_title, delivery.peer_address
    return (
        (when.calling is None or any(caller_matches(each, *sender) for each in when.calling))
        and (when.modality is None or _any_fits(when.modality, series.modalities))
        and (when.body_part is None or _any_fits(when.body_part, series.body_parts))
        and (when.sop_class is None or instance.sop_class_uid in when.sop_class)
    )


def _any_fits(terms: Collection[str], values: Collection[str]) -> bool:
    return any(fnmatchcase(value, term) for term in terms for value in values)


def _series(headers: Mapping[str, Headers]) -> dict[str, _Series]:
    """By file; an instance that names no series is one of its own."""
    found: dict[tuple[str, ...], _Series] = {}
    by_file = {}
    for file, each in headers.items():
        uid = each.series_instance_uid
        key = (each.study_instance_uid or "", uid) if uid else (file,)
        series = by_file[file] = found.setdefault(key, _Series(set(), set()))
        series.modalities.update(_values(each.modality))
        series.body_parts.update(_values(each.body_part))
    return by_file


def _values(text: str | None) -> Iterator[str]:
    """Each of an element's values (PS3.5 6.4), without its padding."""
    values = (each.strip(" ").upper() for each in (text or "").split("\\"))
    return (value for value in values if value)
