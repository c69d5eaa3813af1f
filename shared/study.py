"""What stands for a study or series where its UID may not: in Redis, and in a job's own record."""

import hashlib


def study_hash(study_instance_uid: str) -> str:
    """The same for the same UID, and no way back: SHA-256, cut to 16 hex digits."""
    return _hash(study_instance_uid)


def series_hash(series_instance_uid: str) -> str:
    """As `study_hash`."""
    return _hash(series_instance_uid)


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:16]
