"""Orthanc, asked over its REST API to echo and to send."""

import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.peers.tools import stored
from tests.support.orthanc import Orthanc, orthanc
from tests.support.receivers import LocalReceiver
from tests.support.samples import data_set_of, sample_file

# JPEG 2000, Big Endian, Implicit, Explicit: of other files it drops padding.
AS_THEY_ARE = [
    "GDCMJ2K_TextGBR.dcm",
    "ExplVR_BigEnd.dcm",
    "SC_rgb_jpeg_dcmd.dcm",
    "test-SR.dcm",
    "chrH31.dcm",
]


@pytest.fixture
def peer(receiver: LocalReceiver, tmp_path: Path) -> Iterator[Orthanc]:
    modalities = {"penstock": ("BRAIN", receiver.port), "nobody": ("NOBODY", receiver.port)}
    with orthanc(tmp_path / "orthanc", modalities) as running:
        yield running


def test_its_echo_is_answered(peer: Orthanc) -> None:
    peer.echo("penstock")


def test_it_learns_that_it_is_refused(peer: Orthanc) -> None:
    with pytest.raises(urllib.error.HTTPError):
        peer.echo("nobody")


def test_what_it_sends_as_it_is_is_kept_byte_for_byte(
    receiver: LocalReceiver, peer: Orthanc
) -> None:
    ids = [peer.keep(sample_file(name)) for name in AS_THEY_ARE]
    account = peer.store("penstock", *ids)
    assert (account["InstancesCount"], account["FailedInstancesCount"]) == (len(ids), 0)
    kept = stored(receiver)
    assert len(kept) == len(ids)
    for name in AS_THEY_ARE:
        original = pydicom.dcmread(sample_file(name), stop_before_pixels=True)
        instance, path = kept[original.SOPInstanceUID]
        assert instance.transfer_syntax_uid == original.file_meta.TransferSyntaxUID
        assert data_set_of(path) == data_set_of(sample_file(name)), name


def test_a_ct_that_it_sends_has_all_its_elements(receiver: LocalReceiver, peer: Orthanc) -> None:
    peer.store("penstock", peer.keep(sample_file("CT_small.dcm")))
    ((_, path),) = stored(receiver).values()
    original = pydicom.dcmread(sample_file("CT_small.dcm"))
    del original.DataSetTrailingPadding  # which it does not send
    assert pydicom.dcmread(path) == original
