"""The settings in the documentation are settings."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings
from tests.support.gateway import REPOSITORY

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
EXAMPLES = sorted((REPOSITORY / "docs" / "examples").glob("*/penstock.toml"))
BLOCKS = [
    block for page in PAGES for block in re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text())
]


@pytest.mark.parametrize("text", [*BLOCKS, *(path.read_text() for path in EXAMPLES)])
def test_each_is_accepted_with_what_it_refers_to(text: str) -> None:
    settings: dict[str, Any] = tomllib.loads(text)
    pipelines = settings.setdefault("pipelines", {})
    pipelines.setdefault("keep", {"kind": "forward"})
    destinations = settings.setdefault("destinations", {})
    for pipeline in pipelines.values():
        for name in pipeline.get("export_to", ()):
            destinations.setdefault(name, {"ae_title": name, "host": "127.0.0.1", "port": 104})
    if login := settings.get("flower", {}).get("login"):
        login["client_secret"] = "in a secret file"
    Settings(**settings)


def test_there_are_some() -> None:
    assert BLOCKS
    assert EXAMPLES


def test_every_file_that_the_pages_refer_to_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_example_says_what_it_is() -> None:
    folders = [path for path in (REPOSITORY / "docs" / "examples").iterdir() if path.is_dir()]
    assert [folder for folder in folders if not Path(folder, "README.md").exists()] == []
