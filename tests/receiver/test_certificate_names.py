from typing import Any

import pytest
from pydantic import ValidationError

from receiver.certificate_names import allows, names
from shared.settings.tls import Tls

CT01: dict[str, Any] = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "Hospital"),),
        (("commonName", "ct01"),),
    ),
    "subjectAltName": (("DNS", "ct01.hospital.example"), ("IP Address", "10.1.2.3")),
}


def test_a_certificate_is_called_by_its_subject_its_common_name_and_its_alternative_names() -> None:
    assert names(CT01) == {
        "CN=ct01,O=Hospital,C=DE",
        "CN=ct01",
        "DNS:ct01.hospital.example",
        "IP Address:10.1.2.3",
    }


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ct01,O=Hospital", "ct01\\,O=Hospital"),
        ("a+b", "a\\+b"),
        ("#1", "\\#1"),
        (" a ", "\\ a\\ "),
        (" ", "\\ "),
        ('"<>;\\', '\\"\\<\\>\\;\\\\'),
    ],
)
def test_a_part_of_a_subject_cannot_pass_for_several(value: str, written: str) -> None:
    assert f"CN={written}" in names({"subject": ((("commonName", value),),)})


def test_parts_of_one_name_and_unknown_ones() -> None:
    subject = ((("commonName", "a"), ("userId", "7")), (("serialNumber", "99"),))
    assert "serialNumber=99,CN=a+UID=7" in names({"subject": subject})


def test_without_a_list_any_certificate_may_use_any_title() -> None:
    assert allows(names(CT01), "ANY", {})


@pytest.mark.parametrize(
    ("title", "listed", "allowed"),
    [
        ("CT01", {"CN=ct01": ["CT01"]}, True),
        ("CT01", {"CN=ct01,O=Hospital,C=DE": ["MR02", "CT01"]}, True),
        ("CT01", {"DNS:ct01.hospital.example": ["CT01"]}, True),
        ("CT01", {"CN=ct01": ["MR02"], "DNS:ct01.hospital.example": ["CT01"]}, True),
        ("MR02", {"CN=ct01": ["CT01"], "CN=mr02": ["MR02"]}, False),
        ("CT01", {"CN=mr02": ["CT01"]}, False),
        ("CT01", {"CN=CT01": ["CT01"]}, False),
    ],
)
def test_who_is_listed_may_use_its_titles_and_who_is_not_none(
    title: str, listed: dict[str, list[str]], allowed: bool
) -> None:
    assert allows(names(CT01), title, listed) is allowed


@pytest.mark.parametrize("name", ["ct01", "", "CN=", ":x"])
def test_what_names_no_certificate_is_a_fault(name: str) -> None:
    with pytest.raises(ValidationError, match="a certificate is named by"):
        Tls.model_validate(
            {"certificate": "a", "key": "b", "client_ca": "c", "allowed_calling": {name: ["CT01"]}}
        )


def test_a_list_without_certificates_to_look_at_is_a_fault() -> None:
    with pytest.raises(ValidationError, match="needs client_ca"):
        Tls.model_validate(
            {"certificate": "a", "key": "b", "allowed_calling": {"CN=ct01": ["CT01"]}}
        )
