"""Times on the command line."""

from datetime import UTC, datetime, timedelta

import typer

from shared.settings.fields import parse_duration


def parse_moment(text: str) -> datetime:
    """`2h` is two hours ago; else a time in ISO 8601, of this machine's zone if it names none.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(text))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(
            f'{text!r} is neither a time ago ("30m", "2h", "7d") nor one like 2026-11-22T10:49'
        ) from None
