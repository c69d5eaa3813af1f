"""A job on a screen: its facts, its history, its destinations, its files."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.screens.job_files import files_screen
from deploy.screens.jobs_table import STYLES
from deploy.screens.tables import facts, number, table, text, whole
from deploy.screens.words import moment, plain, size, span
from shared.gateway import JobReport
from shared.job_state import JobState
from shared.origin import Origin
from shared.registry.steps import StepView
from shared.registry.views import HistoryLine, JobView

_ORIGINS = 10  # of the deliveries of a job that had more of them


def timeline(report: JobReport) -> RenderableType:
    parts = [_facts(report), _history(report.history)]
    if report.job.destinations:
        parts.append(_destinations(report))
    if report.files is not None:
        parts += files_screen(report.files)
    return Group(*(line for part in parts for line in (part, Text())))


def _facts(report: JobReport) -> Table:
    found = facts()
    for name, value in _lines(report):
        style = STYLES.get(report.job.state, "") if name == "state" else ""
        found.add_row(name, Text(value, style=style))
    return found


def _lines(report: JobReport) -> Iterator[tuple[str, str]]:
    job = report.job
    yield "job", job.id
    yield "state", job.state + (f": {plain(job.reason)}" if job.reason else "")
    yield "pipeline", f"{job.pipeline}, {job.priority} priority, attempt {job.attempt}"
    if job.progress is not None:
        yield "progress", f"{job.progress:.0%}"
    yield "instances", f"{job.instances} of {job.series} series, {size(job.size)}"
    for words in job.marks.words():
        yield "marked", words
    for origin in report.origins[:_ORIGINS]:
        yield "delivery", _origin(origin)
    if job.deliveries > _ORIGINS:
        yield "", f"{job.deliveries} deliveries in all"
    if not report.origins:
        yield "delivery", f"{job.delivery}, from {plain(job.calling_ae_title)} to {job.ae_title}"
    if job.follows:
        yield "follows", f"{job.follows}, for which it came too late"
    if job.state is JobState.WAITING and job.retry_at is not None:
        yield "due", f"{moment(job.retry_at)}, {_left(job.retry_at)}, unless more comes"
    if job.incomplete:
        yield "incomplete", "the association was not released"
    for step in report.steps:
        yield from _next(step, job)
    if report.files is None:
        yield "files", "the storage is not here, or does not have them any more"
    else:
        yield "files", str(report.files.folder)
        for name in report.files.damaged:
            yield "damaged", name


def _origin(origin: Origin) -> str:
    took = span((origin.ended - origin.started).total_seconds())
    counts = {
        "ignored": origin.ignored,
        "refused": origin.refused,
        "received twice": origin.duplicates,
    }
    return (
        f"{origin.delivery}, from {plain(origin.calling_ae_title)} at {origin.peer_address}"
        f" to {plain(origin.called_ae_title)}, {origin.end} {moment(origin.ended)} after {took}"
        + "".join(f", {count} {word}" for word, count in counts.items() if count)
    )


def _next(step: StepView, job: JobView) -> Iterator[tuple[str, str]]:
    destination = step.id.removeprefix(job.id).removeprefix(".")
    what = destination or job.pipeline
    held = job.waits.get(destination, "")
    if held and step.state in ("waiting", "retrying"):
        why = f", after: {plain(step.reason)}" if step.reason else ""
        yield "waiting", f"{what}: {held}, since {moment(step.submitted)}{why}"
    elif step.due is not None:
        why = f", after: {plain(step.reason)}" if step.reason else ""
        yield "next try", f"{what}: {moment(step.due)}, {_left(step.due)}{why}"
    elif step.state == "waiting":
        yield "waiting", f"{what}: for a place, since {moment(step.submitted)}"


def _left(due: datetime) -> str:
    return "in " + span(max(0.0, (due - datetime.now(UTC)).total_seconds()))


def _history(lines: list[HistoryLine]) -> Table:
    history = table(
        whole("time"), number("after"), whole("state"), text("what"), number("took"), text("who")
    )
    for line in lines:
        what = Text(line.what)
        if line.error:
            what.append(f": {plain(line.error)}", style="red")
        history.add_row(
            moment(line.at),
            "+" + span((line.at - lines[0].at).total_seconds()),
            Text(line.state, style=STYLES.get(JobState(line.state), "")),
            what,
            "" if line.seconds is None else span(line.seconds),
            Text(plain(line.who)),
        )
    return history


def _destinations(report: JobReport) -> Table:
    """With the statuses of the C-STORE responses where the storage has them."""
    sent = {} if report.files is None else report.files.sent
    destinations = table(
        whole("destination"),
        whole("state"),
        *map(number, ("delivered", "warnings", "failed", "of")),
        text("statuses"),
        text("reason"),
    )
    for name, progress in report.job.destinations.items():
        statuses = Counter(each.status or "none" for each in sent.get(name, ()))
        destinations.add_row(
            name,
            progress.state,
            *map(str, (progress.delivered, progress.warnings, progress.failed)),
            str(progress.total) if progress.total else "",
            ", ".join(f"{count} with {status}" for status, count in sorted(statuses.items())),
            Text(plain(progress.reason)),
        )
    return destinations
