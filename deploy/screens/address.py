"""Addresses as a person at a peer would type them."""

import socket

from shared.settings.flower import Flower


def address(host: str, port: int) -> str:
    """For a host that means every interface, this machine's name."""
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def flower_address(flower: Flower) -> str | None:
    """Of its page; None where none is served, or at a port that was not picked yet."""
    if not flower.enabled or not flower.port:
        return None
    below = f"/{flower.url_prefix}/" if flower.url_prefix else ""  # without the slash, it is a 404
    return f"http://{address(flower.host, flower.port)}{below}"
