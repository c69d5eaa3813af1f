from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.workers.pacs import Pacs
from tests.workers.site import Site


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with the AE title BRAIN, whose one pipeline is a forward to nowhere."""
    return make_site()


@pytest.fixture(scope="session")
def running_pacs() -> Iterator[Pacs]:
    with Pacs() as running:
        yield running


@pytest.fixture
def pacs(running_pacs: Pacs) -> Pacs:
    running_pacs.forget()
    return running_pacs


@pytest.fixture
def exporting(make_site: Callable[..., Site]) -> Callable[..., Site]:
    """A function of destinations by name; the site's one pipeline forwards to all of them."""

    def make(exporter: dict[str, Any] | None = None, **destinations: dict[str, Any]) -> Site:
        return make_site(
            pipelines={"keep": {"kind": "forward", "export_to": list(destinations)}},
            destinations=destinations,
            exporter={"response_timeout": "10s"} | (exporter or {}),
        )

    return make
