"""The revision: the same for the same settings, another with any other value."""

from pathlib import Path

import pytest

from shared.settings import load
from tests.shared.settings.conftest import Loading
from tests.shared.settings.test_whole_file import EXAMPLE

CHANGES = [
    ("watermark_percent = 75", "watermark_percent = 75.5"),
    ('"7d"', '"8d"'),
    ("port = 11112", "port = 104"),
    ('"CT01"', '"CT02"'),
    ('"SecondaryCaptureImageStorage"', '"CTImageStorage"'),
    ('"brain:1.4"', '"brain:1.5"'),
    ("max_parallel = 1", "max_parallel = 2"),
    ('"120/m"', '"121/m"'),
    ('"pacs.example"', '"pacs2.example"'),
    ('on_abort = "hold"', 'on_abort = "dispatch"'),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_any_other_value_is_another_revision(loaded: Loading, old: str, new: str):
    assert EXAMPLE.count(old) == 1
    before = loaded(EXAMPLE).revision
    assert loaded(EXAMPLE.replace(old, new)).revision != before


def test_the_same_values_are_the_same_revision_however_written(loaded: Loading):
    before = loaded(EXAMPLE).revision
    assert loaded(EXAMPLE).revision == before
    other = EXAMPLE.replace('"7d"', '"168h"').replace('"120/m"', '"2/s"').replace("  #", "#")
    assert loaded(other + "\n[log]\nlevel = 'info'\n").revision == before


def test_a_value_from_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "penstock.toml"
    path.write_text(EXAMPLE)
    before = load(path).revision
    monkeypatch.setenv("PENSTOCK_EXPORTER__MAX_CONCURRENT_SENDS", "3")
    assert load(path).revision != before
