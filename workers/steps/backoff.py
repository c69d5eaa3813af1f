"""How long to wait before the next try."""

import random


def full_jitter(attempt: int, first: float, longest: float) -> float:
    """Seconds, chosen evenly up to a bound that doubles with each attempt (1, 2, ...).

    Full jitter: of many that fail together, no two come back together.
    """
    return random.uniform(0, min(longest, first * 2 ** min(attempt - 1, 30)))
