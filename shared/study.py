"""What stands for a study where its UID may not: in Redis, and in a job's own record."""

import hashlib


def study_hash(study_instance_uid: str) -> str:
    """The same for the same UID, and no way back: SHA-256, cut to 16 hex digits."""
    return hashlib.sha256(study_instance_uid.encode()).hexdigest()[:16]
