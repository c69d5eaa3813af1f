"""Times, spans and sizes as the screens say them."""

from datetime import datetime

_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def moment(time: datetime) -> str:
    """In local time; without the date where it is today's."""
    local = time.astimezone()
    if local.date() == datetime.now().astimezone().date():
        return f"{local:%H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M}"


def span(seconds: float) -> str:
    """A length of time, as exact as it helps: `0.052 s`, `12.3 s`, `5 min`, `2 d`."""
    if abs(seconds) < 60:
        return f"{seconds:.3f} s" if abs(seconds) < 1 else f"{seconds:.1f} s"
    size, unit = next((size, unit) for size, unit in _SPANS if abs(seconds) >= size)
    return f"{seconds / size:.0f} {unit}"


def since(time: datetime) -> str:
    """How long ago."""
    return span(max(0.0, (datetime.now().astimezone() - time).total_seconds()))


def size(count: int) -> str:
    """Of bytes."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def plain(text: str) -> str:
    """Text that others chose, with nothing in it that a terminal would obey."""
    return text if text.isprintable() else repr(text)[1:-1]
