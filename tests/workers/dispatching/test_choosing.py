"""Which pipelines of an AE title get what of a delivery: their `when`."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.announce import dispatch_step
from shared.delivery import read_delivery
from shared.ids import derived_id
from shared.job import Job
from shared.job_state import JobState
from shared.quarantine import read_quarantined
from shared.registry.views import find_job, history
from tests.support.data_sets import described, encoded
from tests.support.samples import CT
from tests.workers.faults import kills
from tests.workers.grouping import GroupingSite
from tests.workers.kept import names
from tests.workers.site import Given, Site
from workers.dispatching.dispatch import dispatch
from workers.keeping.quarantine import release
from workers.reconciling.recover import recover
from workers.steps.outcome import Done

SR = "1.2.840.10008.5.1.4.1.1.88.11"
MR = "1.2.840.10008.5.1.4.1.1.4"


def image(
    number: int,
    modality: str = "CT",
    body_part: str = "",
    *,
    series: str | None = None,
    sop_class: str = CT,
) -> Given:
    """`1.2.<number>`, of a series for each modality unless told otherwise."""
    uid = f"1.2.{number}"
    elements: dict[str, Any] = {"SOPClassUID": sop_class, "Modality": modality}
    elements["StudyInstanceUID"] = "1.9"
    series = f"1.9.{sum(modality.encode())}" if series is None else series
    if series:
        elements["SeriesInstanceUID"] = series
    if body_part:
        elements["BodyPartExamined"] = body_part
    return Given(uid, encoded(described(uid, **elements)), sop_class)


UNREADABLE = Given("1.2.9", b"\xff" * 1000)

Choosing = Callable[..., Site]


@pytest.fixture
def choosing(make_site: Callable[..., Site]) -> Choosing:
    """A site whose pipelines are named and have these conditions; None: no condition."""

    def made(**conditions: dict[str, Any] | None) -> Site:
        return make_site(**sections(**conditions))

    return made


def sections(**conditions: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "ae_titles": [{"title": "BRAIN", "pipelines": list(conditions)}],
        "pipelines": {
            name: {"kind": "forward"} | ({} if when is None else {"when": when})
            for name, when in conditions.items()
        },
    }


def inputs(site: Site) -> dict[str, list[str]]:
    """The names of what each pipeline's job was given."""
    return {job.pipeline: names(site.folder(job.id).input) for job in site.jobs()}


def taken(site: Site, *instances: Given, **fields: Any) -> dict[str, set[int]]:
    """By which pipelines the instances of a delivery are taken, by their numbers."""
    delivery_id = site.commit(*instances, **fields)
    assert site.dispatch(delivery_id) == Done()
    return {
        name: {int(file.split(".")[2]) for file in files} for name, files in inputs(site).items()
    }


# Conditions


def test_each_pipeline_gets_the_series_that_it_takes(choosing: Choosing) -> None:
    site = choosing(ct={"modality": ["CT"]}, mr={"modality": ["MR"]}, all=None)
    assert taken(site, image(1), image(2), image(3, "SR")) == {"ct": {1, 2}, "all": {1, 2, 3}}
    ct = next(job for job in site.jobs() if job.pipeline == "ct")
    folder = site.tree.deliveries / ct.delivery
    assert ct.instances == 2
    assert ct.size == sum((folder / f"1.2.{n}.dcm").stat().st_size for n in (1, 2))
    assert len(ct.series) == 1
    for path in site.folder(ct.id).input.iterdir():
        assert path.samefile(folder / path.name)


def test_of_a_key_one_value_has_to_fit_and_all_keys(choosing: Choosing) -> None:
    site = choosing(ai={"modality": ["CT", "MR"], "body_part": ["HEAD", "BRAIN"]})
    assert taken(
        site,
        image(1, "CT", "HEAD", series="1.1"),
        image(2, "MR", "BRAIN", series="1.2"),
        image(3, "MR", "KNEE", series="1.3"),
        image(4, "US", "HEAD", series="1.4"),
        image(5, "MR", series="1.5"),
    ) == {"ai": {1, 2}}


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize(
    ("term", "value", "fits"),
    [
        ("HEAD", "head", True),
        ("c-spine ", " C-Spine", True),
        ("HEAD", "HEADNECK", False),
        ("HEAD*", "HEADNECK", True),
        ("*SPINE", "LSPINE", True),
        ("?SPINE", "LSSPINE", False),
        ("NECK", "HEAD\\NECK", True),
        ("HEAD", "", False),
        ("*", "", False),
        ("*", "KNEE", True),
    ],
)
def test_case_and_padding_do_not_count_and_wildcards_do(
    choosing: Choosing, term: str, value: str, fits: bool
) -> None:
    site = choosing(ai={"body_part": [term]}, rest={"otherwise": True})
    assert taken(site, image(1, "CT", value)) == {"ai" if fits else "rest": {1}}


def test_a_series_is_taken_whole_though_only_one_of_its_instances_says_what_it_is(
    choosing: Choosing,
) -> None:
    site = choosing(head={"body_part": ["HEAD"]}, rest={"otherwise": True})
    localizer, *slices = image(1), image(2, "CT", "HEAD"), image(3)
    other = image(4, series="1.9.4")
    assert taken(site, localizer, *slices, other) == {"head": {1, 2, 3}, "rest": {4}}


def test_instances_that_name_no_series_are_not_one_series(choosing: Choosing) -> None:
    site = choosing(head={"body_part": ["HEAD"]}, rest={"otherwise": True})
    images = image(1, "CT", "HEAD", series=""), image(2, series="")
    assert taken(site, *images) == {"head": {1}, "rest": {2}}


def test_a_sop_class_is_chosen_within_a_series(choosing: Choosing) -> None:
    site = choosing(
        images={"modality": ["MR"], "sop_class": ["MRImageStorage"]},
        reports={"sop_class": [SR]},
    )
    images = image(1, "MR", sop_class=MR), image(2, "MR", sop_class=SR)
    assert taken(site, *images) == {"images": {1}, "reports": {2}}


@pytest.mark.parametrize(
    ("caller", "fits"),
    [
        ("CT01", True),
        ("CT02", False),
        ("CT01@10.1.2.0/24", True),
        ("CT01@10.9.0.0/16", False),
    ],
)
def test_a_sender_is_chosen_as_it_is_allowed(choosing: Choosing, caller: str, fits: bool) -> None:
    site = choosing(ct={"calling": [caller]}, rest={"otherwise": True})
    assert taken(site, image(1), peer_address="10.1.2.3") == {"ct" if fits else "rest": {1}}


def test_otherwise_takes_what_no_other_condition_of_its_ae_title_takes(choosing: Choosing) -> None:
    site = choosing(
        ct={"modality": ["CT"]},
        rest={"otherwise": True},
        also={"otherwise": True},
        head={"body_part": ["HEAD"]},
        all=None,
    )
    images = image(1, "CT", "HEAD"), image(2, "MR", "HEAD"), image(3, "SR")
    assert taken(site, *images) == {
        "ct": {1},
        "head": {1, 2},
        "rest": {3},
        "also": {3},
        "all": {1, 2, 3},
    }


def test_what_cannot_be_read_has_a_sender_and_a_sop_class_but_no_series(choosing: Choosing) -> None:
    site = choosing(
        modality={"modality": ["*"]},
        part={"body_part": ["*"]},
        sop_class={"sop_class": ["CTImageStorage"]},
        calling={"calling": ["CT01"]},
        all=None,
    )
    assert taken(site, UNREADABLE) == {"sop_class": {9}, "calling": {9}, "all": {9}}
    assert {job.marks.unreadable for job in site.jobs()} == {1}


def test_what_cannot_be_read_is_delivered_otherwise(choosing: Choosing) -> None:
    site = choosing(ct={"modality": ["CT"]}, rest={"otherwise": True})
    assert taken(site, image(1), UNREADABLE) == {"ct": {1}, "rest": {9}}


# What nobody takes


def test_what_no_pipeline_takes_stays_with_the_delivery_and_its_jobs_say_so(
    choosing: Choosing,
) -> None:
    site = choosing(ct={"modality": ["CT"]})
    with capture_logs() as lines:
        assert taken(site, image(1), image(2, "SR"), image(3, "SR")) == {"ct": {1}}
    (job,) = site.jobs()
    assert names(site.tree.deliveries / job.delivery) >= ["1.2.1.dcm", "1.2.2.dcm", "1.2.3.dcm"]
    assert job.marks.left_out == 2
    assert find_job(site.redis, job.id).marks == job.marks
    assert [line.what for line in history(site.redis, job.id)] == ["dispatched, 1 of 3 instances"]
    (line,) = (line for line in lines if line["event"] == "delivery dispatched")
    assert line["left_out"] == 2


def test_a_delivery_that_no_pipeline_takes_any_of_is_set_apart_whole(choosing: Choosing) -> None:
    site = choosing(ct={"modality": ["CT"]}, head={"body_part": ["HEAD"]})
    delivery_id = site.commit(image(1, "SR"), image(2, "PR"), UNREADABLE)
    before = contents(site, site.tree.committed, delivery_id)
    with capture_logs() as lines:
        assert site.dispatch(delivery_id) == Done()
    assert site.jobs() == []
    assert contents(site, site.tree.quarantine, delivery_id) == before
    found = read_quarantined(site.tree.quarantine / delivery_id)
    assert found is not None
    assert found.reason == "no pipeline of 'BRAIN' takes any of it"
    assert found.reason in [line.get("reason") for line in lines if line["log_level"] == "error"]


def contents(site: Site, parent: Any, delivery_id: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (parent / delivery_id).glob("*.dcm")}


def test_released_after_the_settings_were_changed_it_is_judged_by_the_new_ones(
    choosing: Choosing,
) -> None:
    site = choosing(ct={"modality": ["CT"]})
    delivery_id = site.commit(image(1, "SR"))
    site.dispatch(delivery_id)
    site.configure(**sections(ct={"modality": ["CT"]}, rest={"otherwise": True}))
    assert site.context.live.reread()
    release(site.context, delivery_id)
    assert site.dispatch(delivery_id) == Done()
    assert inputs(site) == {"rest": ["1.2.1.dcm"]}


def test_a_worker_whose_settings_are_older_reads_them_again_before_it_sets_apart(
    choosing: Choosing,
) -> None:
    site = choosing(ct={"modality": ["CT"]})
    site.configure(**sections(ct={"modality": ["CT"]}, sr={"modality": ["SR"]}))
    assert taken(site, image(1, "SR"), settings_revision="newer") == {"sr": {1}}


def test_killed_after_any_write_it_is_set_apart_in_the_end(choosing: Choosing) -> None:
    site = choosing(ct={"modality": ["CT"]})
    for kill in kills(least=5):
        site.empty()
        delivery_id = site.commit(image(1, "SR"))
        before = contents(site, site.tree.committed, delivery_id)
        with site.lease(site.start(dispatch_step(delivery_id, "normal"))) as lease:
            with kill:
                dispatch(site.context, lease)
            assert dispatch(site.context, lease) == Done()
        assert contents(site, site.tree.quarantine, delivery_id) == before
        assert names(site.tree.deliveries) == names(site.tree.committed) == []


# The choice is made once


def test_a_choice_once_made_stands_though_settings_change_and_redis_is_lost(
    choosing: Choosing,
) -> None:
    images = image(1), image(2, "MR"), image(3, "SR")
    expected = {"ct": ["1.2.1.dcm"], "rest": ["1.2.2.dcm", "1.2.3.dcm"]}
    before = {"ct": {"modality": ["CT"]}, "rest": {"otherwise": True}}
    after = {"ct": {"modality": ["*"]}, "rest": {"otherwise": True}}
    site = choosing(**before)
    for kill in kills(least=30):
        site.empty()
        site.configure(**sections(**before))
        assert site.context.live.reread()
        delivery_id = site.commit(*images)
        with site.lease(site.start(dispatch_step(delivery_id, "normal"))) as lease, kill:
            dispatch(site.context, lease)
        planned = (site.tree.deliveries / delivery_id / "plan.json").exists()
        site.redis.flushall()
        site.gate.open()
        if planned:
            site.configure(**sections(**after))
            assert site.context.live.reread()
        recover(site.context)
        site.dispatch(delivery_id)
        assert inputs(site) == expected
        jobs = {derived_id(delivery_id, name) for name in expected}
        assert {job.id for job in site.jobs()} == jobs
        assert {find_job(site.redis, job_id).state for job_id in jobs} == {JobState.QUEUED}


# Groups


def grouped(make_site: Callable[..., Site], **entry: Any) -> GroupingSite:
    when = {"one": {"modality": ["CT"]}, "two": {"modality": ["MR"], "body_part": ["HEAD"]}}
    return GroupingSite(make_site, "one", "two", when=when, **entry)


def by_pipeline(grouping: GroupingSite) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in grouping.jobs():
        found.setdefault(job.pipeline, []).append(job)
    return found


def test_of_a_group_each_pipeline_gets_what_it_takes_of_each_delivery(
    make_site: Callable[..., Site],
) -> None:
    grouping = grouped(make_site)
    grouping.dispatched(image(1), image(2, "SR"))
    grouping.dispatched(image(3, "MR", "HEAD"), image(4))
    grouping.dispatched(image(5, "MR", "HEAD"), image(6, "MR", "KNEE", series="1.9.9"))
    grouping.put_forward()
    found = by_pipeline(grouping)
    ((one,), (two,)) = found["one"], found["two"]
    assert inputs(grouping.site) == {
        "one": ["1.2.1.dcm", "1.2.4.dcm"],
        "two": ["1.2.3.dcm", "1.2.5.dcm"],
    }
    assert (one.instances, one.marks.left_out, len(one.series)) == (2, 1, 1)
    assert (two.instances, two.marks.left_out, len(two.series)) == (2, 1, 1)
    view = find_job(grouping.site.redis, two.id)
    assert (view.instances, view.marks, view.series) == (2, two.marks, 1)


def test_a_group_of_which_a_pipeline_takes_nothing_makes_no_job_for_it(
    make_site: Callable[..., Site],
) -> None:
    grouping = grouped(make_site)
    grouping.dispatched(image(1))
    grouping.dispatched(image(2))
    grouping.put_forward()
    assert inputs(grouping.site) == {"one": ["1.2.1.dcm", "1.2.2.dcm"]}


def test_grouped_by_series_each_series_goes_to_its_pipeline(
    make_site: Callable[..., Site],
) -> None:
    grouping = grouped(make_site, group_by="series")
    grouping.dispatched(image(1, series="1.1"), image(2, series="1.2"), image(3, "MR", "HEAD"))
    grouping.dispatched(image(4, series="1.2"), image(5, "MR", "HEAD"))
    grouping.put_forward()
    found = [(job.pipeline, names(grouping.site.folder(job.id).input)) for job in grouping.jobs()]
    assert sorted(found) == [
        ("one", ["1.2.1.dcm"]),
        ("one", ["1.2.2.dcm", "1.2.4.dcm"]),
        ("two", ["1.2.3.dcm", "1.2.5.dcm"]),
    ]


def test_killed_after_any_write_a_group_has_what_its_pipelines_take(
    make_site: Callable[..., Site],
) -> None:
    grouping = grouped(make_site)
    for kill in kills(least=20):
        grouping.empty()
        grouping.dispatched(image(1))
        second = grouping.site.commit(image(2), image(3, "MR", "HEAD"), image(4, "SR"))
        grouping.dispatch_and_kill(second, kill)
        grouping.dispatch_again(second)
        grouping.put_forward()
        assert inputs(grouping.site) == {"one": ["1.2.1.dcm", "1.2.2.dcm"], "two": ["1.2.3.dcm"]}
        assert {job.marks.left_out for job in grouping.jobs()} == {1}
        assert len(read_delivery(grouping.tree.deliveries / second).instances) == 3
