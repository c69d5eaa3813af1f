"""The kinds of value: durations, rates, names, callers, SOP classes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.settings import fields
from shared.settings.fields import caller_matches, format_duration


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("24h", 86400),
        ("7d", 604800),
        ("0s", 0),
        ("1.5h", 5400),
        (" 5 s ", 5),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float):
    assert read(fields.Seconds, text) == seconds


@pytest.mark.parametrize(
    "value", ["5", "s", "", "-5s", "5 weeks", "5S", "1h30m", ".5s", "1e3s", 5, 5.0, None, True]
)
def test_anything_else_is_no_duration(value: object):
    with pytest.raises(ValidationError, match="a duration is a number and a unit"):
        read(fields.Seconds, value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (90, "90s"), (600, "10m"), (5400, "90m"), (86400, "1d")],
)
def test_a_duration_is_written_in_its_largest_whole_unit(seconds: float, text: str):
    assert format_duration(seconds) == text


@given(st.integers(0, 10**10), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_written_duration_reads_back_the_same(count: int, unit: str):
    seconds = read(fields.Seconds, f"{count}{unit}")
    assert read(fields.Seconds, format_duration(seconds)) == pytest.approx(seconds, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "per_second"), [("120/m", 2), ("5/s", 5), ("7200/h", 2), (" 60 / m ", 1)]
)
def test_a_rate_is_a_count_over_a_unit(text: str, per_second: float):
    assert read(fields.PerSecond, text) == per_second


@pytest.mark.parametrize("value", ["120", "0/m", "m", "-1/m", "1.5/m", "120/d", "120/min", 120])
def test_anything_else_is_no_rate(value: object):
    with pytest.raises(ValidationError, match="a rate is a count over"):
        read(fields.PerSecond, value)


@given(st.integers(1, 10**6), st.sampled_from("smh"))
def test_a_written_rate_reads_back_the_same(count: int, unit: str):
    adapter = TypeAdapter(fields.PerSecond)
    rate = adapter.validate_python(f"{count}/{unit}")
    assert adapter.validate_python(adapter.dump_python(rate)) == pytest.approx(rate)


@pytest.mark.parametrize("title", ["A", "BRAIN", "CT 01", "a.b-c_d", "SIXTEEN LETTERS!"])
def test_an_ae_title_has_1_to_16_characters(title: str):
    assert read(fields.AeTitle, title) == title


def test_spaces_around_an_ae_title_mean_nothing():
    assert read(fields.AeTitle, "  BRAIN ") == "BRAIN"


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN LETTERS", "A\\B", "A\nB", "Ä", "A\x00"])
def test_anything_else_is_no_ae_title(title: str):
    with pytest.raises(ValidationError, match="the AE title"):
        read(fields.AeTitle, title)


@pytest.mark.parametrize("name", ["PACS", "brain-segmentation", "a", "1.2_x", "x" * 64])
def test_a_name_is_safe_in_paths_and_keys(name: str):
    assert read(fields.Name, name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a:b", "x" * 65])
def test_anything_else_is_no_name(name: str):
    with pytest.raises(ValidationError, match="a name is"):
        read(fields.Name, name)


@pytest.mark.parametrize(
    "caller", ["CT01", "CT01@10.1.2.3", "CT01@10.1.2.0/24", "CT01@fd00::/8", "CT01@::1"]
)
def test_a_caller_is_a_title_with_or_without_addresses(caller: str):
    assert read(fields.Caller, caller) == caller


@pytest.mark.parametrize(
    "caller",
    ["", "@10.1.2.3", "CT01@", "CT01@host", "CT01@10.1.2.3/24", "CT01@10.1.2.0/33", "A\\B@::1"],
)
def test_anything_else_is_no_caller(caller: str):
    with pytest.raises(ValidationError):
        read(fields.Caller, caller)


@pytest.mark.parametrize(
    ("caller", "title", "address", "matches"),
    [
        ("MR02", "MR02", "10.1.2.3", True),
        ("MR02", "MR02", "fd00::1", True),
        ("MR02", "MR03", "10.1.2.3", False),
        ("MR02", "mr02", "10.1.2.3", False),
        (" MR02 ", "MR02", "10.1.2.3", True),
        ("MR02@10.1.2.0/24", "MR02", "10.1.2.255", True),
        ("MR02@10.1.2.0/24", "MR02", "10.1.3.0", False),
        ("MR02@10.1.2.0/24", "MR03", "10.1.2.1", False),
        ("MR02@10.1.2.0/24", "MR02", "fd00::1", False),
        ("MR02@10.1.2.3", "MR02", "10.1.2.3", True),
        ("MR02@10.1.2.3", "MR02", "10.1.2.4", False),
        ("MR02@fd00:1::/32", "MR02", "fd00:1::42", True),
        ("MR02@fd00:1::/32", "MR02", "fd00:2::42", False),
        ("MR02@fd00:1::/32", "MR02", "10.1.2.3", False),
        ("MR02@fe80::/10", "MR02", "fe80::1%eth0", True),
        ("MR02@::1", "MR02", "0:0:0:0:0:0:0:1", True),
        ("MR02@0.0.0.0/0", "MR02", "192.0.2.1", True),
        ("MR02@0.0.0.0/0", "MR02", "::1", False),
    ],
)
def test_a_caller_matches_by_title_and_address(
    caller: str, title: str, address: str, matches: bool
):
    assert caller_matches(caller, title, address) is matches


def test_a_sop_class_is_a_keyword_or_a_uid():
    assert read(fields.SopClass, "CTImageStorage") == "1.2.840.10008.5.1.4.1.1.2"
    assert read(fields.SopClass, "1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"
    assert read(fields.SopClass, "1.2.3.4") == "1.2.3.4"


@pytest.mark.parametrize(
    "value", ["CTImage", "", "ctimagestorage", "ExplicitVRLittleEndian", "1.2.x", "1" * 65]
)
def test_anything_else_is_no_sop_class(value: str):
    with pytest.raises(ValidationError):
        read(fields.SopClass, value)
