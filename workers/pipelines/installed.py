"""The kinds that other packages bring, each by an entry point of the group `penstock.pipelines`.

It names a class like those beside this file, which also has `section`: the class of its section,
derived from `PipelineSection`.
"""

from typing import Any

from pydantic import ValidationError

from shared.settings.pipeline_kinds import InstalledPipeline, installed_kinds
from shared.settings.sections import PipelineSection
from workers.pipelines.kind import AttemptEnd, AttemptFailed, AttemptRun, Kind


class UnusableKindError(Exception):
    """A line for each fault, without any value."""


class Installed:
    def check(self, section: InstalledPipeline) -> list[str]:
        try:
            kind, own = _load(section)
        except UnusableKindError as error:
            return str(error).splitlines()
        return kind.check(own)

    def trigger(self, section: InstalledPipeline, run: AttemptRun) -> AttemptEnd:
        try:
            kind, own = _load(section)
        except UnusableKindError as error:
            return AttemptFailed(str(error), final=True)
        return kind.trigger(own, run)


def _load(section: InstalledPipeline) -> tuple[Kind[Any], PipelineSection]:
    point = installed_kinds().get(section.kind)
    if point is None:
        raise UnusableKindError(f"no kind of pipeline is named {section.kind!r} any more")
    try:
        kind = point.load()()
        return kind, kind.section.model_validate(section.model_dump(exclude={"kind"}))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise UnusableKindError("\n".join(faults)) from None
    except (ImportError, AttributeError, TypeError) as error:
        words = f"the kind {section.kind!r} ({point.value}) cannot be used: {error}"
        raise UnusableKindError(words) from None
