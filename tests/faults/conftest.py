from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.invariants import unharmed
from tests.support.receivers import ReceiverProcess, receiver_process


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """What a module's receiver is to be told; for the module to override."""
    return {}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> Iterator[ReceiverProcess]:
    root = tmp_path_factory.mktemp("around") / "storage"
    root.mkdir()
    with receiver_process(root, **settings) as receiver:
        yield receiver


@pytest.fixture
def receiver(running: ReceiverProcess) -> Iterator[ReceiverProcess]:
    """One process for all faults of a module, each of which it must survive unharmed."""
    with unharmed(running):
        yield running
