"""An engine elsewhere tells how an attempt ended: it is noted on disk, then carried out.

The note decides. Whoever comes to it can carry it out: who was told, the worker that has just
called the engine, or, when both have died, the reconciler.
"""

import time
from datetime import UTC, datetime

from shared.ids import is_id
from shared.job import Job
from shared.job_folder import JobFolder
from shared.job_state import JobState
from shared.registry.gate import Gate, Verdict
from shared.registry.step import Queue, Run, StepEnd
from workers.attempts.attempt_end import end_attempt
from workers.attempts.attempt_judged import judged
from workers.attempts.engine_stop import stop_engines
from workers.attempts.handover import Answer, EngineAttempt, Told
from workers.context import WorkerContext
from workers.pipelines.kind import AttemptFailed, Succeeded
from workers.steps.outcome import Done, Failed, Outcome, TryAgain
from workers.steps.tried import Try

_LONGEST_MESSAGE = 200  # characters


class CallbackRefusedError(Exception):
    """Nothing was changed; the text says why, to whoever told."""


def finish(
    context: WorkerContext, job_id: str, token: str, told: Told, message: str = ""
) -> Answer:
    """Takes what an engine says of the attempt whose token it has; again: the same answer.

    Raises:
        CallbackRefusedError: unknown, too late, or something else was told before.
        OSError, pydantic.ValidationError: the storage failed; nothing was taken.
        redis.RedisError: Redis is away. What was told is noted, and carried out once it is back.
    """
    folder = JobFolder(context.tree, job_id)
    if not is_id(job_id) or not folder.path.is_dir():
        raise CallbackRefusedError("there is no such job, or not any more")
    known = [each for each in EngineAttempt.all(folder) if each.handover.knows(token)]
    if not known:
        raise CallbackRefusedError("no attempt of this job has this token")
    (called,) = known
    words = "".join(each if each.isprintable() else " " for each in message[:_LONGEST_MESSAGE])
    mine = Answer(told=told, message=words, at=datetime.now(UTC), who=context.who)
    number = called.attempt.number
    with folder.lock():
        if called.answer is None and folder.read().cancelled:
            raise CallbackRefusedError(f"attempt {number} is over: its job was cancelled")
        if called.attempt.is_withdrawn:
            raise CallbackRefusedError(f"attempt {number} is over: its job was held")
        answer = called.tell(mine)
    if answer.told is not told:
        raise CallbackRefusedError(f"attempt {number} is over: {answer.told}")
    carry_out(context, folder)
    return answer


def keep_handed_over(context: WorkerContext, folder: JobFolder, job: Job) -> Job:
    """Says again what was lost of an attempt that an engine is, or was, at; the job from then on.

    An engine that is at work for nothing is told so.

    Raises:
        redis.RedisError: Redis is away.
    """
    stop_engines(context, folder, job)
    called = EngineAttempt.latest(folder, job)
    if called is None:
        return job
    if (answer := called.answer) is not None:
        if answer.carried_out:
            return job
        carry_out(context, folder)
        return folder.read()
    known = called.handover
    if job.state is JobState.QUEUED and known.is_taken and known.seconds_left > 0:
        verdict = context.hasty_gate.hand_over(known.run, known.seconds_left)
        if verdict is Verdict.GO_ON:
            context.records.move(job.id, JobState.RUNNING, sources={JobState.QUEUED})
    return job


def carry_out(context: WorkerContext, folder: JobFolder) -> None:
    """Ends the attempt as its engine has told; not where somebody else is at it already."""
    lock = folder.try_run_lock()
    if lock is None:
        return
    with lock:
        job = folder.read()
        called = EngineAttempt.latest(folder, job)
        if called is None or called.answer is None or called.answer.carried_out:
            return
        outcome = end_as_told(context, job, called) if _waits(job) else _ended(job)
        if not job.held:  # else the gate has been told to forget the step
            _tell_gate(context.gate, called.handover.run, outcome)
        called.carried_out()
    context.line.call_up(Queue.PIPELINE)


def end_as_told(context: WorkerContext, job: Job, called: EngineAttempt) -> Outcome:
    """What the engine's answer makes of its attempt, which is the job's newest."""
    answer = called.answer
    assert answer is not None
    folder, attempt = called.folder, called.attempt
    output = str(attempt.output.relative_to(folder.path))
    told = failed_as_told(answer) or Succeeded(output, answer.message)
    end = judged(context, job, folder, attempt, told)
    assert isinstance(end, Succeeded | AttemptFailed)
    section = context.pipeline(job.pipeline)
    number = folder.attempts() - job.attempts_forgiven
    took = datetime.now(UTC) - called.handover.begun
    tried = Try(answer.who, number, time.monotonic() - took.total_seconds())
    max_attempts = section.max_attempts if section else 1
    return end_attempt(context, folder, attempt, end, tried, max_attempts)


def failed_as_told(answer: Answer) -> AttemptFailed | None:
    """None for a success."""
    match answer.told:
        case Told.SUCCEEDED:
            return None
        case Told.FAILED:
            return AttemptFailed("the engine failed", final=True, told=answer.message)
        case Told.RETRY:
            return AttemptFailed("the engine failed", told=answer.message)
        case Told.OVERDUE:
            return AttemptFailed("no answer within its deadline")


def _ended(job: Job) -> Outcome:
    """Of a job whose record says it already: who was at it died before the gate was told."""
    return Failed(job.failure) if job.failure else Done()


def _waits(job: Job) -> bool:
    """Whether it still has to get a result, or a failure, from its pipeline."""
    return job.result is None and job.state in (JobState.QUEUED, JobState.HELD)


def _tell_gate(gate: Gate, run: Run, outcome: Outcome) -> None:
    match outcome:
        case TryAgain(delay, reason):
            gate.finish(run, StepEnd.RETRYING, reason=reason, delay=delay)
        case Failed(reason):
            gate.finish(run, StepEnd.FAILED, reason=reason)
        case _:
            gate.finish(run, StepEnd.DONE)
