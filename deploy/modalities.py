"""Modalities in conditions that the standard does not know: most likely misspelt."""

from collections.abc import Iterator
from fnmatch import filter as fitting

from shared.settings import Settings


def unknown_modalities(settings: Settings) -> Iterator[str]:
    """A line for each; some devices do send terms of their own."""
    said = {
        name: section.when.modality
        for name, section in settings.pipelines.items()
        if section.when is not None and section.when.modality is not None
    }
    if not said:
        return
    from pydicom.sr.codedict import codes  # takes as long as the rest of a check

    known = [getattr(codes.cid33, name).value for name in codes.cid33.dir()]
    for name, terms in said.items():
        for term in terms:
            if not fitting(known, term):
                yield (
                    f"pipelines.{name}.when.modality: {term!r} is no modality of PS3.16 CID 33;"
                    " it never matches unless a device sends it all the same"
                )
