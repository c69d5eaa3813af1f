"""What programs left running: children in sessions of their own, and orphans of a killed worker."""

import os
import signal
from pathlib import Path

import structlog

log = structlog.get_logger()

JOB_VARIABLE = "PENSTOCK_JOB_ID"
ATTEMPT_VARIABLE = "PENSTOCK_ATTEMPT"
_ROUNDS = 10  # one may have forked while the others were looked at


def end_leftovers(job_id: str) -> int:
    """Kills every process of this machine whose environment says that it is the job's.

    No session or double fork gets rid of that; who cleans its environment is not found. Returns
    how many there were.
    """
    ended = 0
    for _ in range(_ROUNDS):
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        found = sum(_end_if_marked(pid, job_id) for pid in pids)
        ended += found
        if not found:
            break
    if ended:
        log.warning("processes that a program left behind were ended", job=job_id, count=ended)
    return ended


def _end_if_marked(pid: int, job_id: str) -> bool:
    try:
        descriptor = os.pidfd_open(pid)  # so that no later process under this number is meant
    except OSError:
        return False
    try:
        marks = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"{JOB_VARIABLE}={job_id}".encode() not in marks:
            return False
        if not any(mark.startswith(f"{ATTEMPT_VARIABLE}=".encode()) for mark in marks):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:  # gone meanwhile, or another user's
        return False
    else:
        return True
    finally:
        os.close(descriptor)
