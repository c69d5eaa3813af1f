"""The few header elements that a plan needs."""

from pathlib import Path

from shared.delivery import Record
from shared.part10 import NotPart10Error
from workers.dispatching.data_set_start import NotADataSetError, read_start


class Headers(Record):
    """UIDs and kind of an instance, as its data set says; no names, no dates."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    body_part: str | None = None
    readable: bool = True  # a data set was parsed that has what every SOP instance has


_FIELDS = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080060: "modality",
    0x00180015: "body_part",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
}


def read_headers(path: Path) -> Headers:
    """What the data set says; one that cannot be parsed is delivered all the same.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        texts = read_start(path, _FIELDS)
    except (NotPart10Error, NotADataSetError):
        return Headers(readable=False)
    said = {_FIELDS[tag]: text for tag, text in texts.items() if text}
    # Of garbage, elements can be made, but hardly this one.
    return Headers.model_validate(said) if "sop_instance_uid" in said else Headers(readable=False)
