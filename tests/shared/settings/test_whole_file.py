"""A file with every section, and what the defaults are."""

from pathlib import Path

from shared.settings import load
from shared.settings.sections import CommandPipeline, ForwardPipeline
from tests.shared.settings.conftest import Loading

EXAMPLE = """
[storage]
root = "data"
watermark_percent = 75
reserve_gb = 5
durability = "association"       # fsync at release; "instance": fsync before each C-STORE success
aborted_retention = "24h"        # "0s" removes at once
job_retention = "7d"

[receiver]
host = "127.0.0.1"               # say "0.0.0.0" to serve the network
port = 11112
max_associations = 25
verify_called_ae_title = true
verify_calling_ae_title = false  # true: only receiver.allowed_calling may associate
# default_ae_title = "BRAIN"      # needed when the called title is not verified
# [receiver.tls] certificate, key, client_ca, port = 2762

[[ae_titles]]
title = "BRAIN"
pipeline = "brain-segmentation"   # or pipelines = ["brain-segmentation", "archive"]
priority = "normal"               # "stat", "low"
allowed_calling = ["CT01", "MR02@10.1.2.0/24"]
ignored_sop_classes = ["SecondaryCaptureImageStorage", "1.2.840.10008.5.1.4.1.1.88.11"]
group_by = "association"
quiet_period = "60s"
max_wait = "30m"
on_abort = "hold"                # "dispatch"

[pipelines.brain-segmentation]
kind = "command"
command = ["docker", "run", "--rm", "--name", "penstock-{job}-{attempt}", "-v", "{input}:/input:ro",
  "-v", "{output}:/output", "brain:1.4"]
cancel_command = ["docker", "kill", "penstock-{job}-{attempt}"]
timeout = "2h"
max_attempts = 3
max_parallel = 1                 # over all workers
export_to = ["PACS"]

[exporter]
ae_title = "PENSTOCK"
max_concurrent_sends = 2         # over all workers on all machines
rate_limit = "120/m"             # instances started a minute per destination; unset = no limit

[destinations.PACS]
ae_title = "ORTHANC"
host = "pacs.example"
port = 4242
# max_concurrent_sends = 1
"""


def test_the_example_of_all_sections_loads_with_every_value(loaded: Loading, tmp_path: Path):
    settings = loaded(EXAMPLE)
    storage = settings.storage
    assert storage.root == tmp_path / "data"
    assert (storage.watermark_percent, storage.reserve_gb) == (75, 5)
    assert storage.durability == "association"
    assert (storage.aborted_retention, storage.job_retention) == (86400, 604800)

    receiver = settings.receiver
    assert (receiver.host, receiver.port, receiver.max_associations) == ("127.0.0.1", 11112, 25)
    assert (receiver.verify_called_ae_title, receiver.verify_calling_ae_title) == (True, False)
    assert receiver.default_ae_title is None

    (brain,) = settings.ae_titles
    assert brain.title == "BRAIN"
    assert brain.pipeline_names == ("brain-segmentation",)
    assert brain.priority == "normal"
    assert brain.allowed_calling == ("CT01", "MR02@10.1.2.0/24")
    assert brain.ignored_sop_classes == (
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.840.10008.5.1.4.1.1.88.11",
    )
    assert brain.group_by == "association"
    assert (brain.quiet_period, brain.max_wait, brain.on_abort) == (60, 1800, "hold")

    pipeline = settings.pipelines["brain-segmentation"]
    assert isinstance(pipeline, CommandPipeline)
    assert pipeline.command[4:7] == ("penstock-{job}-{attempt}", "-v", "{input}:/input:ro")
    assert pipeline.cancel_command == ("docker", "kill", "penstock-{job}-{attempt}")
    assert (pipeline.timeout, pipeline.max_attempts, pipeline.max_parallel) == (7200, 3, 1)
    assert pipeline.export_to == ("PACS",)

    assert settings.exporter.ae_title == "PENSTOCK"
    assert (settings.exporter.max_concurrent_sends, settings.exporter.rate_limit) == (2, 2.0)

    pacs = settings.destinations["PACS"]
    assert (pacs.ae_title, pacs.host, pacs.port) == ("ORTHANC", "pacs.example", 4242)
    assert pacs.max_concurrent_sends is None


def test_an_empty_file_is_the_defaults_and_those_keep_what_comes(loaded: Loading, tmp_path: Path):
    settings = loaded("")
    assert settings.model_dump() == load().model_dump()
    (entry,) = settings.ae_titles
    (name,) = entry.pipeline_names
    assert isinstance(settings.pipelines[name], ForwardPipeline)
    assert settings.storage.root == tmp_path / "data"
    assert settings.redis.url is None


def test_the_defaults_are_those_that_sites_rely_on(loaded: Loading):
    settings = loaded("")
    assert (settings.receiver.host, settings.receiver.max_associations) == ("127.0.0.1", 25)
    assert (settings.storage.watermark_percent, settings.storage.reserve_gb) == (75, 5)
    assert settings.exporter.max_concurrent_sends == 2
    assert settings.dicom.implementation_class_uid == "1.3.6.1.4.1.30071.8"
    assert settings.dicom.implementation_version_name == "fo-dicom 4.0.0"


def test_an_entry_is_found_by_its_called_title(loaded: Loading):
    settings = loaded(EXAMPLE)
    assert settings.ae_title("BRAIN") == settings.ae_titles[0]
    assert settings.ae_title("brain") is None


def test_an_ae_title_may_have_several_pipelines(loaded: Loading):
    settings = loaded(
        """
        [[ae_titles]]
        title = "BRAIN"
        pipelines = ["one", "two"]
        [pipelines.one]
        kind = "forward"
        [pipelines.two]
        kind = "forward"
        """
    )
    assert settings.ae_titles[0].pipeline_names == ("one", "two")
