"""The gate against a small model of it: any order of calls, lost messages, dead workers, steps that
are withdrawn, lanes that are shut or paused, a server that is emptied. Time passes only where a
rule says so: a lease of no length has run out."""

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
from shared.registry.gate import Gate, Leases, Verdict
from shared.registry.step import PROBE, Grant, Priority, Run, Step, StepEnd, Trouble
from tests.shared.registry.steps import QUEUE, server_time

EVER = Leases(granted=600, running=600)
GONE = Leases(granted=0, running=0)
LANES = ("one", "two")
CAPS = {QUEUE: 3, "one": 1, "two": 2}
STEPS = {
    name: Step(name, QUEUE, LANES[n % 2], "job", Priority(n % 3))
    for n, name in enumerate("abcdefg")
}
PROBES = {
    PROBE + lane: Step(PROBE + lane, QUEUE, PROBE + lane, "", Priority.STAT) for lane in LANES
}
ALL_LANES = (*LANES, *(PROBE + lane for lane in LANES))
LATER = 600.0  # seconds: it comes where a rule says so
any_step = st.sampled_from(sorted(STEPS.values(), key=lambda step: step.id))
any_trouble = st.sampled_from([None, None, Trouble(1, LATER), Trouble(3, LATER), Trouble(1, 0)])


class At(Enum):
    """Where a step stands."""

    FORGOTTEN = auto()  # never submitted, or the server was emptied since
    WAITING = auto()
    HELD = auto()  # granted or running: it has a lease
    ELSEWHERE = auto()  # handed over: it has a deadline
    DUE = auto()
    ENDED = auto()
    WITHDRAWN = auto()


GONE_FOR_GOOD = (At.FORGOTTEN, At.ENDED, At.WITHDRAWN)  # a probe is made anew after these


@dataclass
class Model:
    """What the gate must know of one step."""

    at: At = At.FORGOTTEN
    submitted: int = 0  # server's time (ms)
    token: str = ""  # of the lease
    caller: str = ""  # who started it; none while it is only granted
    lapsed: bool = False  # the lease ran out, and nobody has looked yet
    later: bool = False  # due, but not yet
    stopping: bool = False  # withdrawn while it runs
    granted_before: bool = False  # by this server
    holds_on: bool = False
    attempts: int = 0
    breaks: int = 0

    def take_back(self) -> None:
        """Its lease is over and it did not end."""
        self.at = At.WITHDRAWN if self.stopping else At.WAITING
        self.token, self.caller, self.stopping = "", "", False

    def withdraw(self) -> None:
        self.stopping = True
        self.take_back()
        self.granted_before = True


@dataclass
class Lane:
    """What the gate must know of one lane."""

    failures: int = 0  # in a row
    shut: bool = False
    probe_later: bool = False  # when its probe is made, its time has not come
    patient: bool = True  # nothing that waits has waited for too long
    paused: bool = False


@dataclass
class World:
    steps: dict[str, Model] = field(
        default_factory=lambda: {name: Model() for name in STEPS | PROBES}
    )
    lanes: dict[str, Lane] = field(default_factory=lambda: {name: Lane() for name in LANES})
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
        self.callers, self.words = 0, 1
        self.gate.open()
        self.gate.set_caps(CAPS)
        self.announce_places(4)
        for step in STEPS.values():
            self.submit(step, 0.0)

    def model(self, step_id: str) -> Model:
        return self.world.steps[step_id]

    # What the callers do.

    @rule(step=any_step, delay=st.sampled_from([0.0, LATER]))
    def submit(self, step: Step, delay: float) -> None:
        model = self.model(step.id)
        known = model.at not in (At.FORGOTTEN, At.WITHDRAWN)
        before = self._next_millisecond()
        state = self.gate.submit(step, delay)
        self.wanted.add(step.id)
        if not known:
            assert state == ("retrying" if delay else "waiting")
            model.at, model.later = (At.DUE, True) if delay else (At.WAITING, False)
            self._made(step, before)

    @rule(step=any_step)
    def withdraw(self, step: Step) -> None:
        model = self.model(step.id)
        runs = model.at is At.HELD and bool(model.caller)
        assert self.gate.withdraw(step.id) == runs
        if runs:
            model.stopping = True
        else:
            model.withdraw()

    @rule(step=any_step)
    def its_time_comes(self, step: Step) -> None:
        if self.model(step.id).at is At.DUE:
            self.redis.zadd(keys.DUE + step.lane, {step.id: 1})
            self.model(step.id).later = False

    @rule(lane=st.sampled_from(LANES))
    def a_probes_time_comes(self, lane: str) -> None:
        self.gate.probe_now(lane)
        if self.world.lanes[lane].shut:
            self.world.lanes[lane].probe_later = False
            self.model(PROBE + lane).later = False

    @rule(lane=st.sampled_from(LANES), paused=st.booleans(), newer=st.booleans())
    def pause(self, lane: str, paused: bool, newer: bool) -> None:
        self.words += newer
        as_of = self.words if newer else self.words - 1
        known = self.redis.hget(keys.LANE + lane, "paused_as_of")
        taken = known is None or int(known) <= as_of * 1000
        assert self.gate.set_paused(lane, paused, as_of) == taken
        if taken:
            self.world.lanes[lane].paused = paused

    @rule(places=st.sampled_from([0, 1, 4, 4]))
    def announce_places(self, places: int) -> None:
        self.gate.announce_places("worker", {QUEUE: places})
        self.world.places = places

    @rule(target=grants, lapses=st.booleans())
    def grant(self, lapses: bool) -> object:
        return multiple(*self.grant_all(lapses))

    def grant_all(self, lapses: bool) -> list[Grant]:
        granted = (Gate(self.redis, Leases(0, 600)) if lapses else self.gate).grant(QUEUE)
        expected = self._admissible()
        # By age and priority: which of two of the same millisecond goes first is the gate's choice.
        assert [self._place_in_line(grant.step_id) for grant in granted] == expected
        for grant in granted:
            model = self.model(grant.step_id)
            assert model.at is At.WAITING
            assert grant.attempts == model.attempts
            model.at, model.token, model.caller = At.HELD, grant.token, ""
            model.lapsed, model.granted_before = lapses, True
        for lane in {_lane(grant.step_id) for grant in granted}:
            assert self.redis.zcard(keys.LEASES + lane) <= CAPS.get(lane, 1)
        assert not granted or sum(self._leases()) <= CAPS[QUEUE]
        return granted

    @rule(target=bodies)
    def begin_what_may(self) -> object:
        """As a worker does to which no message is lost."""
        if self.world.closed:
            self.opened()
        run = [self.start(grant) for grant in self.grant_all(lapses=False)]
        return multiple(*run)

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
        model.attempts += 1
        model.breaks += 1
        assert (run.attempt, run.breaks) == (model.attempts, model.breaks)
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
        model, adopts, holds = self.model(body.step.id), self._adopts(body), self._holds(body)
        before = server_time(self.redis)
        verdict = (self.gone if lapses else self.gate).beat(body)
        if self._left_to_engine(body):
            assert verdict is Verdict.GO_ON
            return body
        if not adopts and not holds:
            late = model.at is At.WITHDRAWN
            assert verdict is (Verdict.WITHDRAWN if late else Verdict.LOST)
            return multiple()  # it stops
        assert verdict is (Verdict.WITHDRAWN if model.stopping else Verdict.GO_ON)
        if adopts:
            self._adopt(body, before)
        model.lapsed = lapses
        return body

    @rule(target=bodies, body=consumes(bodies), lapses=st.booleans(), holds_on=st.booleans())
    def hand_over(self, body: Run, lapses: bool, holds_on: bool) -> object:
        model, adopts = self.model(body.step.id), self._adopts(body)
        before = server_time(self.redis)
        verdict = self.gate.hand_over(body, 0 if lapses else LATER, holds_on=holds_on)
        if not adopts and not self._holds(body) and not self._left_to_engine(body):
            late = model.at is At.WITHDRAWN
            assert verdict is (Verdict.WITHDRAWN if late else Verdict.LOST)
            return multiple()
        if model.stopping:
            assert verdict is Verdict.WITHDRAWN
            model.withdraw()
            return multiple()
        assert verdict is Verdict.GO_ON
        if adopts:
            self._adopt(body, before)
        model.at, model.lapsed, model.holds_on = At.ELSEWHERE, lapses, holds_on
        return body

    @rule(
        body=consumes(bodies),
        end=st.sampled_from(StepEnd),
        delay=st.sampled_from([0.0, LATER]),
        counted=st.booleans(),
        trouble=any_trouble,
        broken=st.booleans(),
        repeated=st.booleans(),
    )
    def finish(
        self,
        body: Run,
        end: StepEnd,
        delay: float,
        counted: bool,
        trouble: Trouble | None,
        broken: bool,
        repeated: bool,
    ) -> None:
        model, adopts = self.model(body.step.id), self._adopts(body)
        expected = adopts or self._holds(body) or self._left_to_engine(body)
        before = server_time(self.redis)
        for _ in range(2 if repeated else 1):
            finished = self.gate.finish(
                body, end, delay=delay, counted=counted, trouble=trouble, broken=broken
            )
            assert finished == expected
        if not expected:
            return
        if adopts:
            self._adopt(body, before)
        if trouble:
            self._fails(body.step.lane, trouble, delay)
        elif end is StepEnd.DONE:
            self._succeeds(body.step.lane)
        if end is StepEnd.WITHDRAWN or (model.stopping and end is not StepEnd.DONE):
            model.withdraw()
            return
        model.at = At.DUE if end is StepEnd.RETRYING else At.ENDED
        model.later = delay > 0
        model.token, model.stopping, model.holds_on = "", False, False
        model.attempts -= not counted
        model.breaks -= not broken

    # What happens to the server.

    @rule(seldom=st.integers(0, 9))
    def emptied(self, seldom: int) -> None:
        if seldom:
            return
        self.redis.flushall()
        self.world = World(closed=True)

    @rule()
    def opened(self) -> None:
        self.gate.open()
        self.gate.set_caps(CAPS)
        self.world.closed = False

    @invariant()
    def each_step_that_is_out_has_one_lease_and_no_other_has_any(self) -> None:
        for index, at in ((keys.LEASES, At.HELD), (keys.HANDED_OVER, At.ELSEWHERE)):
            expected = [sum(model.at is at for model in self._of(lane)) for lane in ALL_LANES]
            assert [self.redis.zcard(index + lane) for lane in ALL_LANES] == expected

    @invariant()
    def each_lane_is_as_the_ends_of_its_steps_have_left_it(self) -> None:
        for name, lane in self.world.lanes.items():
            failures, shut = self.redis.hmget(keys.LANE + name, "failures", "shut")
            assert (int(failures or 0), bool(shut)) == (lane.failures, lane.shut)

    @invariant()
    def each_step_keeps_its_place_in_line_as_long_as_it_is_known(self) -> None:
        for name, model in self.world.steps.items():
            known = model.at not in (At.FORGOTTEN, At.WITHDRAWN)
            submitted = self.redis.hget(keys.STEP + name, "submitted")
            assert (None if submitted is None else int(submitted)) == (
                model.submitted if known else None
            )

    def _leases(self) -> list[int]:
        return [int(self.redis.zcard(keys.LEASES + lane)) for lane in ALL_LANES]

    def teardown(self) -> None:
        """However it went: workers die, messages are lost, and each step can be driven to its end
        by being submitted, granted and run."""
        if not hasattr(self, "world"):
            return
        self.gate.open()
        self.gate.set_caps(CAPS)
        for lane in LANES:
            self.gate.set_paused(lane, False, self.words)
        for step in (STEPS | PROBES).values():  # who runs died long ago
            for index in (keys.LEASES, keys.HANDED_OVER):
                self.redis.zadd(index + step.lane, {step.id: 1}, xx=True)
        self.gate.announce_places("worker", {QUEUE: 0})
        assert self.gate.grant(QUEUE) == []
        for name in sorted(self.wanted):
            self.gate.submit(STEPS[name])
            self.redis.zadd(keys.DUE + STEPS[name].lane, {name: 1}, xx=True)
        self.gate.announce_places("worker", {QUEUE: 4})
        for _ in range(2 * len(STEPS) + 4):
            for lane in LANES:
                self.gate.probe_now(lane)
            for grant in self.gate.grant(QUEUE):
                run = self.gate.start(grant.step_id, grant.token, "the last")
                assert run is not None
                assert self.gate.finish(run, StepEnd.DONE)
        ends = {name: self.gate.submit(STEPS[name]) for name in self.wanted}
        assert set(ends.values()) <= {"done", "failed"}, ends

    def _next_millisecond(self) -> float:
        """Later than any step so far: who goes first must not be left to chance."""
        before = server_time(self.redis)
        while int((now := server_time(self.redis)) * 1000) == int(before * 1000):
            pass
        return now

    # How the model judges.

    def _holds(self, body: Run) -> bool:
        model = self.model(body.step.id)
        return model.at is At.HELD and (model.token, model.caller) == (body.token, body.caller)

    def _left_to_engine(self, body: Run) -> bool:
        model = self.model(body.step.id)
        return model.at is At.ELSEWHERE and model.token == body.token

    def _adopts(self, body: Run) -> bool:
        """Whether the server has forgotten that this step runs."""
        model = self.model(body.step.id)
        return model.at is At.FORGOTTEN or (
            model.at in (At.WAITING, At.DUE) and not model.granted_before
        )

    def _adopt(self, body: Run, before: float) -> None:
        model = self.model(body.step.id)
        if model.at is At.FORGOTTEN:
            self._made(body.step, before)
        model.at, model.token, model.caller = At.HELD, body.token, body.caller
        model.attempts, model.breaks = body.attempt, body.breaks
        model.granted_before = True

    def _made(self, step: Step, before: float) -> None:
        """The server has a record of the step since just now."""
        model = self.model(step.id)
        model.attempts, model.breaks, model.holds_on = 0, 0, False
        submitted = self.redis.hget(keys.STEP + step.id, "submitted")
        model.submitted = int(submitted or 0)  # none: withdrawn again by the same call
        if submitted is not None:
            assert int(before * 1000) <= model.submitted <= server_time(self.redis) * 1000

    def _fails(self, name: str, trouble: Trouble, delay: float) -> None:
        lane = self.world.lanes[name.removeprefix(PROBE)]
        probes = name.startswith(PROBE)
        if probes and not lane.shut:
            return
        lane.patient = trouble.patience > 0
        if probes:
            return
        lane.failures += 1
        if lane.failures >= trouble.shut_after and not lane.shut:
            lane.shut, lane.probe_later = True, delay > 0

    def _succeeds(self, name: str) -> None:
        tried = name.removeprefix(PROBE)
        lane = self.world.lanes[tried]
        was_shut, lane.shut = lane.shut, False
        if name == tried:
            lane.failures = 0
        if not was_shut:
            return
        for model in self._of(tried):
            if model.at is At.DUE:
                model.at = At.WAITING
        probe = self.model(PROBE + tried)
        if name == tried and probe.at in (At.WAITING, At.DUE):
            self.world.steps[PROBE + tried] = Model()

    def _make_probes(self) -> None:
        """As a grant does, for each lane that is shut."""
        for name, lane in self.world.lanes.items():
            old = self.model(PROBE + name)
            if lane.shut and old.at in GONE_FOR_GOOD:
                submitted = int(self.redis.hget(keys.STEP + PROBE + name, "submitted") or 0)
                known = old.at is not At.FORGOTTEN
                made = Model(At.DUE, submitted, later=lane.probe_later, granted_before=known)
                self.world.steps[PROBE + name] = made

    def _place_in_line(self, step_id: str) -> tuple[bool, Priority, int]:
        model, priority = self.model(step_id), (STEPS | PROBES)[step_id].priority
        return not model.holds_on, Priority.STAT if model.holds_on else priority, model.submitted

    def _admissible(self) -> list[tuple[bool, Priority, int]]:
        """Which the next grant admits, in order; what ran out or is due waits from now on."""
        if self.world.closed:
            return []
        self._make_probes()
        for model in self.world.steps.values():
            if model.at is At.DUE and not model.later:
                model.at = At.WAITING
            if model.at is At.ELSEWHERE and model.lapsed:
                model.breaks -= 1
                model.take_back()
            if model.at is At.HELD and model.lapsed:
                model.take_back()
        taken = sum(model.at is At.HELD for model in self.world.steps.values())
        room = max(0, min(self.world.places, CAPS[QUEUE]) - taken)
        return sorted(place for lane in ALL_LANES for place in self._admissible_of(lane))[:room]

    def _admissible_of(self, lane: str) -> list[tuple[bool, Priority, int]]:
        of, probes = self.world.lanes[lane.removeprefix(PROBE)], lane.startswith(PROBE)
        if of.paused or (of.shut and of.patient and not probes):
            return []
        cap = min(CAPS[lane], 1) if not probes and of.failures else CAPS.get(lane, 9)
        held = sum(model.at in (At.HELD, At.ELSEWHERE) for model in self._of(lane))
        waiting = (
            self._place_in_line(name)
            for name, model in self.world.steps.items()
            if _lane(name) == lane and model.at is At.WAITING
        )
        return sorted(waiting)[: max(0, cap - held)]

    def _of(self, lane: str) -> Iterator[Model]:
        return (model for name, model in self.world.steps.items() if _lane(name) == lane)


def _lane(step_id: str) -> str:
    return (STEPS | PROBES)[step_id].lane


def test_the_gate_does_what_its_model_does(redis: Redis):
    class OnThisServer(GateMachine):
        pass

    OnThisServer.redis = redis
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
