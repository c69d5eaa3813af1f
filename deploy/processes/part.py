"""One program of those that run together: how it is started, asked and stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Part:
    """What the supervisor keeps running; `environment` goes over the supervisor's own."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    grace: float = 10  # seconds from SIGTERM to SIGKILL
    is_ready: Callable[[], bool] | None = None
    rereads: bool = False  # its settings, at a SIGHUP
    descriptors: tuple[int, ...] = ()  # inherited: a lock that must live as long as the process
