"""A worker's surroundings: settings in a file, a storage tree, and a context on a real server."""

import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
from redis import Redis

from shared.acts import JobActs
from shared.announce import dispatch_step, leases
from shared.broker import celery_app
from shared.delivery import DELIVERY_FILE, Delivery, Instance
from shared.ids import new_id
from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_steps import export_step, pipeline_step
from shared.part10 import FileMeta, encode_head
from shared.registry import keys
from shared.registry.connection import connect
from shared.registry.gate import Gate
from shared.registry.jobs import JobRecords
from shared.registry.step import Grant, Queue, Run, Step, StepEnd
from shared.settings import load
from shared.step_line import StepLine
from shared.tree import StorageTree, ids_in
from tests.support.records import association_fields
from tests.support.samples import CT, EXPLICIT, data_set
from workers.attempts.pipeline_step import run_pipeline
from workers.context import LiveSettings, WorkerContext
from workers.dispatching.dispatch import dispatch
from workers.exports.step import export
from workers.reconciling.reconciler import Reconciler
from workers.steps.lease import Lease
from workers.steps.outcome import Done, Failed, HandedOver, NothingToDo, Outcome, TryAgain
from workers.steps.running import Running

Body = Callable[[WorkerContext, Lease], Outcome]


class Given(NamedTuple):
    """An instance to be delivered."""

    uid: str
    data_set: bytes = data_set(100)
    sop_class: str = CT
    transfer_syntax: str = EXPLICIT


def id_of(age: timedelta) -> str:
    """An id as it was made that long ago."""
    return f"{datetime.now(UTC) - age:%Y%m%dT%H%M%S}{new_id()[15:]}"


def write_instance(path: Path, given: Given) -> FileMeta:
    head = encode_head(
        sop_class_uid=given.sop_class,
        sop_instance_uid=given.uid,
        transfer_syntax_uid=given.transfer_syntax,
        implementation_class_uid="1.2.3.4",
        implementation_version_name="TESTS",
        calling_ae_title="CT01",
        called_ae_title="BRAIN",
    )
    path.write_bytes(head + given.data_set)
    return FileMeta(given.sop_class, given.uid, given.transfer_syntax, len(head))


class Site:
    """One worker process' worth of things, all real; `sections` are laid over the settings."""

    def __init__(self, root: Path, url: str, **sections: Any) -> None:
        self.url = url
        self.file = root / "penstock.toml"
        self.configure(**sections)
        settings = load(self.file)
        self.tree = StorageTree(settings.storage.root)
        self.tree.create()
        self.redis: Redis = connect(url)
        self.gate = Gate(self.redis, leases(settings))
        self.context = WorkerContext(
            name="tests",
            live=LiveSettings(settings),
            tree=self.tree,
            gate=self.gate,
            records=JobRecords(self.redis),
            hasty_gate=self.gate,
            hasty_records=JobRecords(self.redis),
            line=StepLine(self.gate, celery_app(url)),
            running=Running(100),
        )
        self.gate.open()
        self._granted: dict[str, Grant] = {}

    def configure(self, **sections: Any) -> None:
        """Writes the settings file; a process that lives takes it in when it reads it again."""
        base: dict[str, Any] = {
            "ae_titles": [{"title": "BRAIN", "pipeline": "keep"}],
            "pipelines": {"keep": {"kind": "forward"}},
        }
        self.file.write_text(tomli_w.dumps(base | sections))

    def empty(self) -> None:
        """As new, on disk and in Redis; the settings stay."""
        shutil.rmtree(self.tree.root)
        self.tree.create()
        self.redis.flushall()
        self.gate.open()
        self._granted.clear()

    def close(self) -> None:
        self.redis.close()

    def commit(self, *instances: Given, **fields: Any) -> str:
        """A committed delivery, as a receiver leaves it; its id."""
        delivery_id = str(fields.get("id") or new_id())
        folder = self.tree.committed / delivery_id
        folder.mkdir()
        for given in instances:
            write_instance(folder / f"{given.uid}.dcm", given)
        known = association_fields(
            delivery_id,
            settings_revision=self.context.settings.revision,
            ended=datetime.now(UTC),
            end="released",
            instances=tuple(
                Instance(
                    sop_class_uid=given.sop_class,
                    sop_instance_uid=given.uid,
                    transfer_syntax_uid=given.transfer_syntax,
                    file=f"{given.uid}.dcm",
                    size=(folder / f"{given.uid}.dcm").stat().st_size,
                )
                for given in instances
            ),
        )
        Delivery(**known | fields).write(folder / DELIVERY_FILE)
        return delivery_id

    def start(self, step: Step) -> Run:
        """The right to run a step, by the gate's own way: submitted, granted, started."""
        self.gate.submit(step)
        self.gate.announce_places("tests", dict.fromkeys(Queue, 1000))
        for queue in Queue:
            self._granted |= {grant.step_id: grant for grant in self.gate.grant(queue)}
        # What a body submits stays waiting, to be looked at and to be started from here.
        self.gate.announce_places("tests", dict.fromkeys(Queue, 0))
        grant = self._granted.pop(step.id)
        run = self.gate.start(step.id, grant.token, secrets.token_hex(4))
        assert run is not None
        return run

    def lease(self, run: Run) -> Lease:
        period = self.context.settings.workers.beat
        return Lease(self.gate, run, period, self.context.stopping)

    def perform(self, body: Body, step: Step) -> Outcome:
        """Runs a step and ends it as its outcome says, except that a retry is due at once."""
        run = self.start(step)
        with self.lease(run) as lease:
            outcome = body(self.context, lease)
        match outcome:
            case Done():
                self.gate.finish(run, StepEnd.DONE)
            case Failed():
                self.gate.finish(run, StepEnd.FAILED)
            case NothingToDo():
                self.gate.finish(run, StepEnd.WITHDRAWN)
            case HandedOver(deadline):
                self.gate.hand_over(run, deadline)
            case TryAgain(holds_on=True):
                self.gate.hand_over(run, 0, holds_on=True)
            case TryAgain(counted=counted):  # whatever its trouble: each test makes its own
                self.gate.finish(run, StepEnd.RETRYING, counted=counted)
        return outcome

    def dispatch(self, delivery_id: str) -> Outcome:
        return self.perform(dispatch, dispatch_step(delivery_id, "normal"))

    def run_pipeline(self, job_id: str) -> Outcome:
        return self.perform(run_pipeline, pipeline_step(self.folder(job_id).read()))

    def export(self, job_id: str, destination: str = "PACS") -> Outcome:
        return self.perform(export, export_step(self.folder(job_id).read(), destination))

    def dispatched(self, *instances: Given, **fields: Any) -> str:
        """The one job of a delivery that is dispatched."""
        delivery_id = self.commit(*instances, **fields)
        assert self.dispatch(delivery_id) == Done()
        (job,) = (job for job in self.jobs() if job.delivery == delivery_id)
        return job.id

    def exporting(self, *instances: Given, **fields: Any) -> str:
        """A job whose pipeline, a forward, is through."""
        job_id = self.dispatched(*instances, **fields)
        assert self.run_pipeline(job_id) == Done()
        return job_id

    def handed_over(self) -> str:
        """A job whose engine has it, and has still to tell how it ended."""
        job_id = self.dispatched(Given("1.2.3"))
        assert isinstance(self.run_pipeline(job_id), HandedOver)
        return job_id

    @property
    def acts(self) -> JobActs:
        """What a person may do, who is me@here."""
        return JobActs(self.tree, self.gate, self.context.records, "me@here")

    def reconcile(self) -> None:
        """As a worker does that has just started."""
        Reconciler(self.context).tick()

    def folder(self, job_id: str) -> JobFolder:
        return JobFolder(self.tree, job_id)

    def jobs(self) -> list[Job]:
        return [self.folder(job_id).read() for job_id in ids_in(self.tree.jobs)]

    def steps(self) -> dict[str, str]:
        """Each step that the gate knows and its state; one that is withdrawn is none."""
        found = self.redis.scan_iter(f"{keys.STEP}*")
        states = {key.removeprefix(keys.STEP): self.redis.hget(key, "state") for key in found}
        return {step: state for step, state in states.items() if state != "withdrawn"}


MakeSite = Callable[..., Site]  # its sections
