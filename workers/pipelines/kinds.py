"""Which class runs which kind of pipeline."""

from typing import Any

from shared.settings.sections import CommandPipeline, ForwardPipeline, PipelineSection
from workers.pipelines.command import Command
from workers.pipelines.forward import Forward
from workers.pipelines.kind import Kind


def kind_of(section: PipelineSection) -> Kind[Any]:
    match section:
        case CommandPipeline():
            return Command()
        case ForwardPipeline():
            return Forward()
        case _:
            raise TypeError(f"no kind runs a {type(section).__name__}")
