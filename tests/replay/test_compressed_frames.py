"""Compressed frames beside plain ones: the same samples, states and checkpoints."""

from __future__ import annotations

import dataclasses
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.memory import available_memory
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.atari_environment import AtariEnvironment
from dopamine_lite.replay.block import Block
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.compressed_frames import BLOCK, CompressedFrames
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import ReplaySpec
from dopamine_lite.replay.ring_replay import RingReplay
from dopamine_lite.replay.sequence_replay import SequenceReplay
from tests.replay.episodes import spec

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where syncing costs nothing
DTYPES = st.sampled_from([np.uint8, np.bool_, np.int64, np.float32, np.dtype(">f8")])
SHAPES = st.sampled_from([(), (0,), (3,), (2, 5), (30, 30)])


@settings(deadline=None)
@given(data=st.data(), length=st.integers(1, 40), num_envs=st.integers(1, 4))
def test_they_are_indexed_like_an_array(data, length, num_envs):
    shape, dtype = data.draw(SHAPES), np.dtype(data.draw(DTYPES))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    compressed = CompressedFrames(length, num_envs, shape, dtype, "Replay")
    plain = np.zeros((length * num_envs, *shape), dtype)
    every, written = np.arange(len(plain)), np.zeros(len(plain), bool)
    for _ in range(data.draw(st.integers(1, 8))):
        at = generator.permutation(every)[: data.draw(st.integers(0, len(plain)))]
        plain[at] = compressed[at] = generator.integers(0, 256, (at.size, *shape)).astype(dtype)
        written[at] = True
        if data.draw(st.booleans()):  # which closes all blocks
            at_once = CompressedFrames(length, num_envs, shape, dtype, "Replay")
            at_once[every[written]] = plain[written]
            assert compressed.nbytes == at_once.nbytes
        read = generator.integers(0, len(plain), (2, 7))
        found = compressed[read]
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, plain[read])
    np.testing.assert_array_equal(compressed[every], plain)


@dataclasses.dataclass
class Play:
    """Steps of N environments, drawn anew for each block."""

    of_frames: ReplaySpec
    generator: np.random.Generator
    noisy: bool

    def block(self, num_steps: int) -> Block:
        """T steps; some end an episode."""
        of, draw = self.of_frames, self.generator
        rows, axes = (num_steps + 1, of.num_envs), of.frame_shape
        stacked = (of.stack_size,) if of.stack_size > 1 else ()
        values = draw.integers(0, 200 if self.noisy else 2, (*rows, *stacked, *axes))
        terminated, truncated = draw.random((2, num_steps, of.num_envs)) < 0.1
        ends = int((terminated | truncated).sum())
        final = draw.integers(0, 200, (ends, *stacked, *axes))
        return Block(
            values.astype(of.frame_dtype),
            draw.integers(0, 5, (num_steps, of.num_envs)),
            draw.normal(size=(num_steps, of.num_envs)),
            terminated,
            truncated,
            final.astype(of.frame_dtype),
        )


def circular(of_frames: ReplaySpec, seed: int, **rest: Any) -> RingReplay:
    return CircularReplay(of_frames, np.random.default_rng(seed), **rest)


def prioritized(of_frames: ReplaySpec, seed: int, **rest: Any) -> RingReplay:
    return PrioritizedReplay(of_frames, np.random.default_rng(seed), **rest)


def of_sequences(of_frames: ReplaySpec, seed: int, **rest: Any) -> RingReplay:
    return SequenceReplay(
        of_frames, np.random.default_rng(seed), sequence_length=3, overlap=1, **rest
    )


KINDS = [circular, prioritized, of_sequences]


@st.composite
def plays(draw: st.DrawFn) -> tuple[Play, int, list[int]]:
    """What is played, the frames that are held of each environment, and the lengths of blocks."""
    stack, horizon = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 4))
    shape, dtype = draw(SHAPES.filter(lambda shape: 0 not in shape)), draw(DTYPES)
    of_frames = spec(
        draw(st.integers(1, 4)), shape, dtype, stack_size=stack, update_horizon=horizon
    )
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    length = draw(st.integers(stack + max(horizon, 3) + 1, 50))
    lengths = draw(st.lists(st.sampled_from([1, 2, 4, 5, 9, 30]), min_size=4, max_size=20))
    return Play(of_frames, generator, draw(st.booleans())), length, lengths


def _sample(replay: RingReplay) -> tuple[Any, ...]:
    """A sample; empty if nothing whole is stored yet."""
    try:
        return replay.sample(2, 8)
    except RuntimeError:
        return ()


def assert_alike(one: RingReplay, other: RingReplay) -> None:
    """Fails unless the next samples and the states of two replays are the same."""
    samples = [_sample(replay) for replay in (one, other)]
    for ours, theirs in zip(*samples, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert digest(one.get_state()) == digest(other.get_state())


@pytest.mark.parametrize("build", KINDS)
@settings(max_examples=40, deadline=None)
@given(case=plays())
def test_samples_and_states_are_those_of_a_plain_ring(build, case):
    play, length, lengths = case
    capacity = length * play.of_frames.num_envs
    plain, compressed = (
        build(play.of_frames, 1, replay_capacity=capacity, compress=compress)
        for compress in (False, True)
    )
    for number, num_steps in enumerate(lengths):
        block = play.block(num_steps)
        plain.add(block)
        compressed.add(block)
        if number % 3 == 0:
            assert compressed.metrics().pop("frames_bytes") > 0
        if number > 1:
            assert_alike(plain, compressed)


@pytest.mark.parametrize("build", KINDS)
@settings(max_examples=25, deadline=None)
@given(case=plays(), first=st.booleans())
def test_a_checkpoint_of_either_goes_on_as_either(build, case, first):
    """Each save writes what is new, and each start restores it into the other kind of ring."""
    play, length, lengths = case
    capacity = length * play.of_frames.num_envs

    def replay(seed: int, compress: bool) -> RingReplay:
        return build(play.of_frames, seed, replay_capacity=capacity, compress=compress)

    whole, replay_now, compress = replay(1, compress=False), replay(1, compress=first), first
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as directory:
        checkpointer = Checkpointer(Path(directory))
        for number, num_steps in enumerate(lengths):
            block = play.block(num_steps)
            whole.add(block)
            replay_now.add(block)
            checkpointer.save(number, {"replay": replay_now.get_state()})
            if number % 2:
                checkpointer.close()
                checkpointer, compress = Checkpointer(Path(directory)), not compress
                replay_now = replay(2, compress)
                restored = checkpointer.restore()
                assert restored is not None
                replay_now.set_state(restored.state["replay"])
            assert_alike(whole, replay_now)
        checkpointer.close()


@settings(max_examples=25, deadline=None)
@given(case=plays())
def test_what_is_logged_is_the_same_after_a_restore(case):
    """The bytes depend on the frames alone, and not on which blocks are open."""
    play, length, lengths = case
    whole, resumed = (
        circular(play.of_frames, 1, replay_capacity=length * play.of_frames.num_envs, compress=True)
        for _ in range(2)
    )
    for num_steps in lengths:
        whole.add(play.block(num_steps))
    resumed.set_state(whole.get_state())
    assert resumed.metrics() == whole.metrics()
    for num_steps in lengths[:3]:
        block = play.block(num_steps)
        whole.add(block)
        resumed.add(block)
    assert resumed.metrics() == whole.metrics()


def of_atari(num_envs: int = 8) -> ReplaySpec:
    return spec(num_envs, (84, 84), np.uint8, stack_size=4)


def fill(replay: RingReplay, steps: int, draw: Callable[[tuple[int, ...]], np.ndarray]) -> None:
    """Plays `steps` steps with frames that `draw` makes."""
    num_envs = replay.ring.spec.num_envs
    no = np.zeros(num_envs, bool)
    actions, rewards = np.zeros(num_envs, np.int64), np.zeros(num_envs)
    for _ in range(steps):
        frames = draw((num_envs, 4, 84, 84))
        step = Transitions(frames, actions, rewards, no, no, frames)
        replay.add(Block.of([step], (frames, None), [None]))


def noise() -> Callable[[tuple[int, ...]], np.ndarray]:
    generator = np.random.default_rng(0)
    return lambda shape: generator.integers(0, 256, shape, np.uint8)


def test_frames_of_a_game_shrink_to_a_few_per_cent():
    environment = AtariEnvironment(game="Pong", num_envs=8, seed=0)
    observations, generator = environment.reset(), np.random.default_rng(0)
    replay = circular(of_atari(), 0, replay_capacity=4_000, compress=True)
    for _ in range(500):
        actions = generator.integers(6, size=8)
        result = environment.step(actions)
        ends = result.terminated, result.truncated
        step = Transitions(observations, actions, result.rewards, *ends, result.next_observations)
        observations = result.observations
        replay.add(Block.of([step], (observations, None), [None]))
    environment.close()
    open_blocks = 8 * BLOCK * 84 * 84
    assert replay.metrics()["frames_bytes"] - open_blocks < 0.02 * 4_000 * 84 * 84


def test_noise_takes_no_more_than_it_does_uncompressed():
    replay = circular(of_atari(1), 0, replay_capacity=800, compress=True)
    fill(replay, 2_000, noise())
    assert replay.metrics()["frames_bytes"] < 1.02 * 800 * 84 * 84


def test_noise_that_would_not_fit_into_memory_is_refused_before_it_fills_it():
    """Once it is seen how little frames shrink: the estimate before the first one is lower."""
    capacity = 5 * available_memory() // (84 * 84)
    replay = circular(of_atari(), 0, replay_capacity=capacity, compress=True)
    assert replay.memory_bytes < available_memory()
    with pytest.raises(
        UserError,
        match=r"^The rest of the replay buffer, whose frames take 100% of their plain size, needs .*"
        r": begin a run with a lower CircularReplay\.replay_capacity\.$",
    ):
        fill(replay, 2_000, noise())
    assert len(replay) * 84 * 84 < 100e6


def test_what_a_million_atari_frames_are_expected_to_take():
    replays = [
        build(of_atari(), 0, replay_capacity=1_000_000, compress=True)
        for build in (circular, prioritized)
    ]
    assert all(0.7e9 < replay.memory_bytes < 0.8e9 for replay in replays)
    vectors = [
        circular(spec(1, (4,)), 0, replay_capacity=10**8, compress=compress)
        for compress in (False, True)
    ]
    assert vectors[0].memory_bytes < vectors[1].memory_bytes  # such numbers do not shrink


def test_compression_is_a_remedy_where_memory_is_short():
    replay = circular(of_atari(), 0, replay_capacity=10**12)
    with pytest.raises(
        UserError,
        match=r"lower CircularReplay\.replay_capacity, or set CircularReplay\.compress = True\.$",
    ):
        fill(replay, 1, noise())
    replay = circular(of_atari(), 0, replay_capacity=10**12, compress=True)
    with pytest.raises(UserError, match=r"lower CircularReplay\.replay_capacity\.$"):
        fill(replay, 1, noise())


def test_the_bytes_that_are_counted_are_those_that_are_taken():
    """Often wrong: what the compressor returns takes as much memory as what it was given."""
    tracemalloc.start()
    compressed = CompressedFrames(20_000, 1, (84, 84), np.dtype(np.uint8), "Replay")
    for start in range(0, 20_000, 100):
        at = np.arange(start, start + 100)
        compressed[at] = np.broadcast_to(at[:, None, None].astype(np.uint8), (100, 84, 84))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken == pytest.approx(compressed.nbytes, rel=0.1)
    assert taken < 0.01 * 20_000 * 84 * 84


def test_sampling_holds_one_block_beside_the_sample():
    replay = circular(of_atari(), 0, replay_capacity=20_000, compress=True)
    fill(replay, 1_000, lambda shape: np.ones(shape, np.uint8))
    replay.sample(1, 32)
    tracemalloc.start()
    sample = replay.sample(8, 32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * sample.frames.nbytes


def test_it_is_described_and_checked():
    for build in KINDS:
        plain, compressed = (
            build(of_atari(), 0, replay_capacity=1_000, compress=compress)
            for compress in (False, True)
        )
        assert compressed.describe() == plain.describe() | {"compress": True}
        with pytest.raises(UserError, match=r"\.compress is 1: give True or False"):
            build(of_atari(), 0, replay_capacity=1_000, compress=1)
