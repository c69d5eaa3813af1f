"""A kind that another package brings: one file and an entry point."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from shared.settings import InvalidSettingsError, load
from tests.workers.site import Given, Site
from workers.pipelines.kinds import kind_of
from workers.steps.outcome import Done, Failed

KIND = """
from shared.settings.fields import Seconds
from shared.settings.sections import PipelineSection
from workers.pipelines.kind import AttemptEnd, AttemptRun, Succeeded


class TouchSection(PipelineSection):
    name: str
    patience: Seconds = 60


class Touch:
    section = TouchSection

    def check(self, section: TouchSection) -> list[str]:
        return [f"{section.name} takes {section.patience:g} s"]

    def trigger(self, section: TouchSection, run: AttemptRun) -> AttemptEnd:
        (run.attempt.output / section.name).touch()
        return Succeeded(str(run.attempt.output.relative_to(run.folder.path)))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs a package whose entry point names what is given."""
    packages = tmp_path / "packages"
    monkeypatch.syspath_prepend(packages)

    def make(target: str) -> None:
        about = packages / "acme_kind-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-kind\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[penstock.pipelines]\ntouch = {target}\n")
        (packages / "acme_kind.py").write_text(KIND)

    yield make
    sys.modules.pop("acme_kind", None)


def site_with(make_site: Callable[..., Site], **options: Any) -> Site:
    return make_site(pipelines={"keep": {"kind": "touch"} | options})


def test_its_section_is_its_own_and_it_runs_like_ours(
    make_site: Callable[..., Site], install: Callable[[str], None]
) -> None:
    install("acme_kind:Touch")
    site = site_with(make_site, name="made", patience="2m", max_attempts=1)
    assert "acme_kind" not in sys.modules  # settings alone import none of its code
    section = site.context.settings.pipelines["keep"]
    assert kind_of(section).check(section) == ["made takes 120 s"]
    job_id = site.dispatched(Given("1.2.3"))
    assert site.run_pipeline(job_id) == Done()
    assert (site.folder(job_id).path / "attempts/1/output/made").exists()


def test_what_it_does_not_understand_is_said_with_its_field(
    make_site: Callable[..., Site], install: Callable[[str], None]
) -> None:
    install("acme_kind:Touch")
    site = site_with(make_site, nmae="s3cret")
    section = site.context.settings.pipelines["keep"]
    faults = kind_of(section).check(section)
    assert [fault.partition(":")[0] for fault in faults] == ["name", "nmae"]
    assert "s3cret" not in str(faults)
    assert isinstance(site.run_pipeline(site.dispatched(Given("1.2.3"))), Failed)


@pytest.mark.parametrize("target", ["acme_kind:Gone", "acme_gone:Touch", "acme_kind:KIND"])
def test_one_that_is_broken_is_said(
    make_site: Callable[..., Site], install: Callable[[str], None], target: str
) -> None:
    install(target)
    site = site_with(make_site)
    section = site.context.settings.pipelines["keep"]
    (fault,) = kind_of(section).check(section)
    assert f"the kind 'touch' ({target}) cannot be used" in fault


def test_a_kind_that_nobody_brings_is_refused_with_those_that_there_are(
    tmp_path: Path, install: Callable[[str], None]
) -> None:
    install("acme_kind:Touch")
    file = tmp_path / "penstock.toml"
    pipelines = {"keep": {"kind": "comand", "command": ["true"]}}
    file.write_text(tomli_w.dumps({"pipelines": pipelines}))
    with pytest.raises(InvalidSettingsError) as raised:
        load(file)
    assert raised.value.faults == (
        "pipelines.keep.kind: no kind of pipeline has this name;"
        " there are command, forward, webhook, celery, touch (is 'comand')",
    )
