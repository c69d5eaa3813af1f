"""`kind = "forward"`: no program; the instances go on as they came."""

from shared.settings.sections import ForwardPipeline
from workers.pipelines.kind import AttemptEnd, AttemptRun, Succeeded


class Forward:
    def check(self, section: ForwardPipeline) -> list[str]:
        return []

    def trigger(self, section: ForwardPipeline, run: AttemptRun) -> AttemptEnd:
        return Succeeded(run.folder.input.name)
