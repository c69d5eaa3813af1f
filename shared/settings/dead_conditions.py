"""Conditions that nothing which comes in can ever fulfil, as the other settings are."""

from collections.abc import Iterator, Mapping, Sequence

from shared.settings.receiving import AeTitleEntry, Receiver
from shared.settings.sections import PipelineSection
from shared.settings.when import When


def dead_conditions(
    entries: Sequence[AeTitleEntry], pipelines: Mapping[str, PipelineSection], receiver: Receiver
) -> Iterator[str]:
    """A line for each that is dead for every AE title with its pipeline; field, value and rule."""
    for name, pipeline in pipelines.items():
        users = [entry for entry in entries if name in entry.pipeline_names]
        if pipeline.when is None or not users:
            continue
        if not any(_may_come(pipeline.when, entry) for entry in users):
            yield (
                f"pipelines.{name}.when.sop_class: never matches:"
                f" {_titles(users)} ignores all of these"
            )
        if not any(_may_call(pipeline.when, entry, receiver) for entry in users):
            yield (
                f"pipelines.{name}.when.calling: never matches:"
                f" none of these may associate with {_titles(users)}"
            )
    for position, entry in enumerate(entries):
        conditions = [pipelines[n].when for n in entry.pipeline_names if n in pipelines]
        said = [when for when in conditions if when is not None]
        if said and all(when.otherwise for when in said):
            yield (
                f"ae_titles.{position}.pipelines: a pipeline of {entry.title!r} has"
                " when.otherwise, and no other has a `when` that it could be other than"
            )


def _may_come(when: When, entry: AeTitleEntry) -> bool:
    return when.sop_class is None or not set(when.sop_class) <= set(entry.ignored_sop_classes)


def _may_call(when: When, entry: AeTitleEntry, receiver: Receiver) -> bool:
    """By AE title alone: networks may overlap in part."""
    allowed = entry.allowed_calling
    if not allowed and receiver.verify_calling_ae_title:
        allowed = receiver.allowed_calling
    return when.calling is None or not allowed or bool(_names(when.calling) & _names(allowed))


def _names(callers: Sequence[str]) -> set[str]:
    return {caller.partition("@")[0].strip(" ") for caller in callers}


def _titles(entries: Sequence[AeTitleEntry]) -> str:
    return " and ".join(repr(entry.title) for entry in entries)
