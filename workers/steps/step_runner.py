"""From a Celery message to a step's end: token, lease, body, outcome; the same for every step."""

import contextlib
import secrets
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog
from celery.exceptions import Ignore, Reject, Retry
from pydantic import ValidationError
from redis import RedisError

from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.registry.jobs import Entry
from shared.registry.step import Queue, Run, Step, StepEnd
from shared.settings.fields import format_duration
from workers.context import WorkerContext
from workers.reconciling.catch_up import catch_up
from workers.steps.backoff import full_jitter
from workers.steps.lease import Lease, LeaseLostError, StepWithdrawnError, StoppingError
from workers.steps.outcome import (
    Done,
    Failed,
    HandedOver,
    NothingToDo,
    Outcome,
    TryAgain,
    Withdrawn,
)
from workers.steps.poison import end_poison
from workers.steps.surroundings import is_elsewhere, is_gone

log = structlog.get_logger()

_HAND_ON = 0.2  # seconds before another worker may take a message that this one has no place for
_FIRST_DELAY, _LONGEST_DELAY = 2.0, 300.0  # seconds, after a fault that no body foresaw

Body = Callable[[WorkerContext, Lease], Outcome]


class StepTriedAgainError(Exception):
    """Why a step is tried again; Flower shows it as the exception of the retry."""


class StepFailedError(Exception):
    """The step failed for good; Flower shows it with this reason."""


def run_step(context: WorkerContext, body: Body, step_id: str, token: str) -> None:
    """Runs a step if the gate lets it, and tells the gate, then Celery, how it ended.

    Raises:
        celery.exceptions.Reject: no place is free here; the message goes to another worker.
        celery.exceptions.Ignore: a stale or doubled message; whoever holds the step reports.
        celery.exceptions.Retry: tried again at a time that the gate keeps.
        StepFailedError: failed for good.
    """
    with ExitStack() as place:
        if not place.enter_context(context.running.place_for(step_id)):
            time.sleep(_HAND_ON)
            raise Reject("no place is free here", requeue=True)
        caller = f"{context.name}/{secrets.token_hex(4)}"
        run = context.gate.start(step_id, token, caller)
        if run is None:
            log.info("stale message dropped", step=step_id)
            raise Ignore
        with (
            structlog.contextvars.bound_contextvars(step=step_id, attempt=run.attempt),
            Lease(
                context.hasty_gate, run, context.settings.workers.beat, context.stopping
            ) as lease,
        ):
            outcome = _run_body(context, body, lease)
            place.close()  # the gate gives it to the next as soon as it hears of this one's end
            _report(context, run, outcome)


def _run_body(context: WorkerContext, body: Body, lease: Lease) -> Outcome:
    limit = context.settings.workers.max_step_attempts
    if lease.run.breaks > limit:
        return _give_up(context, lease.run, f"given up: {limit} runs of it broke off")
    try:
        return body(context, lease)
    except LeaseLostError:
        log.warning("step left: its lease is lost")
        raise Ignore from None
    except StoppingError:
        return TryAgain(0, "the worker was stopped", counted=False)
    except StepWithdrawnError:
        return Withdrawn()
    except ValidationError as error:  # of a record on disk, and it stays as it is
        return _give_up(context, lease.run, f"its {error.title} record on disk is damaged")
    except Exception as error:  # noqa: BLE001 (the step's failure, not the worker's; it is told)
        log.error("step broke", error=type(error).__name__, where=_where(error))
        return _broken(context, lease.run, error)


def _broken(context: WorkerContext, run: Run, error: Exception) -> Outcome:
    """After an end that the body did not foresee."""
    delay = full_jitter(run.attempt, _FIRST_DELAY, _LONGEST_DELAY)
    if isinstance(error, RedisError):
        return TryAgain(delay, _words(error))
    if is_elsewhere(context, error):
        limit = context.settings.workers.give_up_after
        if run.held_up < limit:
            return TryAgain(delay, _words(error), held_up=True)
        return _give_up(context, run, f"given up after {format_duration(limit)}: {_words(error)}")
    if is_gone(context, run.step) or run.breaks >= context.settings.workers.max_step_attempts:
        reason = f"given up: {run.breaks} runs of it broke off, the last by {_words(error)}"
        return _give_up(context, run, reason)
    return TryAgain(delay, _words(error), broken=True)


def _give_up(context: WorkerContext, run: Run, reason: str) -> Outcome:
    if is_gone(context, run.step):
        return NothingToDo()
    try:
        return end_poison(context, run.step, reason)
    except OSError as error:
        return TryAgain(_LONGEST_DELAY, _words(error), broken=True, held_up=True)


def _report(context: WorkerContext, run: Run, outcome: Outcome) -> None:
    gate = context.gate
    match outcome:
        case Done():
            gate.finish(run, StepEnd.DONE)
        case TryAgain(delay, holds_on=True):
            gate.hand_over(run, delay, holds_on=True)
            _catch_up(context, run.step)
        case TryAgain(delay, reason, counted, trouble, broken, held_up):
            gate.finish(
                run,
                StepEnd.RETRYING,
                reason=reason,
                delay=delay,
                counted=counted,
                trouble=trouble,
                broken=broken,
                held_up=held_up,
            )
            if held_up or broken:
                _tell_job(context, run.step, "held up" if held_up else "broke off", delay, reason)
        case Failed(reason):
            gate.finish(run, StepEnd.FAILED, reason=reason)
        case HandedOver(deadline):
            gate.hand_over(run, deadline)
            _catch_up(context, run.step)
        case Withdrawn():
            gate.finish(run, StepEnd.WITHDRAWN)
            _catch_up(context, run.step)
        case NothingToDo():
            gate.finish(run, StepEnd.WITHDRAWN)
    context.line.call_up(run.step.queue)
    log.info("step ended", outcome=type(outcome).__name__, reason=getattr(outcome, "reason", ""))
    match outcome:
        case TryAgain(delay, reason):
            raise Retry(reason, StepTriedAgainError(reason), round(delay, 1))
        case Failed(reason):
            raise StepFailedError(reason)
        case Withdrawn():
            raise StepFailedError(outcome.reason)


def _tell_job(context: WorkerContext, step: Step, what: str, delay: float, reason: str) -> None:
    """Of an end that the step's body did not foresee, and so has said nothing of."""
    if step.job:
        context.records.move(
            step.job,
            JobState.QUEUED if step.queue is Queue.PIPELINE else JobState.EXPORTING,
            Entry(what, context.who, error=reason),
            reason=reason,
            retry_at=round((time.time() + delay) * 1000),
        )


def _catch_up(context: WorkerContext, step: Step) -> None:
    """The job may have been released, or retried, while the withdrawn run was stopping.

    Or an engine has told already how the attempt ended that it was just called for.
    """
    if step.job:
        with contextlib.suppress(FileNotFoundError, ValidationError):  # the reconciler says so
            catch_up(context, JobFolder(context.tree, step.job))


def _words(error: Exception) -> str:
    """What may be told of an unforeseen error: its kind, never its text, which may hold data."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _where(error: Exception) -> list[str]:
    """The traceback as file:line, the innermost last: without the texts, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
