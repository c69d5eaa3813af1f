"""Jobs on a screen: where from, what for, and how each stands."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.text import Text

from deploy.words import moment, plain
from shared.job import DestinationState, JobState
from shared.registry.jobs import DestinationProgress
from shared.registry.views import JobView

STYLES = {
    JobState.DONE: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
    JobState.HELD: "magenta",
    JobState.RUNNING: "yellow",
    JobState.EXPORTING: "yellow",
}
_HEADS = ("job", "state", "made", "from", "to", "pipeline", "inst.")
_GAP = "  "


class JobsTable:
    """A line each; how a job stands is beneath where the screen is not wide enough for it."""

    def __init__(self, jobs: list[JobView]) -> None:
        self._jobs = jobs

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        rows = [_cells(job) for job in self._jobs]
        widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
        yield Text(_line(_HEADS, widths), style="bold")
        for job, row in zip(self._jobs, rows, strict=True):
            line = Text(_line(row, widths))
            start = widths[0] + len(_GAP)
            line.stylize(STYLES.get(job.state, ""), start, start + len(job.state))
            how = Text(_how(job), style="dim")
            if len(line) + len(_GAP) + len(how) <= options.max_width:
                yield Text.assemble(line, _GAP, how)
            else:
                yield line
                yield Padding(how, (0, 0, 0, len(_GAP)))


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    *words, count = zip(cells, widths, strict=True)
    return _GAP.join([*(cell.ljust(width) for cell, width in words), count[0].rjust(count[1])])


def _cells(job: JobView) -> tuple[str, ...]:
    return (
        job.id,
        job.state,
        moment(job.created),
        plain(job.calling_ae_title),
        plain(job.ae_title),
        job.pipeline,
        str(job.instances),
    )


def _how(job: JobView) -> str:
    ends = job.destinations
    if all(each.state is DestinationState.PENDING for each in ends.values()):
        ends = ends if job.state is JobState.EXPORTING else {}
    words = [f"{name} {_progress(each)}" for name, each in ends.items()]
    if not any(each.state is DestinationState.FAILED for each in ends.values()):
        words = [plain(job.reason), *words] if job.reason else words
    if job.progress is not None:
        words.append(f"{job.progress:.0%}")
    if job.retry_at is not None and job.retry_at > datetime.now(UTC):
        word = "due" if job.state is JobState.WAITING else "again"
        words.append(f"{word} {moment(job.retry_at)}")
    return ", ".join(words)


def _progress(progress: DestinationProgress) -> str:
    reason = f": {plain(progress.reason)}" if progress.reason else ""
    match progress.state:
        case DestinationState.DELIVERED:
            return f"{progress.delivered}"
        case DestinationState.DELIVERED_WITH_WARNINGS:
            return f"{progress.delivered} ({progress.warnings} with warnings)"
        case DestinationState.SENDING:
            return f"{progress.delivered} of {progress.total}"
        case DestinationState.RETRYING if progress.retry_at is not None:
            return f"again {moment(datetime.fromtimestamp(progress.retry_at, UTC))}{reason}"
        case state:
            return f"{state}{reason}"
