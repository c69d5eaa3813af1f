"""How tables look here: no frames, whole ids, and long texts folded rather than cut."""

from rich.table import Column, Table


def table(*columns: Column | str) -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0))


def facts() -> Table:
    """A name and its value a line; no heads."""
    return Table.grid(Column(style="bold"), text(""), padding=(0, 2))


def whole(name: str) -> Column:
    """Never broken over lines."""
    return Column(name, no_wrap=True)


def number(name: str) -> Column:
    return Column(name, no_wrap=True, justify="right")


def text(name: str, style: str = "") -> Column:
    """As long as it is."""
    return Column(name, overflow="fold", style=style)
