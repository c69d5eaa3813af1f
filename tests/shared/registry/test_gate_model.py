"""The gate against a small model of it: any order of calls, lost messages, dead workers, a server
that is emptied. Time passes only where a rule says so: a lease of no length has run out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from shared.registry import keys
from shared.registry.gate import Gate, Grant, Leases, Run, Step, StepEnd, Verdict
from tests.shared.registry.steps import QUEUE

EVER = Leases(granted=600, running=600)
GONE = Leases(granted=0, running=0)
LANES = ("one", "two")
CAPS = {QUEUE: 3, "one": 1, "two": 2}
STEPS = {name: Step(name, QUEUE, LANES[n % 2], "job") for n, name in enumerate("abcdefg")}


class At(Enum):
    """Where a step stands."""

    FORGOTTEN = auto()  # never submitted, or the server was emptied since
    WAITING = auto()
    HELD = auto()  # granted or running: it has a lease
    DUE = auto()
    ENDED = auto()


@dataclass
class Model:
    """What the gate must know of one step."""

    at: At = At.FORGOTTEN
    token: str = ""  # of the lease
    caller: str = ""  # who started it; none while it is only granted
    lapsed: bool = False  # the lease ran out, and nobody has looked yet
    granted_before: bool = False  # by this server
    end: str = ""


@dataclass
class World:
    steps: dict[str, Model] = field(default_factory=lambda: {name: Model() for name in STEPS})
    troubled: set[str] = field(default_factory=set)
    places: int = 0
    closed: bool = False


class GateMachine(RuleBasedStateMachine):
    grants = Bundle("grants")  # messages: any may be lost, late or doubled
    bodies = Bundle("bodies")  # runs that have not finished, whether they may run or not

    redis: Redis  # given by the test

    @initialize()
    def begin(self) -> None:
        self.redis.flushall()
        self.gate = Gate(self.redis, EVER)
        self.gone = Gate(self.redis, GONE)
        self.world = World()
        self.wanted: set[str] = set()
        self.callers = 0
        self.gate.open()
        self.gate.set_caps(CAPS)

    def model(self, step_id: str) -> Model:
        return self.world.steps[step_id]

    # What the callers do.

    @rule(step=st.sampled_from(sorted(STEPS.values(), key=lambda step: step.id)))
    def submit(self, step: Step) -> None:
        self.gate.submit(step)
        self.wanted.add(step.id)
        model = self.model(step.id)
        if model.at is At.FORGOTTEN:
            model.at, model.granted_before = At.WAITING, False

    @rule(places=st.integers(0, 4))
    def announce_places(self, places: int) -> None:
        self.gate.announce_places("worker", {QUEUE: places})
        self.world.places = places

    @rule(target=grants, lapses=st.booleans())
    def grant(self, lapses: bool) -> object:
        expected = self._admissible()
        granted = (Gate(self.redis, Leases(0, 600)) if lapses else self.gate).grant(QUEUE)
        assert len(granted) == expected
        for grant in granted:
            model = self.model(grant.step_id)
            assert model.at is At.WAITING
            model.at, model.token, model.caller = At.HELD, grant.token, ""
            model.lapsed, model.granted_before = lapses, True
        for lane in {STEPS[grant.step_id].lane for grant in granted}:
            assert self.redis.zcard(keys.LEASES + lane) <= CAPS[lane]
        assert not granted or sum(self._leases()) <= CAPS[QUEUE]
        return multiple(*granted)

    @rule(target=bodies, grant=grants)
    def start(self, grant: Grant) -> object:
        self.callers += 1
        run = self.gate.start(grant.step_id, grant.token, f"caller {self.callers}")
        model = self.model(grant.step_id)
        newest = model.at is At.HELD and model.token == grant.token and not model.caller
        assert (run is not None) == newest
        if run is None:
            return multiple()
        model.caller, model.lapsed = run.caller, False
        return run

    @rule(body=bodies)
    def start_again(self, body: Run) -> None:
        again = self.gate.start(body.step.id, body.token, body.caller)
        assert (again is not None) == self._holds(body)
        if again is not None:
            assert again.step == body.step
            self.model(body.step.id).lapsed = False

    @rule(target=bodies, body=consumes(bodies), lapses=st.booleans())
    def beat(self, body: Run, lapses: bool) -> object:
        expected = self._adopts(body) or self._holds(body)
        verdict = (self.gone if lapses else self.gate).beat(body)
        assert verdict is (Verdict.GO_ON if expected else Verdict.LOST)
        if not expected:
            return multiple()  # it stops
        model = self.model(body.step.id)
        model.at, model.token, model.caller = At.HELD, body.token, body.caller
        model.lapsed = lapses
        return body

    @rule(
        body=consumes(bodies),
        end=st.sampled_from(StepEnd),
        counted=st.booleans(),
        troubled=st.booleans(),
        repeated=st.booleans(),
    )
    def finish(
        self, body: Run, end: StepEnd, counted: bool, troubled: bool, repeated: bool
    ) -> None:
        expected = self._adopts(body) or self._holds(body)
        for _ in range(2 if repeated else 1):
            finished = self.gate.finish(body, end, counted=counted, troubled=troubled)
            assert finished == expected
        if not expected:
            return
        if troubled:
            self.world.troubled.add(body.step.lane)
        elif end is StepEnd.DONE:
            self.world.troubled.discard(body.step.lane)
        model = self.model(body.step.id)
        model.at = At.DUE if end is StepEnd.RETRYING else At.ENDED
        model.token, model.granted_before = "", True

    # What happens to the server.

    @rule()
    def emptied(self) -> None:
        self.redis.flushall()
        self.world = World(closed=True)

    @rule()
    def opened(self) -> None:
        self.gate.open()
        self.gate.set_caps(CAPS)
        self.world.closed = False

    @invariant()
    def each_step_that_is_out_has_one_lease_and_no_other_has_any(self) -> None:
        held = [sum(model.at is At.HELD for model in self._of(lane)) for lane in LANES]
        assert self._leases() == held

    def _leases(self) -> list[int]:
        return [int(self.redis.zcard(keys.LEASES + lane)) for lane in LANES]

    def teardown(self) -> None:
        """However it went: workers die, messages are lost, and each step can be driven to its end
        by being submitted, granted and run."""
        if not hasattr(self, "world"):
            return
        self.gate.open()
        self.gate.set_caps(CAPS)
        self.gate.announce_places("another worker", {QUEUE: 4})
        for name in sorted(self.wanted):
            self.gate.submit(STEPS[name])
            if self.model(name).at is At.HELD:
                self.redis.zadd(keys.LEASES + STEPS[name].lane, {name: 1})  # it died long ago
        for _ in range(2 * len(STEPS) + 2):
            for grant in self.gate.grant(QUEUE):
                run = self.gate.start(grant.step_id, grant.token, "the last")
                assert run is not None
                assert self.gate.finish(run, StepEnd.DONE)
        ends = {name: self.gate.submit(STEPS[name]) for name in self.wanted}
        assert set(ends.values()) <= {"done", "failed"}, ends

    # How the model judges.

    def _holds(self, body: Run) -> bool:
        model = self.model(body.step.id)
        return model.at is At.HELD and (model.token, model.caller) == (body.token, body.caller)

    def _adopts(self, body: Run) -> bool:
        """Whether the server has forgotten that this step runs."""
        model = self.model(body.step.id)
        return model.at is At.FORGOTTEN or (model.at is At.WAITING and not model.granted_before)

    def _admissible(self) -> int:
        """How many steps the next grant admits; what ran out or is due waits from now on."""
        if self.world.closed:
            return 0
        for model in self.world.steps.values():
            if model.at is At.DUE or (model.at is At.HELD and model.lapsed):
                model.at, model.token, model.caller = At.WAITING, "", ""
        taken = sum(model.at is At.HELD for model in self.world.steps.values())
        room = min(self.world.places, CAPS[QUEUE]) - taken
        return max(0, min(room, sum(self._admissible_of(lane) for lane in LANES)))

    def _admissible_of(self, lane: str) -> int:
        cap = min(CAPS[lane], 1) if lane in self.world.troubled else CAPS[lane]
        held = sum(model.at is At.HELD for model in self._of(lane))
        waiting = sum(model.at is At.WAITING for model in self._of(lane))
        return max(0, min(cap - held, waiting))

    def _of(self, lane: str) -> Iterator[Model]:
        return (model for name, model in self.world.steps.items() if STEPS[name].lane == lane)


def test_the_gate_does_what_its_model_does(redis: Redis):
    class OnThisServer(GateMachine):
        pass

    OnThisServer.redis = redis
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
