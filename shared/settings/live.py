"""The settings of a process that lives long: replaced whole, and only by valid ones."""

from collections.abc import Callable, Iterable

import structlog

from shared.settings.load import InvalidSettingsError, load
from shared.settings.model import Settings

log = structlog.get_logger()


class LiveSettings:
    """`now` is one snapshot; whoever is in the middle of something keeps the one that it took."""

    def __init__(self, settings: Settings, fixed: Iterable[str] = ()) -> None:
        """`fixed` are the settings (`"receiver.port"`) that this process cannot change."""
        self.now = settings
        self._fixed = tuple(fixed)

    def reread(self, take: Callable[[Settings], None] = lambda _: None) -> bool:
        """Takes the file's settings if all of them are valid; otherwise the old ones stay.

        `take` is what else has to follow them; it may refuse them by an `InvalidSettingsError`.
        """
        try:
            found = load(self.now.source)
            take(found)
        except InvalidSettingsError as error:
            log.error("new settings refused, the old ones stay", faults=error.faults)
            return False
        self.now, kept = keeping(self.now, found, self._fixed)
        for name in kept:
            log.warning("this needs a restart, the old value stays", setting=name)
        log.info("settings read", revision=self.now.revision)
        return True


def keeping(old: Settings, new: Settings, fixed: Iterable[str]) -> tuple[Settings, list[str]]:
    """`new` with the old values of what is fixed, and the names of those that differed."""
    kept = []
    for name in fixed:
        section, field = name.split(".")
        before = getattr(getattr(old, section), field)
        if getattr(getattr(new, section), field) != before:
            kept.append(name)
            changed = getattr(new, section).model_copy(update={field: before})
            new = new.model_copy(update={section: changed})
    return new, kept
