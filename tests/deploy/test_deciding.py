"""`penstock aborted`, `penstock quarantine` and `penstock recover`: words and exit codes."""

import shutil
from collections.abc import Callable
from functools import partial

import pytest
import tomli_w

from deploy.embedded_server import EmbeddedServer
from shared.job import STATE_FILE
from tests.support import command
from tests.support.command import Ran
from tests.workers.kept import aborted_delivery, names, quarantined_delivery
from tests.workers.site import Given, MakeSite, Site

Penstock = Callable[..., Ran]


@pytest.fixture
def site(make_site: MakeSite, redis_server: EmbeddedServer) -> Site:
    return make_site(redis={"url": redis_server.url})


@pytest.fixture
def penstock(site: Site) -> Penstock:
    """The command, with this site's settings."""
    return partial(command.penstock, "-c", site.file)


def test_aborted_deliveries_are_listed_and_shown(site: Site, penstock: Penstock) -> None:
    folder = aborted_delivery(site, calling_ae_title="CT[red]")
    (folder / "1.2.9.dcm").write_text("torn")
    for words in (("aborted", "list"), ("aborted", "show", folder.name[-12:])):
        result = penstock(*words)
        assert result.code == 0
        for said in (folder.name, "CT[red]", "127.0.0.1", "BRAIN", "A-ABORT by the peer"):
            assert said in result.said
    assert "1.2.9.dcm  not whole" in penstock("aborted", "show", folder.name).said
    (listed,) = penstock("aborted", "list", "--json").json
    assert (listed["id"], listed["instances"], listed["end"]) == (folder.name, 2, "aborted")
    assert listed["remove_at"] > listed["ended"]
    shown = penstock("aborted", "show", folder.name, "--json").json
    assert [file["file"] for file in shown["files"]] == ["1.2.3.dcm", "1.2.4.dcm"]
    assert shown["not_whole"] == ["1.2.9.dcm"]


def test_an_aborted_delivery_is_committed_and_said_to_be(site: Site, penstock: Penstock) -> None:
    folder = aborted_delivery(site)
    (folder / "1.2.9.dcm").write_text("torn")
    result = penstock("aborted", "commit", folder.name)
    assert (result.code, result.said) == (
        0,
        f"{folder.name} committed as incomplete with 2 instances, 1 files that are not whole"
        " left out; its dispatch is submitted\n",
    )
    assert names(site.tree.committed) == [folder.name]
    again = penstock("aborted", "commit", folder.name)
    assert (again.code, "nothing to do" in again.said) == (0, True)


@pytest.mark.parametrize("parent", ["aborted", "quarantine"])
def test_what_is_discarded_is_gone(site: Site, penstock: Penstock, parent: str) -> None:
    make = aborted_delivery if parent == "aborted" else quarantined_delivery
    folder = make(site)
    assert penstock(parent, "discard", folder.name).code == 0
    assert names(site.tree.root / parent) == names(site.tree.trash) == []
    result = penstock(parent, "discard", folder.name)
    assert (result.code, "no delivery is" in result.said) == (1, True)


def test_what_is_in_quarantine_is_shown_and_released_once_it_can_be(
    site: Site, penstock: Penstock
) -> None:
    folder = quarantined_delivery(site, ae_title="GONE")
    reason = "the AE title 'GONE' is not in the settings"
    assert reason in penstock("quarantine", "list").said
    assert (
        f"not to be released as it is: {reason}" in penstock("quarantine", "show", folder.name).said
    )
    (listed,) = penstock("quarantine", "list", "--json").json
    assert listed["quarantine_reason"] == listed["objection"] == reason
    refused = penstock("quarantine", "release", folder.name)
    assert refused.code == 1
    assert reason in refused.said
    released = penstock("quarantine", "release", folder.name, "--ae-title", "BRAIN")
    assert (released.code, released.said) == (
        0,
        f"{folder.name} released for BRAIN with 2 instances; its dispatch is submitted\n",
    )
    assert site.steps() == {folder.name: "waiting"}


def test_recover_says_what_it_did(site: Site, penstock: Penstock) -> None:
    site.dispatched(Given("1.2.3"))
    gone = site.dispatched(Given("1.2.3"))
    site.redis.flushall()
    assert "2 had no record" in penstock("recover").said
    shutil.rmtree(site.folder(gone).path)
    result = penstock("recover")
    assert result.code == 0
    assert "1 jobs on disk: 0 had no record" in result.said
    assert "1 records of jobs that are gone removed, 1 steps" in result.said


def test_recover_names_what_is_damaged_and_fails(site: Site, penstock: Penstock) -> None:
    job_id = site.dispatched(Given("1.2.3"))
    (site.folder(job_id).path / STATE_FILE).write_text("{")
    result = penstock("recover")
    assert result.code == 1
    assert f"jobs/{job_id}: its record cannot be read" in result.said


def test_recover_without_a_storage_changes_nothing(site: Site, penstock: Penstock) -> None:
    site.dispatched(Given("1.2.3"))
    before = site.redis.dbsize()
    site.tree.jobs.rename(site.tree.root / "elsewhere")
    result = penstock("recover")
    assert result.code == 1
    assert "there is no storage in" in result.said
    assert site.redis.dbsize() == before


def test_with_redis_away_what_needs_it_says_so(site: Site, penstock: Penstock) -> None:
    quarantined, aborted = quarantined_delivery(site), aborted_delivery(site)
    settings = {
        "redis": {"url": "redis://127.0.0.1:1"},
        "ae_titles": [{"title": "BRAIN", "pipeline": "keep"}],
    }
    site.file.write_text(tomli_w.dumps(settings))
    assert penstock("recover").code == 69
    refused = penstock("quarantine", "release", quarantined.name)
    assert refused.code == 69
    assert "nothing was changed" in refused.said
    assert names(site.tree.quarantine) == [quarantined.name]
    committed = penstock("aborted", "commit", aborted.name)
    assert committed.code == 0
    assert "a worker finds it by itself" in committed.said
    assert penstock("quarantine", "list").code == penstock("aborted", "list").code == 0
    assert penstock("quarantine", "discard", quarantined.name).code == 0
