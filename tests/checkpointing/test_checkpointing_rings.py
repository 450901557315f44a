"""Rings are saved in segments: only what is new is written, and every slot comes back."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.checkpointing.segments import read_segment, write_segment
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import RingSlots, Transitions
from dopamine_lite.replay.circular_replay import CircularReplay
from tests.replay import episodes

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where syncing costs nothing
BLOCK = 4  # slots of an environment in a block, at most


def content(index: int, slots: np.ndarray) -> dict[str, np.ndarray]:
    """What the slots of an environment hold: told by their numbers alone."""
    frames = (slots[:, None, None] * 7 + index * 31 + np.arange(6).reshape(2, 3)) % 251
    return {"frames": frames.astype(np.uint8), "rewards": (slots * 0.1 + index).astype(np.float32)}


class Ring:
    """A ring of `capacity` slots for each environment, which writes independently of the others."""

    def __init__(self, num_envs: int, capacity: int):
        self.stop = np.zeros(num_envs, np.int64)
        self.capacity = capacity
        blank = content(0, np.zeros(num_envs * capacity, np.int64))
        self.memory = {
            name: np.zeros((num_envs, capacity, *array.shape[1:]), array.dtype)
            for name, array in blank.items()
        }

    def add(self, *counts: int) -> None:
        for index, count in enumerate(counts):
            slots = np.arange(self.stop[index], self.stop[index] + count)
            for name, array in content(index, slots).items():
                for slot, value in zip(slots, array, strict=True):
                    self.memory[name][index, slot % self.capacity] = value
            self.stop[index] += count

    def slots(self) -> RingSlots:
        first, stop = np.maximum(self.stop - self.capacity, 0), self.stop.copy()

        def blocks(after: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
            start = np.maximum(after, first)
            while (start < stop).any():
                end = np.minimum(start + BLOCK, stop)
                block = {"start": start, "stop": end}
                for name, memory in self.memory.items():
                    parts = [
                        memory[index, np.arange(start[index], end[index]) % self.capacity]
                        for index in range(len(stop))
                    ]
                    block[name] = np.concatenate(parts)
                yield block
                start = end

        return RingSlots(first, stop, blocks)


def assert_holds(slots: RingSlots, ring: Ring, after: np.ndarray | None = None) -> None:
    """Fails unless `slots` shows just the slots of `ring` from `after` on, each once, in order."""
    first = np.maximum(ring.stop - ring.capacity, 0)
    assert slots.first.tolist() == first.tolist() and slots.first.dtype == np.int64
    assert slots.stop.tolist() == ring.stop.tolist() and slots.stop.dtype == np.int64
    reached = first if after is None else np.maximum(after, first)
    for block in slots.blocks(first if after is None else after):
        assert (block["start"] == reached).all()
        position = 0
        for index, (start, stop) in enumerate(zip(block["start"], block["stop"], strict=True)):
            for name, expected in content(index, np.arange(start, stop)).items():
                found = block[name][position : position + stop - start]
                assert found.dtype == expected.dtype and (found == expected).all()
            position += stop - start
        reached = block["stop"]
        assert all(len(block[name]) == position for name in ("frames", "rewards"))
    assert (reached == ring.stop).all()


def refill(ring: Ring, slots: RingSlots) -> None:
    for block in slots.blocks(slots.first):
        position = 0
        for index, (start, stop) in enumerate(zip(block["start"], block["stop"], strict=True)):
            for name, memory in ring.memory.items():
                new = block[name][position : position + stop - start]
                memory[index, np.arange(start, stop) % ring.capacity] = new
            position += stop - start
    ring.stop[:] = slots.stop


def segments(directory: Path, number: int) -> list[dict]:
    """The segments that a checkpoint refers to."""
    manifest = directory / f"checkpoint-{number:012d}" / "manifest.json"
    rings = json.loads(manifest.read_text())["rings"]
    return [segment for ring in rings.values() for segment in ring["segments"]]


def files(directory: Path) -> set[str]:
    """The segments there are, each of which has its copy."""
    there = {path.name for path in (directory / "replay").iterdir()}
    segments = {name for name in there if not name.endswith(".copy")}
    assert there == segments | {f"{name}.copy" for name in segments}
    return segments


@settings(deadline=None, max_examples=40)
@given(
    num_envs=st.sampled_from([1, 3]),
    keep=st.integers(1, 3),
    saves=st.lists(
        st.tuples(st.lists(st.integers(0, 14), min_size=3, max_size=3), st.booleans()),
        max_size=7,
    ),
)
def test_every_slot_comes_back(num_envs, keep, saves):
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        directory = Path(name)
        checkpointer = Checkpointer(directory, keep)
        ring = Ring(num_envs, capacity=10)
        for number, (counts, stopped) in enumerate(saves):
            ring.add(*counts[:num_envs])
            checkpointer.save(number, {"replay": ring.slots()})
            assert_holds(Checkpointer(directory).load(rings=True).state["replay"], ring)
            kept = checkpointer.numbers()
            assert kept == list(range(number + 1))[-keep:]
            needed = {
                segment["name"] for kept_one in kept for segment in segments(directory, kept_one)
            }
            assert needed == (files(directory) if needed else set())
            if stopped:  # and started again
                checkpointer.close()
                checkpointer = Checkpointer(directory, keep)
                restored = checkpointer.restore()
                assert digest(restored.state) == digest({"replay": ring.slots()})
                ring = Ring(num_envs, capacity=10)
                refill(ring, restored.state["replay"])
        checkpointer.close()


@pytest.mark.parametrize("num_envs", [1, 3])
def test_only_new_slots_are_written(tmp_path, num_envs):
    ring = Ring(num_envs, capacity=40)
    checkpointer = Checkpointer(tmp_path)
    ring.add(*[30] * num_envs)
    checkpointer.save(1, {"replay": ring.slots()})
    old = segments(tmp_path, 1)
    before = {name: (tmp_path / "replay" / name).stat() for name in files(tmp_path)}
    ring.add(*[5] * num_envs)
    checkpointer.save(2, {"replay": ring.slots()})
    new = segments(tmp_path, 2)
    assert new[: len(old)] == old
    assert [segment["start"] for segment in new[len(old) :]] == [[30] * num_envs, [34] * num_envs]
    assert new[-1]["stop"] == [35] * num_envs
    for name, stat in before.items():
        after = (tmp_path / "replay" / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_nothing_new_writes_no_segment(tmp_path):
    ring = Ring(1, capacity=10)
    ring.add(6)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, {"replay": ring.slots()})
    there = files(tmp_path)
    checkpointer.save(2, {"replay": ring.slots()})
    assert files(tmp_path) == there
    assert segments(tmp_path, 1) == segments(tmp_path, 2)


def test_overwritten_segments_drop_out(tmp_path):
    ring = Ring(3, capacity=10)
    checkpointer = Checkpointer(tmp_path, keep=1)
    for number in range(6):
        ring.add(4, 4, 2)
        checkpointer.save(number, {"replay": ring.slots()})
    # Written to (24, 24, 12), so that the first held slots are (14, 14, 2): the third environment
    # still needs what was written beside long overwritten slots of the first two.
    assert segments(tmp_path, 5)[0]["start"] == [4, 4, 2]
    assert_holds(checkpointer.load(rings=True).state["replay"], ring)
    ring.add(40, 40, 40)  # more than a whole turn since the last checkpoint
    checkpointer.save(6, {"replay": ring.slots()})
    assert {segment["name"].split("-")[1] for segment in segments(tmp_path, 6)} == {"000000000006"}
    assert_holds(checkpointer.load(rings=True).state["replay"], ring)


def test_blocks_can_be_asked_for_from_anywhere(tmp_path):
    ring = Ring(3, capacity=20)
    ring.add(33, 8, 20)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, {"replay": ring.slots()})
    slots = checkpointer.load(rings=True).state["replay"]
    for after in ([0, 0, 0], [15, 3, 19], [33, 8, 20], [20, 8, 0]):
        assert_holds(slots, ring, np.array(after))


def test_several_rings_in_one_tree(tmp_path):
    rings = {"a/b": Ring(1, 10), "a": Ring(3, 10), "empty": Ring(2, 10)}
    checkpointer = Checkpointer(tmp_path)
    for number in range(3):
        rings["a/b"].add(5)
        rings["a"].add(1, 2, 3)
        state = {
            "a/b": rings["a/b"].slots(),
            "a": {"b": [rings["a"].slots(), rings["empty"].slots()]},
        }
        checkpointer.save(number, state)
    checkpointer.close()
    restored = Checkpointer(tmp_path).restore().state
    assert_holds(restored["a/b"], rings["a/b"])
    assert_holds(restored["a"]["b"][0], rings["a"])
    assert list(restored["a"]["b"][1].blocks(np.zeros(2, np.int64))) == []
    assert digest(restored) == digest(state)


def test_a_ring_that_began_anew_is_written_whole(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    ring = Ring(1, capacity=10)
    ring.add(25)
    checkpointer.save(1, {"replay": ring.slots()})
    for number, other in enumerate([Ring(1, 10), Ring(2, 10)], 2):
        other.add(*[4] * len(other.stop))
        checkpointer.save(number, {"replay": other.slots()})
        assert_holds(checkpointer.load(rings=True).state["replay"], other)


@pytest.mark.parametrize("harm", ["removed", "shortened", "changed"])
def test_a_segment_that_got_lost_during_the_run_is_written_again(tmp_path, harm):
    ring = Ring(1, capacity=30)
    checkpointer = Checkpointer(tmp_path)
    ring.add(14)
    checkpointer.save(1, {"replay": ring.slots()})
    victim = tmp_path / "replay" / segments(tmp_path, 1)[1]["name"]
    content = victim.read_bytes()
    if harm == "removed":
        victim.unlink()
    elif harm == "shortened":
        victim.write_bytes(content[:-1])
    else:  # one bit, as a disk that grows old does
        victim.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    ring.add(2)
    checkpointer.save(2, {"replay": ring.slots()})
    assert victim.name not in {segment["name"] for segment in segments(tmp_path, 2)}
    assert segments(tmp_path, 2)[0] == segments(tmp_path, 1)[0]
    assert_holds(checkpointer.load(2, rings=True).state["replay"], ring)


def gap(blocks):
    next(blocks)
    yield from blocks


def short_array(blocks):
    for block in blocks:
        yield block | {"rewards": block["rewards"][1:]}


def early_end(blocks):
    yield next(blocks)


@pytest.mark.parametrize("harm", [gap, short_array, early_end])
def test_a_ring_that_does_not_show_every_slot_is_refused(tmp_path, harm):
    ring = Ring(1, capacity=10)
    checkpointer = Checkpointer(tmp_path)
    ring.add(3)
    checkpointer.save(1, {"replay": ring.slots()})
    there = files(tmp_path)
    ring.add(6)
    slots = ring.slots()
    wrong = RingSlots(slots.first, slots.stop, lambda after: harm(slots.blocks(after)))
    with pytest.raises(ValueError, match=r"state\['replay'\]: "):
        checkpointer.save(2, {"replay": wrong})
    assert files(tmp_path) == there and checkpointer.numbers() == [1]


def test_digest_sees_content_and_not_blocks():
    ring = Ring(3, capacity=12)
    ring.add(20, 7, 11)
    expected = digest(ring.slots())
    slots = ring.slots()
    held = [content(c, np.arange(slots.first[c], slots.stop[c])) for c in range(3)]
    block = {name: np.concatenate([each[name] for each in held]) for name in held[0]}
    block |= {"start": slots.first, "stop": slots.stop}
    assert digest(RingSlots(slots.first, slots.stop, lambda after: iter([block]))) == expected
    ring.memory["rewards"][1, 3] += 1
    assert digest(ring.slots()) != expected


def test_neither_saving_nor_reading_holds_the_ring_in_memory(tmp_path):
    slots, frame = 64, 1 << 20
    first, stop = np.zeros(1, np.int64), np.full(1, slots)

    def blocks(after):
        for slot in range(int(after[0]), slots):
            at = {"start": np.array([slot]), "stop": np.array([slot + 1])}
            yield at | {"frames": np.full((1, frame), slot, np.uint8)}

    checkpointer = Checkpointer(tmp_path)
    tracemalloc.start()
    checkpointer.save(1, {"replay": RingSlots(first, stop, blocks)})
    restored = checkpointer.restore().state["replay"]
    for block in restored.blocks(first):
        assert block["frames"][0, 0] == block["start"][0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * frame


def test_segments_that_vanish_while_they_are_read_have_a_sentence(tmp_path):
    ring = Ring(1, capacity=10)
    ring.add(9)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, {"replay": ring.slots()})
    slots = checkpointer.load(rings=True).state["replay"]
    victim = tmp_path / "replay" / segments(tmp_path, 1)[0]["name"]
    whole = victim.read_bytes()
    victim.with_name(f"{victim.name}.copy").unlink()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])  # in the checksum
    for harm in (whole[:-20], flipped, b"", b"nonsense that is no segment at all", None):
        if harm is None:
            victim.unlink()
        else:
            victim.write_bytes(harm)
        with pytest.raises(UserError, match="removed or changed"):
            list(slots.blocks(slots.first))


# Noise does not shrink: at some of these sizes a file's checksum lies across the end of the first
# 131,072 bytes, which are decompressed before the rest is read.
@pytest.mark.parametrize("size", range(130_980, 130_995))
def test_a_checksum_counts_wherever_it_lies(tmp_path, size):
    path = tmp_path / "segment.zst"
    noise = np.random.default_rng(0).integers(0, 256, (1, size), np.uint8)
    block = {"start": np.array([0]), "stop": np.array([1]), "noise": noise}
    segment = write_segment(path, block)
    assert (read_segment(path, segment)["noise"] == noise).all()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="changed"):
        read_segment(path, segment)


def circular_replay(seed: int) -> CircularReplay:
    frames = episodes.spec(3, (4,), stack_size=2, update_horizon=3)
    return CircularReplay(frames, np.random.default_rng(seed), replay_capacity=60)


def play(replay: CircularReplay, steps: range) -> None:
    for step in steps:
        draw = np.random.default_rng(step)
        frames = draw.standard_normal((2, 3, 2, 4)).astype(np.float32)
        ends = draw.random((2, 3)) < 0.1
        actions, rewards = draw.integers(5, size=3), draw.random(3)
        replay.add(episodes.block(Transitions(frames[0], actions, rewards, *ends, frames[1])))


def test_a_circular_replay_goes_on_from_a_checkpoint(tmp_path):
    replay, checkpointer = circular_replay(seed=1), Checkpointer(tmp_path)
    for number in range(5):
        play(replay, range(8 * number, 8 * number + 8))
        replay.sample(2, 4)
        checkpointer.save(number, {"replay": replay.get_state()})
    checkpointer.close()
    restored = Checkpointer(tmp_path).restore().state["replay"]
    other = circular_replay(seed=2)
    other.set_state(restored)
    assert digest(other.get_state()) == digest(replay.get_state()) == digest(restored)
    for one in (replay, other):
        play(one, range(40, 50))
    for ours, theirs in zip(other.sample(3, 8), replay.sample(3, 8), strict=True):
        np.testing.assert_array_equal(ours, theirs)
