"""The few header elements that a plan needs, read without the pixels."""

from pathlib import Path

from pydicom import dcmread

from shared.delivery import Record


class Headers(Record):
    """UIDs and kind of an instance; no names, no dates."""

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    readable: bool = True  # a data set was parsed that has what every SOP instance has


_TAGS = ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"]


def read_headers(path: Path) -> Headers:
    """What the data set says; one that cannot be parsed is delivered all the same."""
    try:
        data_set = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
        return Headers(
            study_instance_uid=_text(data_set.get("StudyInstanceUID")),
            series_instance_uid=_text(data_set.get("SeriesInstanceUID")),
            modality=_text(data_set.get("Modality")),
            # Of garbage, pydicom makes a data set of whatever its bytes seem to be.
            readable="SOPInstanceUID" in data_set,
        )
    except Exception:  # noqa: BLE001 - pydicom lets through whatever a damaged data set causes
        return Headers(readable=False)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
