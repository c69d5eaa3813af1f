import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.settings import InvalidSettingsError, Settings, load

Loading = Callable[[str], Settings]
Refusing = Callable[[str], tuple[str, ...]]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's environment nor a file where the tests run has a say."""
    for name in os.environ:
        if name.upper().startswith("PENSTOCK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loaded(tmp_path: Path) -> Loading:
    """The settings that a file's text gives."""

    def loaded(text: str) -> Settings:
        path = tmp_path / "penstock.toml"
        path.write_text(text)
        return load(path)

    return loaded


@pytest.fixture
def faults(loaded: Loading) -> Refusing:
    """What is said of a file's text that must be refused."""

    def faults(text: str) -> tuple[str, ...]:
        with pytest.raises(InvalidSettingsError) as refused:
            loaded(text)
        lines = str(refused.value).splitlines()
        assert lines[1:] == [f"  {fault}" for fault in refused.value.faults]
        return refused.value.faults

    return faults
