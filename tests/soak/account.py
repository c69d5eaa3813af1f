"""The account of a run: what must hold of all that was sent, at the disk, Redis and the peers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from shared.delivery import read_delivery
from shared.job_state import JobState
from shared.registry import keys
from tests.faults.invariants import CANARY, content, uids
from tests.soak.load import End, Sent
from tests.soak.world import EXPORTERS, ROUTES, SENDS_AT_ONCE, World
from tests.support.counted import Taken


@dataclass(frozen=True)
class Arrivals:
    """What came to one destination."""

    delivered: set[str]  # UIDs
    digests: set[tuple[str, str]]
    kept: dict[str, list[Taken]]  # by UID, the associations that it came whole in, in order

    @classmethod
    def at(cls, associations: Iterable[Taken]) -> "Arrivals":
        found = cls(set(), set(), defaultdict(list))
        for taken in sorted(associations, key=lambda taken: taken.begun):
            found.delivered.update(came.uid for came in taken.delivered)
            for came in taken.kept:
                found.digests.add((came.uid, came.digest))
                found.kept[came.uid].append(taken)
        return found


class Account:
    def __init__(self, world: World, sent: list[Sent]) -> None:
        self._world = world
        self._sent = sent
        self._arrivals = {
            name: Arrivals.at(list(each.associations)) for name, each in world.destinations.items()
        }

    def owed(self) -> list[str]:
        """What was released and is not yet everywhere: `UID to DESTINATION`."""
        return [
            f"{uid} to {name}"
            for sent in self._sent
            if sent.end is End.RELEASED
            for name in ROUTES[sent.called]
            for uid in sent.uids
            if uid not in self._arrivals[name].delivered
        ]

    def is_settled(self) -> bool:
        """All is delivered, and every job has come to its end."""
        committed = any(self._world.gateway.tree.committed.iterdir())
        return not (self.owed() or committed or any(self._open_jobs()))

    def faults(self) -> list[str]:
        """Everything that must not be, in words; empty if all is well."""
        return [
            *(f"lost: {each}" for each in self.owed()),
            *self._strangers(),
            *self._parts(),
            *(f"twice for no reason: {each}" for each in self._unexplained()),
            *self._doubled_runs(),
            *self._jobs(),
            *self._left_behind(),
        ]

    def summary(self) -> str:
        ends = Counter(sent.end for sent in self._sent)
        kills = Counter(part for _, part in self._world.kills)
        twice, unexplained = len(list(self._repeats())), len(list(self._unexplained()))
        instances = sum(len(each.delivered) for each in self._arrivals.values())
        associations = sum(len(each.associations) for each in self._world.destinations.values())
        return "\n".join(
            (
                f"deliveries: {', '.join(f'{ends[end]} {end}' for end in End)}",
                f"kills: {', '.join(f'{kills[part]} of {part}' for part in sorted(kills))}",
                f"sent on: {instances} instances in {associations} associations,"
                f" {self._world.meter.most} at once at most",
                f"duplicates: {twice}, {unexplained} of them without a fault that explains it",
                f"losses: {len(self.owed())}",
            )
        )

    def _strangers(self) -> Iterator[str]:
        """What is not as it was sent, or was never to arrive there."""
        wanted: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for sent in self._sent:
            if sent.end is not End.BROKEN:
                for name in ROUTES[sent.called]:
                    wanted[name].update((uid, _digest(uid)) for uid in sent.uids)
        for name, arrivals in self._arrivals.items():
            for uid, _ in sorted(arrivals.digests - wanted[name]):
                yield f"{uid} at {name} is torn, of an aborted delivery, or of none"

    def _parts(self) -> Iterator[str]:
        """A delivery whose release was not answered is there whole or not at all."""
        for sent in self._sent:
            for name in ROUTES[sent.called]:
                there = [uid in self._arrivals[name].delivered for uid in sent.uids]
                if sent.end is End.UNKNOWN and any(there) and not all(there):
                    yield f"a part of {sent.uids} at {name}"

    def _repeats(self) -> Iterator[tuple[str, str, Taken, Taken]]:
        """Each time that an instance came to where it was before, with that time before."""
        for name, arrivals in self._arrivals.items():
            for uid, associations in arrivals.kept.items():
                for before, again in pairwise(associations):
                    yield uid, name, before, again

    def _unexplained(self) -> Iterator[str]:
        """Neither was the association lost, nor its sender killed before it had noted its end."""
        kills = [at for at, part in self._world.kills if part in EXPORTERS]
        for uid, name, before, again in self._repeats():
            if before.released and not any(before.begun < at < again.begun for at in kills):
                yield f"{uid} to {name}"

    def _doubled_runs(self) -> Iterator[str]:
        for note in self._world.notes.iterdir():
            if "beside another" in note.read_text():
                yield f"two runs at once of {note.name}"
        if self._world.meter.most > SENDS_AT_ONCE:
            yield f"{self._world.meter.most} sends at once"

    def _jobs(self) -> Iterator[str]:
        """One for each delivery that is committed, and all of them done."""
        yield from self._open_jobs()
        with self._world.gateway.redis as redis:
            jobs = redis.zcard(keys.JOBS_BY_TIME)
        ends = Counter(sent.end for sent in self._sent)
        if not ends[End.RELEASED] <= jobs <= ends[End.RELEASED] + ends[End.UNKNOWN]:
            yield f"{jobs} jobs of {ends[End.RELEASED]} deliveries"

    def _open_jobs(self) -> Iterator[str]:
        with self._world.gateway.redis as redis:
            for state in JobState:
                if state is not JobState.DONE:
                    for job in redis.zrange(keys.JOBS_BY_STATE + state, 0, -1):
                        yield f"{job} is {state}: {redis.hget(keys.JOB + job, 'reason')}"

    def _left_behind(self) -> Iterator[str]:
        tree = self._world.gateway.tree
        for path in tree.committed.iterdir():
            yield f"never dispatched: {path.name}"
        # A receiver that dies while it commits leaves it to a person: its sender was told nothing.
        unknown = {sent.uids for sent in self._sent if sent.end is End.UNKNOWN}
        for path in tree.quarantine.iterdir():
            if tuple(uids(read_delivery(path))) not in unknown:
                yield f"quarantined: {path.name}"
        for log in sorted(self._world.gateway.folder.glob("*.log")):
            text = log.read_text()
            for word in ("tick broke", CANARY.decode()):
                if word in text:
                    yield f"{word} in {log.name}"


def _digest(uid: str) -> str:
    return sha256(content(uid)).hexdigest()
