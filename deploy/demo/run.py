"""The demo from its start to its exit code."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.demo.destination import AE_TITLE as DESTINATION_AE_TITLE
from deploy.demo.destination import Destination
from deploy.demo.gateway import AE_TITLE, Gateway, GatewayError
from deploy.demo.study import make_study
from deploy.screens.timeline import timeline
from shared.destination_state import FAILURES
from shared.gateway import Gateway as Records
from shared.gateway import JobReport
from shared.job_state import JobState
from shared.registry.connection import connect
from shared.registry.views import JobView, list_jobs
from shared.settings import Settings
from workers.exports.outgoing import Outgoing, outgoing_in
from workers.exports.store_status import Verdict, judge
from workers.scu.association import associate
from workers.scu.contexts import contexts_for
from workers.scu.errors import ScuError
from workers.scu.peer import Caller, Peer

_ASSOCIATIONS = 3
_DEADLINE = 60.0  # seconds for any one step
_CALLING_AE_TITLE = "SCANNER"


class DemoError(Exception):
    """The study did not go through as it should."""


def run(console: Console) -> int:
    """Shows each step as it happens; the exit code is 0 only if every byte arrived."""
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as folder:
        try:
            with progress:
                report = _go_through(Path(folder), progress)
        except (DemoError, GatewayError, ScuError) as error:
            console.print(str(error), style="red", markup=False, highlight=False)
            return 1
    console.print("\nOne of the jobs, as `penstock jobs show` tells it:\n")
    console.print(timeline(report))
    return 0


def _go_through(folder: Path, progress: Progress) -> JobReport:
    with ExitStack() as stack:
        with _step(progress, "making a study") as tell:
            files = _study(folder / "study")
            tell(f"a study of {len(files)} instances: {_kinds(files)}")
        with _step(progress, "starting the gateway") as tell:
            destination = stack.enter_context(Destination())
            gateway = stack.enter_context(Gateway(folder, _address(destination)))
            redis = stack.enter_context(connect(gateway.redis_url))
            tell(f"gateway up: DICOM on port {gateway.port}, Flower on {gateway.flower_port}")
        parts = [files[index::_ASSOCIATIONS] for index in range(_ASSOCIATIONS)]
        with _step(progress, f"sending to {AE_TITLE}") as tell:
            for part in parts:
                _send(gateway, part)
            tell(f"sent over {len(parts)} associations, each released: committed to disk")
        with _step(progress, "waiting for dispatch") as tell:
            jobs = _wait(redis, len(parts), lambda job: True)
            tell(f"dispatched: {len(jobs)} jobs for the pipeline {jobs[0].pipeline!r}")
        with _step(progress, "running the pipeline") as tell:
            _wait(redis, len(parts), _pipeline_is_over)
            tell("pipeline run: a command, `cp`, on each delivery")
        with _step(progress, "exporting") as tell:
            jobs = _wait(redis, len(parts), lambda job: job.state is JobState.DONE)
            tell(f"exported to {DESTINATION_AE_TITLE}, pynetdicom's Storage SCP")
        with _step(progress, "comparing") as tell:
            size = _compare(files, destination)
            tell(f"compared: {len(files)} data sets, {size} bytes, all identical")
        records = stack.enter_context(Records(gateway.redis_url, gateway.storage))
        report = records.job(jobs[0].id)
        with _step(progress, "stopping the gateway") as tell:
            stack.close()
            tell("everything stopped")
    return report


@contextmanager
def _step(progress: Progress, doing: str) -> Iterator[Callable[[str], None]]:
    """A line with a spinner while the block runs, and what it says at its end after that."""
    task = progress.add_task(doing, total=1)

    def tell(done: str) -> None:
        progress.update(task, description=done)
        if progress.disable:  # no terminal to draw on: a plain line
            progress.console.print(done, highlight=False)

    yield tell
    progress.update(task, completed=1)


def _study(folder: Path) -> list[Outgoing]:
    folder.mkdir()
    make_study(folder)
    return outgoing_in(folder)


def _kinds(files: Sequence[Outgoing]) -> str:
    classes = {file.meta.sop_class_uid for file in files}
    syntaxes = {file.meta.transfer_syntax_uid for file in files}
    return f"{len(classes)} SOP classes, {len(syntaxes)} transfer syntaxes"


def _address(destination: Destination) -> dict[str, str | int]:
    return {"ae_title": DESTINATION_AE_TITLE, "host": "127.0.0.1", "port": destination.port}


def _send(gateway: Gateway, files: Sequence[Outgoing]) -> None:
    settings = Settings()
    exporter = settings.exporter.model_copy(update={"ae_title": _CALLING_AE_TITLE})
    caller = Caller.of(settings.model_copy(update={"exporter": exporter}))
    peer = Peer(AE_TITLE, "127.0.0.1", gateway.port)
    with associate(peer, caller, contexts_for(file.meta for file in files)) as association:
        for file in files:
            response = association.store(file.path, file.meta)
            if judge(response.status) is not Verdict.DELIVERED:
                raise DemoError(f"{file.name} was answered with status {response.status}")


def _pipeline_is_over(job: JobView) -> bool:
    return job.state in (JobState.EXPORTING, JobState.DONE)


def _wait(redis: Redis, count: int, enough: Callable[[JobView], bool]) -> list[JobView]:
    """The jobs, once there are so many and each is far enough."""
    deadline = time.monotonic() + _DEADLINE
    while True:
        jobs = list_jobs(redis)
        for job in jobs:
            troubled = any(progress.state in FAILURES for progress in job.destinations.values())
            if job.state is JobState.FAILED or troubled:
                raise DemoError(f"job {job.id} failed: {job.reason}")
        if len(jobs) == count and all(map(enough, jobs)):
            return jobs
        if time.monotonic() > deadline:
            states = ", ".join(job.state for job in jobs) or "no jobs"
            raise DemoError(f"not done after {_DEADLINE:g} s: {states}")
        time.sleep(0.02)


def _compare(files: Sequence[Outgoing], destination: Destination) -> int:
    """The bytes that arrived, once each data set and its transfer syntax is what was sent."""
    size = 0
    if len(destination.received) != len(files):
        raise DemoError(f"{len(destination.received)} of {len(files)} instances arrived")
    for file in files:
        sent = file.path.read_bytes()[file.meta.data_set_offset :]
        if destination.received[file.meta.sop_instance_uid] != (
            file.meta.transfer_syntax_uid,
            sent,
        ):
            raise DemoError(f"{file.name} did not arrive as it was sent")
        size += len(sent)
    return size
