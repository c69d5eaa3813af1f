"""A job on a screen: its facts, its history, its destinations."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shared.registry.views import HistoryLine, JobView


def timeline(job: JobView, lines: list[HistoryLine]) -> RenderableType:
    return Group(_facts(job), Text(), _history(lines), *_destinations(job))


def _facts(job: JobView) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    rows = {
        "job": job.id,
        "state": job.state + (f": {job.reason}" if job.reason else ""),
        "delivery": f"{job.delivery}, from {job.calling_ae_title} to {job.ae_title}",
        "pipeline": f"{job.pipeline}, attempt {job.attempt}",
        "instances": f"{job.instances}, {job.size / 1e6:.1f} MB",
    }
    if job.incomplete:
        rows["incomplete"] = "the association was not released"
    if job.retry_at is not None:
        rows["next try"] = f"{job.retry_at.astimezone():%H:%M:%S}"
    for name, value in rows.items():
        facts.add_row(name, Text(value))
    return facts


def _history(lines: list[HistoryLine]) -> Table:
    table = Table("time", "after", "state", "what", box=None, padding=(0, 2, 0, 0))
    for line in lines:
        after = (line.at - lines[0].at).total_seconds()
        table.add_row(
            f"{line.at.astimezone():%H:%M:%S}", f"+{after:.3f} s", line.state, Text(line.what)
        )
    return table


def _destinations(job: JobView) -> list[RenderableType]:
    if not job.destinations:
        return []
    table = Table("destination", "state", "delivered", "reason", box=None, padding=(0, 2, 0, 0))
    for name, progress in job.destinations.items():
        delivered = f"{progress.delivered} of {progress.total}"
        table.add_row(name, progress.state, delivered, Text(progress.reason))
    return [Text(), table]
