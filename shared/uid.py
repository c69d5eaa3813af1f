"""Unique identifiers (PS3.5 9.1), as far as a gateway has to judge them."""

import re

_UID = re.compile(r"[0-9][0-9.]{0,63}", re.ASCII)


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64 characters: enough to be safe as a file's name.

    Components with leading zeros break PS3.5 9.1 but are sent by real modalities; they pass.
    """
    return _UID.fullmatch(text) is not None
