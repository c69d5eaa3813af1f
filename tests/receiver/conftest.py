from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Hospital
from tests.support.receivers import LocalReceiver, local_receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[LocalReceiver]:
    with local_receiver(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return Hospital(tmp_path_factory.mktemp("certificates"))
