"""The record of an association's data."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.delivery import DELIVERY_FILE, Delivery, Instance, read_delivery

DELIVERY = Delivery(
    id="20261122T104907-3f9c2a41d07e",
    receiver="20261122T000000-000000000001",
    calling_ae_title="CT\xe901",
    called_ae_title="BRAIN",
    ae_title="BRAIN",
    peer_address="10.1.2.3",
    peer_implementation_class_uid="1.2.3",
    peer_implementation_version_name="",
    settings_revision="0123456789ab",
    started=datetime(2026, 11, 22, 10, 49, 7, 123456, UTC),
    ended=datetime(2026, 11, 22, 10, 50, 7, tzinfo=UTC),
    end="released",
    instances=(
        Instance(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            file="1.2.3.4.2.dcm",
            size=526_000,
            conflicts=True,
        ),
    ),
    ignored=1,
    refused=2,
    duplicates=3,
)


def test_it_reads_back_as_it_was_written(tmp_path: Path):
    DELIVERY.write(tmp_path / DELIVERY_FILE)
    assert read_delivery(tmp_path) == DELIVERY


@pytest.mark.parametrize(
    ("end", "incomplete"), [("released", False), ("aborted", True), ("died", True)]
)
def test_only_a_release_makes_it_complete(end: str, incomplete: bool):
    assert DELIVERY.model_copy(update={"end": end}).incomplete is incomplete


def test_no_record_is_no_delivery(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_delivery(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 0.5])
def test_a_damaged_record_says_so(tmp_path: Path, keep: float):
    text = DELIVERY.model_dump_json()
    damaged = text.replace('"released"', '"lost"') if keep == 1 else text[: int(len(text) * keep)]
    (tmp_path / DELIVERY_FILE).write_text(damaged)
    with pytest.raises(ValidationError):
        read_delivery(tmp_path)


def test_a_newer_versions_keys_are_passed_over(tmp_path: Path):
    text = DELIVERY.model_dump_json().replace("{", '{"something_new": {"a": 1}, ', 1)
    (tmp_path / DELIVERY_FILE).write_text(text)
    assert read_delivery(tmp_path) == DELIVERY


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError):
        DELIVERY.ignored = 9
