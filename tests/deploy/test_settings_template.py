"""The file that `penstock config init` writes."""

import re
from importlib import resources
from pathlib import Path

import pytest

from shared.settings import Settings, load
from shared.settings.flower import Flower, Login
from shared.settings.pipeline_kinds import CeleryPipeline, WebhookPipeline
from shared.settings.receiving import AeTitleEntry, Http, Receiver
from shared.settings.section import Section
from shared.settings.sections import (
    CommandPipeline,
    Destination,
    Dicom,
    Exporter,
    ForwardPipeline,
    Log,
    Redis,
    Storage,
    Workers,
)
from shared.settings.tls import DestinationTls, Tls

TEMPLATE = resources.files("deploy").joinpath("settings_template.toml").read_text()
SWITCHED_ON = re.sub(r"(?m)^#(?=\S)", "", TEMPLATE)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_unchanged_it_means_the_defaults() -> None:
    defaults = load()
    Path("penstock.toml").write_text(TEMPLATE)
    written = load()
    assert written.source is not None
    assert written.model_dump() == defaults.model_dump()
    assert written.revision == defaults.revision


def test_with_everything_switched_on_it_loads_too() -> None:
    Path("penstock.toml").write_text(SWITCHED_ON)
    settings = load()
    names = {"keep", "brain-segmentation", "lung-nodules", "heart"}
    assert set(settings.pipelines) == names
    assert settings.pipelines["brain-segmentation"].export_to == ("PACS",)
    assert settings.ae_titles[1].pipeline_names == ("brain-segmentation", "keep")
    assert settings.redis.url is not None


SECTIONS: dict[str, type[Section]] = {
    "storage": Storage,
    "dicom": Dicom,
    "receiver": Receiver,
    "receiver.tls": Tls,
    "receiver.http": Http,
    "ae_titles": AeTitleEntry,
    "pipelines.keep": ForwardPipeline,
    "pipelines.brain-segmentation": CommandPipeline,
    "pipelines.lung-nodules": WebhookPipeline,
    "pipelines.heart": CeleryPipeline,
    "exporter": Exporter,
    "destinations.PACS": Destination,
    "destinations.PACS.tls": DestinationTls,
    "redis": Redis,
    "workers": Workers,
    "flower": Flower,
    "flower.login": Login,
    "log": Log,
}
# Explained in one place and good for another, so not twice.
ELSEWHERE = {
    ("ae_titles", "pipelines"),
    ("receiver", "tls"),
    ("receiver", "http"),
    ("flower", "login"),
    ("destinations.PACS", "tls"),
} | {
    (f"pipelines.{name}", key)
    for name in ("brain-segmentation", "lung-nodules", "heart")
    for key in ForwardPipeline.model_fields
}
KEYS = {(where, key) for where, section in SECTIONS.items() for key in section.model_fields}


def test_no_section_is_missing_here() -> None:
    assert {where.partition(".")[0] for where in SECTIONS} == set(Settings.model_fields)


@pytest.mark.parametrize(("where", "key"), sorted(KEYS - ELSEWHERE))
def test_every_key_stands_in_it_with_its_default_said_above(where: str, key: str) -> None:
    section = re.split(rf"(?m)^#?\[+{re.escape(where)}\]+$", TEMPLATE)[1]
    comment = re.search(rf"(?m)^# (.*)\n#?{key} = ", re.split(r"(?m)^#?\[", section)[0])
    assert comment
    assert "efault" in comment[1]
