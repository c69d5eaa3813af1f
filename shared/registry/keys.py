"""Every key that Penstock has in Redis, named here and nowhere else.

The `{penstock}` tag keeps them in one slot. A name that ends in ':' takes an id after it.
"""

PREFIX = "{penstock}:"

STEP = f"{PREFIX}step:"  # hash: a step's queue, lane, state, token, attempts, ...
WAITING = f"{PREFIX}waiting:"  # zset by lane: steps in order of priority, then age
DUE = f"{PREFIX}due:"  # zset by lane: steps that wait for a time (ms), then are waiting
LEASES = f"{PREFIX}leases:"  # zset by lane: granted and running steps, when the lease ends (ms)
HANDED_OVER = f"{PREFIX}handed-over:"  # zset by lane: steps that run elsewhere, the deadline (ms)
LANES = f"{PREFIX}lanes:"  # set by queue: its lanes
PLACES = f"{PREFIX}places:"  # hash by queue: worker -> "places expiry-ms"
CAPS = f"{PREFIX}caps"  # hash: queue or lane -> how many run at once; '' -> as of when (ms)
LANE = f"{PREFIX}lane:"  # hash: a lane's failures in a row, since when it is shut, or paused, ...
HELD_UP = f"{PREFIX}held-up"  # zset: steps that a storage or a machine holds up, since when (ms)
EPOCH = f"{PREFIX}epoch"  # hash: the server's run id, and until when nothing is admitted
PACE = f"{PREFIX}pace:"  # string by destination: when its next instance may start (ms)

JOB = f"{PREFIX}job:"  # hash: the job's record
DESTINATIONS = f"{PREFIX}destinations:"  # hash by job: destination -> JSON of how it stands
HISTORY = f"{PREFIX}history:"  # stream by job: what happened, capped
SENT = f"{PREFIX}sent:"  # hash by destination and hour: minute of POSIX time -> delivered instances
REFUSALS = f"{PREFIX}refusals"  # hash: destination -> statuses that are no instance's own fault
DESTINATION_NAMES = f"{PREFIX}destination-names"  # set: destinations that jobs have

# Indexes: zsets of jobs, job -> created (ms).
JOBS_BY_TIME = f"{PREFIX}jobs"  # all of them
JOBS_BY_STATE = f"{PREFIX}jobs:state:"
JOBS_BY_AE_TITLE = f"{PREFIX}jobs:ae:"  # ours
JOBS_BY_CALLING_AE_TITLE = f"{PREFIX}jobs:calling:"
JOBS_BY_PIPELINE = f"{PREFIX}jobs:pipeline:"
JOBS_BY_DESTINATION = f"{PREFIX}jobs:destination:"
JOBS_BY_DESTINATION_STATE = f"{PREFIX}jobs:destination-state:"  # by "<destination>:<its state>"
JOBS_BY_STUDY = f"{PREFIX}jobs:study:"  # by the hash of a Study Instance UID

RECEIVERS = f"{PREFIX}receivers"  # set of those that were heard of
RECEIVER = f"{PREFIX}receiver:"  # hash: how a receiver stands; expires
WORKERS = f"{PREFIX}workers"  # zset: worker process -> when it is forgotten (ms)
WORKER = f"{PREFIX}worker:"  # string: JSON of how a worker process stands; expires
CANARIES = f"{PREFIX}canary:"  # list by worker process: Celery's, of its canary's messages
ASSOCIATIONS = f"{PREFIX}associations"  # stream: the ended ones, capped

LUA_NAMES = {
    name: value
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, str) and value.startswith(PREFIX)
}


def jobs_by_destination_state(destination: str, state: str) -> str:
    return f"{JOBS_BY_DESTINATION_STATE}{destination}:{state}"
