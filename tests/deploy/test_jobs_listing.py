"""`penstock jobs` and `penstock jobs show`, as a script and as a person meets them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from redis import Redis
from rich.console import Console

from deploy.cli.moments import parse_moment
from deploy.embedded_server import EmbeddedServer
from deploy.screens.jobs_table import jobs_table
from shared.destination_state import DestinationState
from shared.job import DestinationEnd
from shared.job_state import JobState
from shared.marks import Marks
from shared.registry.jobs import DestinationProgress, JobRecords
from shared.registry.views import list_jobs
from shared.study import series_hash, study_hash
from tests.shared.registry.jobs import job
from tests.support.command import penstock


@pytest.fixture(autouse=True)
def records(
    redis: Redis, redis_server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JobRecords:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_REDIS__URL", redis_server.url)
    return JobRecords(redis)


FAILED = DestinationEnd(state=DestinationState.FAILED, delivered=3, failed=2, reason="refused")


@pytest.fixture
def three(records: JobRecords) -> None:
    now = datetime.now(UTC)
    records.create(
        job(
            "failed",
            created=now - timedelta(days=2),
            export_to=("PACS",),
            destinations={"PACS": FAILED},
            studies=(study_hash("1.2.3"),),
        ),
        JobState.FAILED,
        "made",
    )
    records.create(
        job("other", created=now - timedelta(hours=1), ae_title="LUNG", export_to=("PACS",)),
        JobState.QUEUED,
        "made",
    )
    records.create(
        job("third", created=now, calling_ae_title="MR01", pipeline="rest"), JobState.DONE, "made"
    )


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["third", "other", "failed"]),
        (["--state", "queued"], ["other"]),
        (["--ae-title", "LUNG"], ["other"]),
        (["--calling", "MR01"], ["third"]),
        (["--pipeline", "rest"], ["third"]),
        (["--destination", "PACS"], ["other", "failed"]),
        (["--destination", "PACS", "--destination-state", "failed"], ["failed"]),
        (["--study", "1.2.3"], ["failed"]),
        (["--study", "1.2.4"], []),
        (["--since", "2h"], ["third", "other"]),
        (["--since", "3d", "--until", "30m"], ["other", "failed"]),
        (["--since", "2020-01-01T10:00", "--until", "2020-01-02"], []),
        (["--limit", "1"], ["third"]),
        (["--before", "third"], ["other", "failed"]),
        (["--before", "other", "--state", "failed"], ["failed"]),
    ],
)
def test_each_filter_chooses(words: list[str], expected: list[str]) -> None:
    listed = penstock("jobs", "--json", *words).json
    assert [each["id"] for each in listed] == expected


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "yesterday"],
        ["--study", "1.2.x"],
        ["--destination-state", "failed"],
        ["--state", "lost"],
        ["--watch", "--json"],
        ["--watch"],  # where there is no terminal
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(words: list[str]) -> None:
    assert penstock("jobs", *words).code == 2


def test_a_time_is_so_long_ago_or_in_iso_8601() -> None:
    ago = datetime.now(UTC) - parse_moment("90m")
    assert abs(ago - timedelta(minutes=90)) < timedelta(minutes=1)
    assert parse_moment("2026-11-22T10:49:07Z") == datetime(2026, 11, 22, 10, 49, 7, tzinfo=UTC)
    assert parse_moment("2026-11-22") == datetime(2026, 11, 22).astimezone()
    with pytest.raises(typer.BadParameter):
        parse_moment("soon")


@pytest.mark.usefixtures("three")
def test_the_study_instance_uid_itself_is_not_in_redis(redis: Redis) -> None:
    assert penstock("jobs", "--json", "--study", "1.2.3").json[0]["studies"] == [
        study_hash("1.2.3")
    ]
    assert not [key for key in redis.scan_iter() if "1.2.3" in key]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_list_says_how_each_job_stands_on_the_line_or_beneath(
    redis: Redis, records: JobRecords, width: int
) -> None:
    made = job(export_to=("PACS", "ARCHIVE"), calling_ae_title="[red]CT\x1b[1")
    records.create(made, JobState.EXPORTING, "made")
    records.set_destination(
        made.id,
        "PACS",
        DestinationProgress(DestinationState.RETRYING, reason="Connection refused", retry_at=1),
    )
    records.set_destination(
        made.id, "ARCHIVE", DestinationProgress(DestinationState.SENDING, 321, 12)
    )
    screen = Console(width=width, color_system=None)
    with screen.capture() as capture:
        screen.print(jobs_table(list_jobs(redis)))
    said = capture.get()
    for each in (made.id, "exporting", "[red]CT\\x1b[1", "321", "ARCHIVE 12 of 321"):
        assert each in said
    assert "Connection refused" in " ".join(said.split())
    assert "\x1b" not in said
    assert len(said.splitlines()) > 2 or width == 160


def test_a_job_of_another_machine_is_shown_from_redis_alone(records: JobRecords) -> None:
    made = job("20261122T104907-3f9c2a41d07e", export_to=("PACS",), destinations={"PACS": FAILED})
    records.create(made, JobState.FAILED, "dispatched")
    shown = penstock("jobs", "show", "d07e")
    assert shown.code == 1  # the job failed
    for said in (made.id, "CT01", "168.0 MB", "dispatched", "refused", "the storage is not here"):
        assert said in shown.said
    found = penstock("jobs", "show", "d07e", "--json").json
    assert found["job"]["destinations"]["PACS"]["delivered"] == 3
    assert found["history"][0]["what"] == "dispatched"
    assert (found["files"], found["origins"], found["steps"]) == (None, [], [])


def test_what_is_odd_about_a_jobs_instances_is_shown_in_counts(records: JobRecords) -> None:
    marks = Marks(unreadable=1, differing=2, conflicting=3, left_out=4)
    series = (series_hash("1.2.3"), series_hash("1.2.4"))
    records.create(job(marks=marks, series=series), JobState.QUEUED, "dispatched")
    records.create(job("other"), JobState.QUEUED, "dispatched")
    shown = " ".join(penstock("jobs", "show", "d07e").said.split())
    for said in (
        "321 of 2 series",
        "marked 1 instances whose data set cannot be read",
        "marked 2 instances whose UIDs are not those that they were sent with",
        "marked 3 instances that came under the SOP Instance UID of a different one",
        "marked 4 instances of its deliveries that no pipeline takes",
    ):
        assert said in shown
    found = penstock("jobs", "show", "d07e", "--json").json["job"]
    assert (found["marks"], found["series"]) == (marks.model_dump(), 2)
    assert "marked" not in penstock("jobs", "show", "other").said


def test_a_job_that_is_not_known_cannot_be_shown() -> None:
    assert penstock("jobs", "show", "nonsense").code == 1
    assert penstock("jobs", "--before", "nonsense").code == 1


def test_without_redis_there_are_no_jobs_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS__URL", "redis://127.0.0.1:1")
    for words in (["jobs"], ["jobs", "--json"], ["jobs", "show", "x"], ["status", "--json"]):
        assert penstock(*words).code == 69
