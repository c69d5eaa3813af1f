"""Which class runs which kind of pipeline."""

from typing import Any

from shared.settings.pipeline_kinds import CeleryPipeline, InstalledPipeline, WebhookPipeline
from shared.settings.sections import CommandPipeline, ForwardPipeline, PipelineSection
from workers.pipelines.celery_task import CeleryTask
from workers.pipelines.command import Command
from workers.pipelines.forward import Forward
from workers.pipelines.installed import Installed
from workers.pipelines.kind import Kind
from workers.pipelines.webhook import Webhook

_KINDS: dict[type[PipelineSection], type[Kind[Any]]] = {
    CommandPipeline: Command,
    ForwardPipeline: Forward,
    WebhookPipeline: Webhook,
    CeleryPipeline: CeleryTask,
    InstalledPipeline: Installed,
}


def kind_of(section: PipelineSection) -> Kind[Any]:
    return _KINDS[type(section)]()
