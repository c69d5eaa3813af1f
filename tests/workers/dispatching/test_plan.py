import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from shared.delivery import Delivery, read_delivery
from shared.job_state import JobState
from shared.study import study_hash
from tests.support.samples import data_set_of, sample_file
from tests.workers.site import Given, Site
from workers.dispatching.plan import Plan, make_plan

DESTINATION = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}


def planned(site: Site, *instances: Given, **fields: Any) -> tuple[Plan, Delivery]:
    delivery_id = site.commit(*instances, **fields)
    folder = site.tree.committed / delivery_id
    delivery = read_delivery(folder)
    settings = site.context.settings
    entry = settings.ae_title("BRAIN")
    assert entry is not None
    return make_plan(delivery, entry, settings, folder), delivery


def test_there_is_a_job_for_each_pipeline_of_the_ae_title(make_site: Callable[..., Site]) -> None:
    site = make_site(
        ae_titles=[{"title": "BRAIN", "pipelines": ["one", "two"], "priority": "stat"}],
        pipelines={
            "one": {"kind": "forward", "export_to": ["PACS"]},
            "two": {"kind": "forward"},
            "three": {"kind": "forward"},
        },
        destinations={"PACS": DESTINATION},
    )
    plan, delivery = planned(site, Given("1.2.3"), Given("1.2.4"), end="aborted")
    one, two = plan.jobs
    assert (one.pipeline, two.pipeline) == ("one", "two")
    assert (one.export_to, two.export_to) == (("PACS",), ())
    assert one.id != two.id
    for job in plan.jobs:
        assert job.delivery == plan.delivery == delivery.id
        assert job.priority == "stat"
        assert job.ae_title == "BRAIN"
        assert job.calling_ae_title == "CT01"
        assert job.created == delivery.ended
        assert job.instances == 2
        assert job.size == sum(instance.size for instance in delivery.instances)
        assert job.incomplete
        assert job.state is JobState.QUEUED


def test_its_jobs_say_by_a_hash_which_studies_they_are_of(site: Site) -> None:
    files = ("CT_small.dcm", "MR_small.dcm", "CT_small.dcm")
    given = [Given(f"1.2.{n}", data_set_of(sample_file(name))) for n, name in enumerate(files)]
    plan, _ = planned(site, *given, Given("1.2.9"))  # whose data set says nothing
    uids = {instance.headers.study_instance_uid for instance in plan.instances} - {None}
    assert len(uids) == 2
    (job,) = plan.jobs
    assert set(job.studies) == {study_hash(str(uid)) for uid in uids}
    assert not any(uid in job.model_dump_json() for uid in uids if uid)


def test_the_plan_of_a_delivery_is_always_the_same_and_no_others(site: Site) -> None:
    plan, delivery = planned(site, Given("1.2.3"))
    settings = site.context.settings
    (entry,) = settings.ae_titles
    assert make_plan(delivery, entry, settings, site.tree.committed / delivery.id) == plan
    assert planned(site, Given("1.2.3"))[0].jobs[0].id != plan.jobs[0].id


def test_each_instance_is_hashed_as_it_stands_on_disk(site: Site) -> None:
    plan, delivery = planned(site, Given("1.2.3"), Given("1.2.4", b""))
    for instance in plan.instances:
        content = (site.tree.committed / delivery.id / instance.file).read_bytes()
        assert instance.sha256 == hashlib.sha256(content).hexdigest()
    assert [instance.file for instance in plan.instances] == ["1.2.3.dcm", "1.2.4.dcm"]


def test_an_instance_that_is_missing_is_an_error(site: Site) -> None:
    delivery_id = site.commit(Given("1.2.3"))
    folder = site.tree.committed / delivery_id
    (folder / "1.2.3.dcm").unlink()
    settings = site.context.settings
    with pytest.raises(FileNotFoundError):
        make_plan(read_delivery(folder), settings.ae_titles[0], settings, folder)
