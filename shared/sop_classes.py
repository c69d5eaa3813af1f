"""Which SOP classes are storage, from the standard's own registry (PS3.6 annex A)."""

from functools import cache

from shared.uid import is_uid

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"  # Push Model, PS3.4 J.3
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # its one, well-known SOP instance

# Named "storage" in PS3.6, but not a service that takes C-STORE.
_NOT_STORAGE = {
    "1.2.840.10008.1.3.10",  # Media Storage Directory Storage: files only, PS3.10
    STORAGE_COMMITMENT,
    "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model, retired
}


@cache
def registry() -> dict[str, tuple[str, str, str, str, str]]:
    """By UID: name, kind, information, whether it is retired, keyword.

    Loaded when first asked for: it brings all of pydicom, and a receiver listens before that.
    """
    from pydicom._uid_dict import UID_dictionary

    return UID_dictionary


def is_storage(uid: str) -> bool:
    """Whether instances of this SOP class come by C-STORE.

    Private SOP classes and storage classes newer than the registry are taken as storage; what the
    registry knows to be something else (query/retrieve, worklist, print) is not.
    """
    entry = registry().get(uid)
    if entry is None:
        if not is_uid(uid):
            return False
        return uid.startswith(_STORAGE_ROOT) or not uid.startswith(_STANDARD_ROOT)
    name, kind = entry[0], entry[1]
    if kind != "SOP Class" or uid in _NOT_STORAGE:
        return False
    # PS3.6 lists a few retired storage classes without a name.
    return "Storage" in name or (not name and uid.startswith(_STORAGE_ROOT))


def uid_of(name_or_uid: str) -> str | None:
    """The UID of a SOP class given by keyword (`CTImageStorage`) or by UID; None if unknown."""
    if name_or_uid[:1].isdigit():
        return name_or_uid
    if not name_or_uid:
        return None  # which is the keyword of some retired ones
    for uid, (_, kind, _, _, keyword) in registry().items():
        if keyword == name_or_uid and kind == "SOP Class":
            return uid
    return None


def name_of(uid: str) -> str:
    """The name in PS3.6 for people to read; the UID itself where there is none."""
    entry = registry().get(uid)
    return entry[0] if entry and entry[0] else uid
