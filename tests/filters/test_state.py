"""The state machine against a model that looks through the whole history each time."""

import pickle

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from filters.state import Phase, SpecState, Timing
from tests.drawn_examples import examples

TIMINGS = st.one_of(
    st.builds(Timing, st.integers(1, 4), st.just(0), st.integers(0, 20)),
    st.builds(Timing, st.just(1), st.integers(0, 12), st.integers(0, 20)),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["true", "true", "true", "false", "void", "tick", "tick"]),
        st.integers(0, 6),
    ),
    max_size=60,
)


class Model:
    """Knows the history and nothing else."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.history: list[tuple[str, int]] = []
        self.edges: list[int] = []
        self.fired: list[int] = []
        self.suppressed = 0

    def step(self, kind: str, ts: int) -> bool:
        self.history.append((kind, ts))
        here = len(self.history) - 1
        falses = [i for i, (each, _) in enumerate(self.history) if each == "false"]
        last_false = falses[-1] if falses else -1
        if kind in ("false", "void") or any(edge > last_false for edge in self.edges):
            return False
        breaks = [i for i, (each, _) in enumerate(self.history) if each in ("false", "void")]
        begin = breaks[-1] if breaks else -1
        trues = [ts for each, ts in self.history[begin + 1 :] if each == "true"]
        if len(trues) < self.timing.moments or ts - trues[0] < self.timing.hold:
            return False
        if kind == "tick" and not self.timing.hold:
            return False
        self.edges.append(here)
        if self.fired and ts - self.fired[-1] < self.timing.cooldown:
            self.suppressed += 1
            return False
        self.fired.append(ts)
        return True


def step(state: SpecState, timing: Timing, kind: str, ts: int) -> bool:
    match kind:
        case "true":
            return state.became_true(timing, ts)
        case "false":
            state.became_false(timing, ts)
        case "void":
            state.hold_back("stale")
        case _:
            return state.elapsed(timing, ts)
    return False


@given(timing=TIMINGS, steps=STEPS)
@examples(75)
def test_it_fires_exactly_when_the_model_does(timing: Timing, steps: list[tuple[str, int]]) -> None:
    state, model = SpecState(), Model(timing)
    ts = 1_000
    for kind, pause in steps:
        ts += pause
        assert step(state, timing, kind, ts) == model.step(kind, ts)
        assert (state.fired, state.suppressed) == (len(model.fired), model.suppressed)
        assert state.fired_at == (model.fired[-1] if model.fired else None)
    assert sum(state.held.values()) == sum(kind == "void" for kind, _ in steps)


@given(timing=TIMINGS, steps=STEPS, cut=st.integers(0, 60))
def test_pickling_at_any_point_changes_nothing(
    timing: Timing, steps: list[tuple[str, int]], cut: int
) -> None:
    state, other = SpecState(), SpecState()
    ts = 1_000
    for number, (kind, pause) in enumerate(steps):
        ts += pause
        if number == cut:
            other = pickle.loads(pickle.dumps(other))  # noqa: S301
            other = msgspec.msgpack.decode(msgspec.msgpack.encode(other), type=SpecState)
        assert step(state, timing, kind, ts) == step(other, timing, kind, ts)
    assert state == other


def test_the_phases_follow_one_another() -> None:
    timing = Timing(moments=2, cooldown=10)
    state = SpecState()
    seen = []
    for ts, kind in enumerate(["true", "true", "true", "false", "true", "false"]):
        step(state, timing, kind, ts)
        seen.append(state.phase)
    assert seen == [
        Phase.PENDING,
        Phase.FIRING,
        Phase.FIRING,
        Phase.COOLING,
        Phase.PENDING,
        Phase.COOLING,
    ]
    for ts in (10, 11):
        state.elapsed(timing, ts)
        seen.append(state.phase)
    assert seen[-2:] == [Phase.COOLING, Phase.INACTIVE]


def test_an_episode_in_the_cooldown_is_suppressed_and_never_told() -> None:
    timing = Timing(cooldown=10)
    state = SpecState()
    assert state.became_true(timing, 0)
    state.became_false(timing, 1)
    assert not state.became_true(timing, 5)
    assert state.suppressed == 1
    for ts in range(6, 40):
        assert not state.became_true(timing, ts)
        assert not state.elapsed(timing, ts)
    state.became_false(timing, 40)
    assert state.became_true(timing, 41)


def test_what_has_fired_does_not_fire_again_after_an_unknown_moment() -> None:
    state = SpecState()
    assert state.became_true(Timing(), 0)
    state.hold_back("stale", "silent for 30 s")
    assert not state.became_true(Timing(), 1)
    assert (state.held, state.reason) == ({"stale": 1}, "silent for 30 s")


def test_an_unknown_moment_makes_a_wait_begin_anew() -> None:
    timing = Timing(moments=3)
    state = SpecState()
    fires = [step(state, timing, kind, 0) for kind in ("true", "true", "void", "true", "true")]
    assert not any(fires)
    assert state.became_true(timing, 0)
