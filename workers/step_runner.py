"""From a Celery message to a step's end: token, lease, body, outcome; the same for every step."""

import contextlib
import secrets
from collections.abc import Callable

import structlog
from celery.exceptions import Ignore, Retry
from pydantic import ValidationError

from shared.job_folder import JobFolder
from shared.registry.gate import Run, Step, StepEnd
from workers.advance import catch_up
from workers.backoff import full_jitter
from workers.context import WorkerContext
from workers.lease import Lease, LeaseLostError, StepWithdrawnError, StoppingError
from workers.outcome import Done, Failed, Outcome, TryAgain, Withdrawn

log = structlog.get_logger()

_FIRST_DELAY, _LONGEST_DELAY = 2.0, 300.0  # seconds, after a fault that no body foresaw

Body = Callable[[WorkerContext, Lease], Outcome]


class StepTriedAgainError(Exception):
    """Why a step is tried again; Flower shows it as the exception of the retry."""


class StepFailedError(Exception):
    """The step failed for good; Flower shows it with this reason."""


def run_step(context: WorkerContext, body: Body, step_id: str, token: str) -> None:
    """Runs a step if the gate lets it, and tells the gate, then Celery, how it ended.

    Raises:
        celery.exceptions.Ignore: a stale or doubled message; whoever holds the step reports.
        celery.exceptions.Retry: tried again at a time that the gate keeps.
        StepFailedError: failed for good.
    """
    caller = f"{context.name}/{secrets.token_hex(4)}"
    run = context.gate.start(step_id, token, caller)
    if run is None:
        log.info("stale message dropped", step=step_id)
        raise Ignore
    with (
        structlog.contextvars.bound_contextvars(step=step_id, attempt=run.attempt),
        Lease(context.hasty_gate, run, context.settings.workers.beat, context.stopping) as lease,
    ):
        outcome = _run_body(context, body, lease)
        _report(context, run, outcome)


def _run_body(context: WorkerContext, body: Body, lease: Lease) -> Outcome:
    try:
        return body(context, lease)
    except LeaseLostError:
        log.warning("step left: its lease is lost")
        raise Ignore from None
    except StoppingError:
        return TryAgain(0, "the worker was stopped", counted=False)
    except StepWithdrawnError:
        return Withdrawn()
    except Exception as error:  # whatever a body raises is the step's failure, not the worker's
        log.exception("step broke")
        delay = full_jitter(lease.run.attempt, _FIRST_DELAY, _LONGEST_DELAY)
        return TryAgain(delay, _words(error))


def _report(context: WorkerContext, run: Run, outcome: Outcome) -> None:
    gate = context.gate
    match outcome:
        case Done():
            gate.finish(run, StepEnd.DONE)
        case TryAgain(delay, reason, counted, troubled):
            gate.finish(
                run,
                StepEnd.RETRYING,
                reason=reason,
                delay=delay,
                counted=counted,
                troubled=troubled,
            )
        case Failed(reason):
            gate.finish(run, StepEnd.FAILED, reason=reason)
        case Withdrawn():
            gate.finish(run, StepEnd.FAILED, reason=outcome.reason)
            _catch_up(context, run.step)
    context.line.call_up(run.step.queue)
    log.info("step ended", outcome=type(outcome).__name__, reason=getattr(outcome, "reason", ""))
    match outcome:
        case TryAgain(delay, reason):
            raise Retry(reason, StepTriedAgainError(reason), round(delay, 1))
        case Failed(reason):
            raise StepFailedError(reason)
        case Withdrawn():
            raise StepFailedError(outcome.reason)


def _catch_up(context: WorkerContext, step: Step) -> None:
    """The job may have been released, or retried, while the withdrawn run was stopping."""
    if step.job:
        with contextlib.suppress(FileNotFoundError, ValidationError):  # the reconciler says so
            catch_up(context, JobFolder(context.tree, step.job))


def _words(error: Exception) -> str:
    """What may be told of an unforeseen error: its kind, never its text, which may hold data."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
