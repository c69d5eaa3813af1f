"""A thousand peers of one process are a thousand descriptors of ours, too."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 4096


@contextmanager
def many_descriptors() -> Iterator[None]:
    """As many as are allowed, while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _MANY), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
