from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engine import Engine, Reply
from tests.workers.exporting import at
from tests.workers.site import MakeSite, Site
from workers.steps.places import caps


@pytest.fixture
def engine() -> Iterator[Engine]:
    """One that takes each call, to tell later how it ended."""
    with Engine(Reply(202)) as running:
        yield running


@pytest.fixture
def make_engine_site(make_site: MakeSite, engine: Engine) -> MakeSite:
    """A function of options of its one pipeline, whose work the engine does."""

    def make(**options: Any) -> Site:
        pipeline = {
            "kind": "webhook",
            "url": engine.url,
            "mode": "callback",
            "max_parallel": 1,
            "export_to": ["PACS"],
        }
        site = make_site(
            pipelines={"keep": pipeline | options},
            destinations={"PACS": at(104)},
            workers={"reconcile": "0s", "beat": "50ms"},
        )
        site.gate.set_caps(caps(site.context.settings))
        return site

    return make


@pytest.fixture
def engine_site(make_engine_site: MakeSite) -> Site:
    return make_engine_site()
