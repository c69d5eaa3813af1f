"""The step that tries a destination which failed too often: a C-ECHO in a send place."""

from contextlib import suppress

from shared.job_steps import EXPORT_LANE
from shared.registry.step import PROBE, Trouble
from shared.settings import Settings
from shared.settings.sections import Destination
from workers.context import WorkerContext
from workers.scu.association import associate
from workers.scu.contexts import VERIFICATION_CONTEXT
from workers.scu.errors import NotAcceptedError, RejectedError, ScuError
from workers.scu.peer import Caller, Peer
from workers.steps.backoff import full_jitter
from workers.steps.lease import Lease
from workers.steps.outcome import Done, Outcome, TryAgain

_NO_REASON = (1, 1, 1)  # PS3.8 table 9-21: what one may say who was offered Verification alone


def probe(context: WorkerContext, lease: Lease) -> Outcome:
    """The body of a probe: it is done when the destination answers."""
    settings = context.settings
    name = lease.run.step.lane.removeprefix(PROBE + EXPORT_LANE)
    destination = settings.destinations.get(name)
    if destination is None:
        return Done()  # each export to it ends with that reason
    lease.check_before_send()
    try:
        _echo(settings, destination)
    except ScuError as error:
        exporter = settings.exporter.towards(destination)
        delay = full_jitter(lease.run.attempt, exporter.retry_first, exporter.retry_longest)
        return TryAgain(delay, f"{name}: {error}", trouble=Trouble(1, exporter.give_up_after))
    return Done()


def _echo(settings: Settings, destination: Destination) -> None:
    """Returns if it is alive: whatever it answers, and also if it knows no Verification."""
    caller = Caller.of(settings, destination)
    try:
        with (
            associate(Peer.of(destination), caller, [VERIFICATION_CONTEXT]) as association,
            suppress(NotAcceptedError),
        ):
            association.echo()
    except RejectedError as error:
        reject = error.reject
        if (reject.result, reject.source, reject.reason) != _NO_REASON:
            raise
