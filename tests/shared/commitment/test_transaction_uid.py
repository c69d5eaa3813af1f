"""The Transaction UID of a report, in data sets that pydicom has written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import encode

from shared.commitment.transaction_uid import find_transaction_uid
from tests.support.committing import reference

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
SYNTAXES = {IMPLICIT: (True, True), EXPLICIT: (False, True), BIG_ENDIAN: (False, False)}
UID = "2.25.329800735698586629295641978511506172918"


def report(**elements: object) -> Dataset:
    said = Dataset()
    for keyword, value in elements.items():
        setattr(said, keyword, value)
    said.ReferencedSOPSequence = [reference("1.2", "1.2.3")]
    return said


def encoded(said: Dataset, transfer_syntax: str) -> bytes:
    data_set = encode(said, *SYNTAXES[transfer_syntax])
    assert data_set is not None
    return data_set


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
@pytest.mark.parametrize(
    "before", [{}, {"RetrieveAETitle": "PACS", "SpecificCharacterSet": "ISO_IR 100"}]
)
def test_it_is_found_in_every_uncompressed_transfer_syntax(
    transfer_syntax: str, before: dict[str, str]
) -> None:
    said = report(TransactionUID=UID, **before)
    assert find_transaction_uid(encoded(said, transfer_syntax), transfer_syntax) == UID


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_a_report_without_it_has_none(transfer_syntax: str) -> None:
    assert find_transaction_uid(encoded(report(), transfer_syntax), transfer_syntax) == ""
    assert find_transaction_uid(b"", transfer_syntax) == ""


def test_none_is_found_in_a_transfer_syntax_that_is_not_read() -> None:
    data_set = encoded(report(TransactionUID=UID), IMPLICIT)
    assert find_transaction_uid(data_set, "1.2.840.10008.1.2.1.99") == ""


@given(st.binary(max_size=200), st.sampled_from(list(SYNTAXES)))
def test_garbage_has_no_fault_to_raise(data_set: bytes, transfer_syntax: str) -> None:
    assert isinstance(find_transaction_uid(data_set, transfer_syntax), str)
