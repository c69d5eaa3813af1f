"""The few header elements that a plan needs, read without the pixels."""

from pathlib import Path

from pydicom import dcmread

from shared.delivery import Record


class Headers(Record):
    """UIDs and kind of an instance; no names, no dates. None: the data set cannot be parsed."""

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    modality: str | None = None
    readable: bool = True


_TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "Modality"]


def read_headers(path: Path) -> Headers:
    """What the data set says; one that cannot be parsed is delivered all the same."""
    try:
        data_set = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
        return Headers(
            study_instance_uid=_text(data_set.get("StudyInstanceUID")),
            series_instance_uid=_text(data_set.get("SeriesInstanceUID")),
            modality=_text(data_set.get("Modality")),
        )
    except Exception:  # noqa: BLE001 - pydicom lets through whatever a damaged data set causes
        return Headers(readable=False)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
