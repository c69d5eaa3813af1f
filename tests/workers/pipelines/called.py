"""What each engine is told of the attempt that it is called for."""

from shared.job_folder import JobFolder


def first_call(folder: JobFolder) -> dict[str, object]:
    """Ids and paths of a job's attempt 1, all but its token."""
    return {
        "job": folder.id,
        "attempt": 1,
        "pipeline": "keep",
        "idempotency_key": f"{folder.id}.1",
        "input": str(folder.input),
        "output": str(folder.path / "attempts/1/output"),
        "work": str(folder.path / "attempts/1/work"),
    }
