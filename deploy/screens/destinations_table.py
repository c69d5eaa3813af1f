"""Destinations on a screen: how each stands, what waits for it, what it was sent."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from deploy.screens.tables import number, table, text, whole
from deploy.screens.words import moment, plain, since
from shared.registry.destinations import Breaker, DestinationView, Health


def destinations_table(views: list[DestinationView], addresses: dict[str, str]) -> Table:
    """
    Args:
        addresses: of those that are in the settings.
    """
    destinations = table(
        *map(whole, ("destination", "address")),
        *map(number, ("waiting", "sending", "retrying", "failed", "today", "a minute")),
        text("health"),
    )
    for view in views:
        numbers = view.waiting, view.sending, view.retrying, view.failed, view.delivered_today
        health = how_it_stands(view.health) or "well"
        if view.health.error:
            health = f"{health}: {plain(view.health.error)}"
        if view.oldest is not None:
            health = f"{health}; the oldest job waits for {since(view.oldest)}"
        destinations.add_row(
            view.name,
            addresses.get(view.name, "not in the settings"),
            *map(str, numbers),
            f"{view.per_minute:.3g}",
            Text(health, style="" if how_it_stands(view.health) else "green"),
        )
    return destinations


def how_it_stands(health: Health) -> str:
    """Empty where all is well."""
    return ", ".join(_words(health))


def _words(health: Health) -> Iterator[str]:
    if health.paused:
        yield "paused"
    if health.breaker is Breaker.TROUBLED:
        yield "troubled"
    if health.breaker is Breaker.OPEN and health.open_since is not None:
        probe = "now" if health.next_probe is None else moment(health.next_probe)
        yield f"breaker open since {moment(health.open_since)}, next probe {probe}"
    if health.refusal:
        yield f"refuses with {health.refusal}"
