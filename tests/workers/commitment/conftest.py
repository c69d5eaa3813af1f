from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.committing import Keeper
from tests.support.receivers import LocalReceiver, local_receiver
from tests.workers.site import MakeSite, Site


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with Keeper() as running:
        running.react = running.answer_at_once
        yield running


@pytest.fixture
def asking(make_site: MakeSite, keeper: Keeper) -> MakeSite:
    """A function of the destination's options."""

    def make(**options: Any) -> Site:
        return make_site(
            pipelines={"keep": {"kind": "forward", "export_to": ["PACS"]}},
            destinations={"PACS": keeper.section(**options)},
            workers={"reconcile": "0s"},
        )

    return make


@pytest.fixture
def site(asking: MakeSite) -> Site:
    return asking(commitment_linger="10s")


@pytest.fixture
def patient(asking: MakeSite) -> Site:
    """One that does not listen on the association on which it asks."""
    return asking(commitment_linger="0s")


@pytest.fixture
def receiver(patient: Site, keeper: Keeper) -> Iterator[LocalReceiver]:
    section = keeper.section()
    with local_receiver(patient.tree.root, destinations={"PACS": section}) as running:
        keeper.port_to_call = running.port
        keeper.react = keeper.call_and_report
        yield running
