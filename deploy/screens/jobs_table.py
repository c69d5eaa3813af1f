"""Jobs on a screen: where from, what for, and how each stands."""

from datetime import UTC, datetime

from rich.text import Text

from deploy.screens.listing import Listing
from deploy.screens.tables import number, whole
from deploy.screens.words import moment, plain
from shared.destination_state import FAILURES, DestinationState
from shared.job_state import JobState
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


def jobs_table(jobs: list[JobView]) -> Listing:
    """A line each; how a job stands is beneath where the screen is not wide enough for it."""
    listing = Listing(
        *map(whole, ("job", "state", "made", "from", "to", "pipeline")), number("inst.")
    )
    for job in jobs:
        listing.add(
            job.id,
            Text(job.state, style=STYLES.get(job.state, "")),
            moment(job.created),
            plain(job.calling_ae_title),
            plain(job.ae_title),
            job.pipeline,
            str(job.instances),
            remark=Text(_how(job), style="dim"),
        )
    return listing


def _how(job: JobView) -> str:
    ends = job.destinations
    if all(each.state is DestinationState.PENDING for each in ends.values()):
        ends = ends if job.state is JobState.EXPORTING else {}
    words = [f"{name} {progress(each, job.waits.get(name))}" for name, each in ends.items()]
    if not any(each.state in FAILURES for each in ends.values()):
        words = [plain(job.reason), *words] if job.reason else words
    if job.progress is not None:
        words.append(f"{job.progress:.0%}")
    if job.retry_at is not None and job.retry_at > datetime.now(UTC):
        word = "due" if job.state is JobState.WAITING else "again"
        words.append(f"{word} {moment(job.retry_at)}")
    return ", ".join(words)


def progress(progress: DestinationProgress, waits: str | None) -> str:
    """How an export stands; `waits`: what for, where that is not its time alone."""
    reason = f": {plain(progress.reason)}" if progress.reason else ""
    match progress.state:
        case DestinationState.DELIVERED:
            return f"{progress.delivered}"
        case DestinationState.DELIVERED_WITH_WARNINGS:
            return f"{progress.delivered} ({progress.warnings} with warnings)"
        case DestinationState.PENDING | DestinationState.RETRYING if waits:
            return f"{waits}{reason}"
        case DestinationState.SENDING:
            return f"{progress.delivered} of {progress.total}"
        case DestinationState.COMMITMENT_CONFIRMED:
            return f"{progress.delivered} confirmed"
        case DestinationState.RETRYING if progress.retry_at is not None:
            return f"again {moment(datetime.fromtimestamp(progress.retry_at, UTC))}{reason}"
        case state:
            return f"{state}{reason}"
