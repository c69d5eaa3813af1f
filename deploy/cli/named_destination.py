"""The destination that a verb is told the name of."""

from deploy.cli.common import ExitCode, fail
from shared.settings import Settings
from shared.settings.sections import Destination


def named_destination(settings: Settings, name: str) -> Destination:
    """A destination of the settings, or the end of the program."""
    found = settings.destinations.get(name)
    if found is None:
        known = ", ".join(settings.destinations) or "none"
        fail(f"no destination is named {name!r}; there are: {known}", ExitCode.USAGE)
    return found
