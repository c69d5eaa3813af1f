"""Which SOP classes are storage."""

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom import sop_class
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class

from shared.sop_classes import VERIFICATION, is_storage, name_of, uid_of
from shared.uid import is_uid


@pytest.mark.parametrize(
    "keyword",
    [
        "CTImageStorage",
        "EnhancedMRImageStorage",
        "SecondaryCaptureImageStorage",
        "BasicTextSRStorage",
        "EncapsulatedPDFStorage",
        "RawDataStorage",
        "SegmentationStorage",
        "RTPlanStorage",
        "RTBeamsDeliveryInstructionStorage",
        "UltrasoundImageStorageRetired",
        "StoredPrintStorage",
        # A known library refuses these.
        "HangingProtocolStorage",
        "ColorPaletteStorage",
        "GenericImplantTemplateStorage",
        "ImplantAssemblyTemplateStorage",
        "ImplantTemplateGroupStorage",
        "InventoryStorage",
        "ProtocolApprovalStorage",
    ],
)
def test_storage_classes_old_and_new_are_storage(keyword: str):
    uid = uid_of(keyword)
    assert uid is not None
    assert is_storage(uid)


@pytest.mark.parametrize(
    "keyword",
    [
        "Verification",
        "ModalityWorklistInformationModelFind",
        "ModalityPerformedProcedureStep",
        "StudyRootQueryRetrieveInformationModelFind",
        "PatientRootQueryRetrieveInformationModelMove",
        "StudyRootQueryRetrieveInformationModelGet",
        "StorageCommitmentPushModel",
        "StorageCommitmentPullModel",
        "MediaStorageDirectoryStorage",
        "HangingProtocolInformationModelFind",
        "ColorPaletteQueryRetrieveInformationModelFind",
        "ProtocolApprovalInformationModelFind",
        "InventoryFind",
        "InventoryCreation",
        "RepositoryQuery",
        "UnifiedProcedureStepPush",
        "BasicFilmSession",
        "InstanceAvailabilityNotification",
    ],
)
def test_other_services_are_not(keyword: str):
    uid = uid_of(keyword)
    assert uid is not None
    assert not is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.4.2",  # the service class
        "1.2.840.10008.1.20.1.1",  # a well-known instance
        "1.2.840.10008.1.2.1",  # a transfer syntax
        "1.2.840.10008.3.1.1.1",  # the application context
        "1.2.840.10008.5.1.1.9",  # a meta SOP class
        "1.2.840.10008.5.1.4.99.1",  # unheard of, and not where storage classes are
    ],
)
def test_what_is_no_sop_class_is_no_storage(uid: str):
    assert not is_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image
        "1.2.840.113619.4.30",  # GE private
        "1.2.3.4",
        "1.2.840.10008.5.1.4.1.1.999.1",  # newer than the registry
        "1.2.840.10008.5.1.4.1.1.12.77",  # retired, without a name
    ],
)
def test_private_new_and_nameless_ones_are_taken_as_storage(uid: str):
    assert is_storage(uid)


def test_all_that_pynetdicom_stores_is_storage_but_what_it_gets_wrong():
    registered = [
        uid
        for uid, (_, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and uid_to_service_class(uid) is StorageServiceClass
    ]
    assert len(registered) > 100
    assert sop_class.CTImageStorage in registered
    assert [uid for uid in registered if not is_storage(uid)] == []


def test_a_keyword_has_one_uid_and_a_uid_is_its_own():
    assert uid_of("CTImageStorage") == "1.2.840.10008.5.1.4.1.1.2"
    assert uid_of("Verification") == VERIFICATION
    assert uid_of("1.2.3") == "1.2.3"
    for unknown in ("", "CT Image Storage", "ctimagestorage", "ImplicitVRLittleEndian"):
        assert uid_of(unknown) is None


def test_a_name_is_for_people_and_the_uid_stands_in_for_it():
    assert name_of("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert name_of("1.2.840.10008.5.1.4.1.1.12.77") == "1.2.840.10008.5.1.4.1.1.12.77"
    assert name_of("1.2.3") == "1.2.3"


@pytest.mark.parametrize("uid", ["1", "1.2.840.10008.1.1", "1.02.3", "9" * 64])
def test_digits_and_dots_up_to_64_are_a_uid(uid: str):
    assert is_uid(uid)


@pytest.mark.parametrize(
    "uid", ["", ".", ".1", "../1", "1/2", "1.2 ", "1.2\n", "1.2\0", "1.a", "٣", "9" * 65]
)
def test_nothing_else_is_and_so_nothing_else_names_a_file(uid: str):
    assert not is_uid(uid)
