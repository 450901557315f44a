"""The sum tree, and prioritized replay's frequencies, weights and exact resume."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.acting.value_actor import ValueDecisions
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.sum_tree import SumTree
from tests.replay.episodes import Reference, block, histories, spec
from tests.replay.episodes import play as play_endings


@settings(deadline=None)
@given(
    st.integers(1, 70).flatmap(
        lambda size: st.lists(
            st.tuples(st.integers(0, size - 1), st.floats(0, 100)), min_size=1, max_size=200
        ).map(lambda writes: (size, writes))
    )
)
def test_sum_tree_against_a_plain_array(case):
    size, writes = case
    tree, plain = SumTree(size), np.zeros(size)
    for index, value in writes:
        tree.set(np.array([index]), value)
        plain[index] = value
    np.testing.assert_array_equal(tree.get(np.arange(size)), plain)
    assert tree.total == pytest.approx(plain.sum())
    if tree.total > 0:
        targets = np.linspace(0, 1, 50, endpoint=False) * tree.total
        found = tree.find(targets)
        assert (plain[found] > 0).all()
        shares = np.concatenate([[0], plain.cumsum()])
        slack = 1e-9 * tree.total
        assert (shares[found] - slack <= targets).all()
        assert (targets <= shares[found + 1] + slack).all()


def test_sum_tree_depends_on_its_values_alone():
    generator = np.random.default_rng(0)
    values = generator.random(1000)
    at_once, one_by_one = SumTree(1000), SumTree(1000)
    at_once.set(np.arange(1000), values)
    for index in generator.permutation(1000):
        one_by_one.set(np.array([index]), 7.0)
        one_by_one.set(np.array([index]), values[index])
    np.testing.assert_array_equal(at_once._nodes, one_by_one._nodes)


def test_the_last_of_two_values_for_one_index_counts():
    tree = SumTree(4)
    tree.set(np.array([2, 1, 2]), np.array([5.0, 1.0, 3.0]))
    np.testing.assert_array_equal(tree.get(np.arange(4)), [0, 1, 3, 0])
    assert tree.total == 4


OF_FRAMES = {"stack_size", "update_horizon", "gamma", "tells_values"}


def build(num_envs: int = 1, seed: int = 0, **arguments: Any) -> PrioritizedReplay:
    of_frames = {name: arguments.pop(name) for name in OF_FRAMES & arguments.keys()}
    settings = {"replay_capacity": 64, "alpha": 1.0, "beta": 1.0} | arguments
    return PrioritizedReplay(spec(num_envs, **of_frames), np.random.default_rng(seed), **settings)


def tree_of(replay: PrioritizedReplay) -> SumTree:
    return replay.selector.tree


def play(replay: PrioritizedReplay, steps: int, num_envs: int = 1, ends_every: int = 7) -> None:
    """Steps whose observation is their number, an episode ending every few of them."""
    for step in range(steps):
        frames = np.full((num_envs, 1), step, np.float32)
        ended = np.full(num_envs, step % ends_every == ends_every - 1)
        actions = np.zeros(num_envs, np.int64)
        replay.add(
            block(Transitions(frames, actions, frames[:, 0], ended, ~ended & False, frames + 1))
        )


def key(batch) -> np.ndarray:
    return batch.environments * 10_000 + batch.slots


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize("steps", [15, 200], ids=["filling", "wrapped"])
def test_transitions_are_drawn_in_proportion_to_their_priorities(num_envs, steps):
    replay = build(num_envs)
    play(replay, steps, num_envs)
    batch = replay.sample(1, 4000)
    drawable = np.unique(key(batch))
    priorities = (batch.slots % 5 + 1.0) + batch.environments
    replay.feedback(batch, priorities)
    expected = dict(zip(key(batch).ravel(), priorities.ravel(), strict=True))
    total = sum(expected.values())
    drawn, counts = np.unique(key(replay.sample(1, 200_000)), return_counts=True)
    np.testing.assert_array_equal(drawn, drawable)
    means = np.array([expected[number] for number in drawn]) / total * 200_000
    chi_square = ((counts - means) ** 2 / means).sum()
    assert chi_square < drawn.size + 5 * np.sqrt(2 * drawn.size)


def test_weights_undo_the_priorities():
    replay = build(alpha=1.0, beta=1.0)
    play(replay, 40)
    batch = replay.sample(1, 2000)
    replay.feedback(batch, np.where(batch.slots % 2, 4.0, 1.0))
    batch = replay.sample(2, 100)
    assert batch.weights.dtype == np.float32
    np.testing.assert_allclose(batch.weights, np.where(batch.slots % 2, 0.25, 1.0), rtol=1e-5)


@pytest.mark.parametrize("arguments", [{"beta": 0.5}, {"beta": 0.0, "beta_period": 80}], ids=str)
def test_weights_have_the_exponent_that_beta_has_reached(arguments):
    replay = build(**arguments)
    play(replay, 40)
    batch = replay.sample(1, 2000)
    replay.feedback(batch, np.where(batch.slots % 2, 4.0, 1.0))
    batch = replay.sample(2, 100)
    np.testing.assert_allclose(batch.weights, np.where(batch.slots % 2, 0.5, 1.0), rtol=1e-5)
    # The greatest weight of each batch is 1; with one draw in a batch that is this draw's.
    np.testing.assert_array_equal(replay.sample(100, 1).weights, 1.0)


def test_every_batch_draws_once_from_each_of_its_strata():
    replay = build()
    play(replay, 16, ends_every=4)  # the last step ends an episode, so all 16 can be drawn
    batch = replay.sample(3, 16)
    for slots in batch.slots:
        assert np.unique(slots).size == 16


class Followed:
    """A replay that may be restored at any time, beside the priorities that its tree must hold."""

    def __init__(self, num_envs: int, stack: int, horizon: int, length: int):
        self.arguments: dict[str, Any] = {
            "num_envs": num_envs,
            "stack_size": stack,
            "update_horizon": horizon,
            "replay_capacity": length * num_envs,
        }
        self.replay = build(**self.arguments)
        self.reference = Reference(num_envs, length, stack, horizon)
        self.priorities: dict[tuple[int, int], float] = {}
        self.greatest = 1.0

    def add(self, transitions: Block) -> None:
        """Of a block, with frames of one number."""
        self.replay.add(
            transitions._replace(
                observations=transitions.observations[..., :1],
                final_observations=transitions.final_observations[..., :1],
            )
        )

    def restore(self) -> None:
        self.check(self.replay.get_state)
        restored = build(seed=5, **self.arguments)
        restored.set_state(self.replay.get_state())
        self.replay = restored

    def check(self, follow: Callable[[], Any]) -> Any:
        """What `follow` returns, which looks at the ring: what can be drawn now has its priority."""
        self.priorities = {
            key: self.priorities.get(key, self.greatest) for key in self.reference.transitions()
        }
        found = follow()
        expected = np.zeros(self.replay.ring.capacity)
        for (environment, slot), priority in self.priorities.items():
            expected[self.replay.ring.at(environment, np.array(slot))] = priority
        np.testing.assert_array_equal(tree_of(self.replay).get(np.arange(expected.size)), expected)
        return found

    def update(self, generator: np.random.Generator) -> None:
        if not self.reference.transitions():
            return
        selector, draws = self.replay.selector, []
        draw = selector.draw
        selector.draw = lambda *args: draws.append(args) or draw(*args)
        batch = self.check(lambda: self.replay.sample(2, 3))
        selector.draw = draw
        assert len(draws) == 1  # none again
        drawn = list(zip(batch.environments.ravel(), batch.slots.ravel(), strict=True))
        priorities = np.reshape([self.priorities[key] for key in drawn], (2, 3))
        weights = priorities.min(axis=1, keepdims=True) / priorities  # beta is 1
        np.testing.assert_allclose(batch.weights, weights, rtol=1e-5)
        priorities = generator.choice([1e-3, 1.0, 1e6], size=(2, 3))
        self.replay.feedback(batch, priorities)
        held = (priorities + 1e-6).astype(np.float32).ravel().tolist()
        self.priorities |= zip(drawn, held, strict=True)
        self.greatest = max(self.greatest, *held)


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_what_can_be_drawn_has_a_priority_and_nothing_else(history, seed):
    """Often wrong: what waits for its successor has one, and draws hit nothing else."""
    num_envs, stack, horizon, length, endings = history
    followed, generator = Followed(num_envs, stack, horizon, length), np.random.default_rng(seed)

    def after_step() -> None:
        if generator.random() < 0.3:
            followed.update(generator)
        if generator.random() < 0.1:
            followed.restore()

    play_endings(followed, followed.reference, endings, after_step)
    followed.restore()


def test_an_outlier_that_waits_for_its_successor_stops_nothing():
    replay = build(update_horizon=3)
    play(replay, 20, ends_every=1000)
    batch = replay.sample(1, 4)
    replay.feedback(batch, np.array([[1e12, 1e-6, 1e-6, 1e-6]]))
    play(replay, 3, ends_every=1000)  # three enter, three wait
    batch = replay.sample(10, 32)
    assert batch.slots.max() == 19
    replay.feedback(batch, np.full(batch.slots.shape, 1e-6))
    assert replay.sample(10, 32).slots.max() <= 19


def test_a_checkpoint_of_old_that_gave_what_waits_a_priority_is_read():
    """Its tree held every step; what cannot be drawn yet enters when it can."""
    replay, restored = build(update_horizon=3), build(update_horizon=3)
    play(replay, 20, ends_every=1000)
    state = replay.get_state()
    waiting = state["priorities"] == 0
    assert np.flatnonzero(waiting)[:3].tolist() == [17, 18, 19]
    state["priorities"][17:20] = 1.0
    restored.set_state(state)
    for both in (replay, restored):
        play(both, 2, ends_every=1000)
    np.testing.assert_array_equal(replay.sample(2, 16).slots, restored.sample(2, 16).slots)
    np.testing.assert_array_equal(tree_of(replay)._nodes, tree_of(restored)._nodes)


def test_beta_rises_to_one():
    replay = build(beta=0.4, beta_period=100)
    assert replay.selector.beta == pytest.approx(0.4)
    play(replay, 50)
    assert replay.selector.beta == pytest.approx(0.7)
    play(replay, 80)
    assert replay.selector.beta == 1


def test_alpha_zero_is_uniform():
    replay = build(alpha=0.0)
    play(replay, 40)
    batch = replay.sample(1, 1000)
    replay.feedback(batch, np.random.default_rng(0).random(batch.slots.shape) * 100)
    np.testing.assert_allclose(replay.sample(1, 50).weights, 1.0)


def test_new_transitions_enter_with_the_greatest_priority():
    """Often wrong: the maximum priority is not kept."""
    replay = build()
    play(replay, 20)
    batch = replay.sample(1, 500)
    replay.feedback(batch, np.where(batch.slots == batch.slots[0, 0], 50.0, 1e-3))
    play(replay, 3)
    replay.sample(1, 1)
    newest = int(replay.ring.stop[0]) - 3
    at = np.arange(newest, newest + 2)
    np.testing.assert_allclose(tree_of(replay).get(at % 64), replay.selector.max_priority)
    assert replay.selector.max_priority == pytest.approx(50, rel=1e-3)


def test_a_final_frame_is_never_drawn():
    replay = build()
    play(replay, 300, ends_every=3)
    batch = replay.sample(50, 40)
    replay.feedback(batch, np.ones(batch.slots.shape))
    final = replay.ring["kinds"] == 4
    assert final.any()
    assert (tree_of(replay).get(np.flatnonzero(final)) == 0).all()


def test_a_uniform_share_reaches_what_has_no_priority():
    replay = build(uniform_sample_probability=0.5)
    play(replay, 30, ends_every=1000)
    batch = replay.sample(1, 2000)
    first = batch.slots == batch.slots.min()
    replay.feedback(batch, np.where(first, 1.0, 0.0))
    batch = replay.sample(1, 20_000)
    # Of the 30 slots the newest cannot be drawn yet.
    chances = {"first": 0.5 + 0.5 / 30, "others": 28 * 0.5 / 30}
    share = (batch.slots == batch.slots.min()).mean()
    assert share == pytest.approx(chances["first"] / sum(chances.values()), abs=0.02)
    rare = batch.weights[batch.slots != batch.slots.min()]
    np.testing.assert_allclose(rare, 1.0, rtol=1e-4)
    often = batch.weights[batch.slots == batch.slots.min()]
    np.testing.assert_allclose(often, 0.5 / 30 / chances["first"], rtol=1e-4)


def test_a_restored_replay_draws_alike():
    whole, resumed = build(2, alpha=0.6, beta=0.5), build(2, seed=9, alpha=0.6, beta=0.5)
    generator = np.random.default_rng(1)
    for _ in range(3):
        play(whole, 20, 2)
        batch = whole.sample(2, 16)
        whole.feedback(batch, generator.random(batch.slots.shape) * 3)
    play(whole, 5, 2)
    resumed.set_state(whole.get_state())
    for _ in range(3):
        first, second = whole.sample(2, 16), resumed.sample(2, 16)
        for name, one, other in zip(first._fields, first, second, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
        priorities = generator.random(first.slots.shape)
        for replay, batch in ((whole, first), (resumed, second)):
            replay.feedback(batch, priorities)
            play(replay, 9, 2)
    np.testing.assert_array_equal(tree_of(whole)._nodes, tree_of(resumed)._nodes)
    assert whole.selector.max_priority == resumed.selector.max_priority


def test_what_is_not_a_priority_is_refused():
    replay = build()
    play(replay, 20)
    batch = replay.sample(1, 4)
    with pytest.raises(UserError, match="the run has diverged"):
        replay.feedback(batch, np.array([[1.0, np.nan, 1.0, 1.0]]))
    with pytest.raises(UserError, match=r"PrioritizedReplay.alpha is 2: give a number from 0 to 1"):
        build(alpha=2)
    for period in (0, -1, 0.5):
        with pytest.raises(UserError, match=f"beta_period is {period}: give a whole number, 1 or"):
            build(beta_period=period)


def test_a_priority_rounded_below_zero_is_zero():
    replay = build(alpha=0.5)
    play(replay, 20)
    batch = replay.sample(1, 4)
    replay.feedback(batch, np.array([[1.0, -1e-5, -1e-7, 0.0]]))
    assert np.isfinite(tree_of(replay).total)
    at = replay.ring.at(batch.environments, batch.slots).ravel()
    assert (tree_of(replay).get(at) >= np.float32(1e-3) * 0.999).all()


def test_one_buffer_imported_makes_all_known_to_gin():
    lines = [
        "import gin",
        "import dopamine_lite.replay.circular_replay",
        "gin.parse_config('PrioritizedReplay.alpha = 0.0')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_the_tree_counts_as_memory():
    assert build(replay_capacity=1000).memory_bytes > 2 * 8 * 1000


def play_with_values(
    replay: PrioritizedReplay, steps: int, seed: int, most: int
) -> dict[tuple[int, int], float | None]:
    """Plays two environments with random ends and values, in blocks of up to `most` steps.

    Returns:
      The TD errors by environment and slot, from a plain loop over the steps that follow; None: nobody
      knows the value of the last observation.
    """
    generator = np.random.default_rng(seed)
    spec, now, errors = replay.ring.spec, np.zeros(2, int), {}
    waiting: list[list[tuple[int, float, list[float]]]] = [[], []]  # slot, Q(s, a), rewards
    taken: list[Transitions] = []
    said: list[ValueDecisions] = []
    for step in range(steps):
        rewards, kind = generator.normal(size=2).astype(np.float32), generator.integers(6, size=2)
        told = ValueDecisions(*generator.normal(size=(2, 2)).astype(np.float32))
        frames = np.full((2, 1), step, np.float32)
        taken.append(
            Transitions(frames, np.zeros(2, int), rewards, kind == 0, kind == 1, frames + 1)
        )
        said.append(told)
        for environment, still in enumerate(waiting):
            for slot, q, following in [
                each for each in still if len(each[2]) == spec.update_horizon
            ]:
                returns = sum(spec.gamma**k * reward for k, reward in enumerate(following))
                value = spec.gamma ** len(following) * told.values[environment]
                errors[environment, slot] = abs(returns + value - q)
                still.remove((slot, q, following))
            still.append((int(now[environment]), float(told.taken[environment]), []))
            for _, _, following in still:
                following.append(float(rewards[environment]))
            if kind[environment] < 2:
                for slot, q, following in still:
                    returns = sum(spec.gamma**k * reward for k, reward in enumerate(following))
                    errors[environment, slot] = None if kind[environment] else abs(returns - q)
                still.clear()
        now += 1 + (kind < 2)
        if len(taken) == most or step == steps - 1:
            after = taken[-1].next_observations, None
            replay.add(Block.of(taken, after, said))
            replay.selector.prepare()
            taken, said = [], []
    return errors


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("most", [1, 5])
def test_the_first_priority_is_the_td_error_of_the_actors_values(horizon, most):
    replay = build(
        num_envs=2,
        update_horizon=horizon,
        tells_values=True,
        initial_priority="td_error",
        replay_capacity=400,
    )
    errors = play_with_values(replay, 100, seed=horizon, most=most)
    priorities = replay.selector.tree.get(np.arange(replay.ring.capacity))
    entered, greatest = 0, 1.0
    for (environment, slot), error in errors.items():
        found = priorities[replay.ring.at(environment, np.array(slot))]
        if error is None:
            assert 1.0 <= found <= replay.selector.max_priority
        else:
            np.testing.assert_allclose(found, error + 1e-6, rtol=1e-5)
            greatest = max(greatest, error)
        entered += 1
    assert entered > 150 and np.count_nonzero(priorities) == entered
    assert replay.selector.max_priority == pytest.approx(greatest, rel=1e-5)
    assert replay.describe()["initial_priority"] == "td_error"


def test_first_priorities_are_in_the_state():
    """What has been drawn since, and what will be drawn, is the same in a replay that was restored."""
    arguments = {"num_envs": 2, "tells_values": True, "initial_priority": "td_error"}
    replay, restored = build(**arguments), build(seed=1, **arguments)
    play_with_values(replay, 40, seed=0, most=3)
    restored.set_state(replay.get_state())
    for each in (replay, restored):
        play_with_values(each, 10, seed=1, most=4)
    first, second = (each.sample(3, 8) for each in (replay, restored))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_values_that_diverge_end_the_run(value):
    replay = build(num_envs=2, tells_values=True, initial_priority="td_error")
    frames, ones = np.zeros((2, 1), np.float32), np.ones(2, np.float32)
    step = Transitions(frames, np.zeros(2, int), ones, ones > 1, ones > 1, frames)
    said = ValueDecisions(ones * np.float32(value), ones)
    replay.add(Block.of([step, step], (frames, None), [said, said]))
    with pytest.raises(UserError, match="not a finite number"):
        replay.sample(1, 2)


def test_first_priorities_need_an_agent_that_tells_values():
    with pytest.raises(UserError, match="such as DQNAgent"):
        build(initial_priority="td_error")
    with pytest.raises(UserError, match='choose "greatest" or "td_error"'):
        build(tells_values=True, initial_priority="td")
