"""AE titles (PS3.5 6.2, value representation AE)."""

MAX_LENGTH = 16


def fault(title: str) -> str | None:
    """What is wrong with an AE title as PS3.5 6.2 has it, or None."""
    if not title.strip(" "):
        return "is empty"
    if len(title) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if not title.isascii() or not title.isprintable() or "\\" in title:
        return "has a character that an AE title may not have (PS3.5 6.2)"
    return None
