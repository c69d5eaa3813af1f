"""Ids of our own making: sortable by time, opaque, safe as file names."""

import hashlib
import re
import secrets
import time

_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}", re.ASCII)


def new_id() -> str:
    """An id like `20261122T104907-3f9c2a41d07e`: UTC to the second, then chance."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(6)}"


def derived_id(parent: str, name: str) -> str:
    """The one id that `name` has under `parent`: the same however often it is asked for."""
    return f"{parent[:15]}-{hashlib.sha256(f'{parent}/{name}'.encode()).hexdigest()[:12]}"


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None
