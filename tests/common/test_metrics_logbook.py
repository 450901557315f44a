"""Logs: what is in them; a run that is killed and resumed leaves those of one that is not."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.util import tensor_util

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.iteration_statistics import EpisodeRecord
from dopamine_lite.common.metrics import logbook as module
from dopamine_lite.common.metrics.logbook import Logbook, read_iterations

ROOT = Path(__file__).parents[2]
LINES = ("iterations.jsonl", "episodes.jsonl")


def events(directory: Path) -> list[tuple[int, str, list]]:
    """(step, tag, values) of every point in the order TensorBoard reads them."""
    found = []
    for path in sorted(directory.glob("*tfevents*")):
        loaded = list(LegacyEventFileLoader(str(path)).Load())
        assert loaded[0].file_version == "brain.Event:2"
        for event in loaded[1:]:
            for value in event.summary.value:
                array = tensor_util.make_ndarray(value.tensor)
                found.append((event.step, value.tag, array.tolist()))
    return found


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


def log(logbook: Logbook, tick: int) -> None:
    """What a run logs at one point in time: it depends on `tick` alone."""
    generator = np.random.default_rng(tick)
    records = [
        EpisodeRecord(float(generator.normal()), int(generator.integers(500)), stream)
        for stream in range(generator.integers(3))
    ]
    logbook.episodes(tick // 5, "train", 10 * tick, records)
    logbook.scalars(10 * tick, {"train/loss": float(generator.normal()), "train/epsilon": 0.1})
    if tick % 5 == 4:
        logbook.histograms(10 * tick, {"train/q_values": generator.normal(size=(20, 2))})
        logbook.iteration({"iteration": tick // 5, "train": {"loss": 1 / (tick + 1)}})


def kill(logbook: Logbook) -> None:
    """Ends the one who logs as SIGKILL would: what is still buffered never reaches the files."""
    with open(os.devnull, "wb") as nowhere:
        for file in logbook._open_files():
            os.dup2(nowhere.fileno(), file.fileno())


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes; a write that would is done in part, then refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# What is in the logs


def test_nothing_is_made_before_the_first_entry(tmp_path):
    logbook = Logbook(tmp_path / "run" / "logs")
    logbook.episodes(0, "train", 0, [])
    logbook.scalars(0, {})
    assert logbook.get_state() == {}
    logbook.close()
    assert list(tmp_path.iterdir()) == []


def test_lines(tmp_path):
    logbook = Logbook(tmp_path)
    logbook.iteration({"iteration": 0, "train": {"average_return": 0.1, "loss": None}})
    logbook.episodes(0, "eval", 200, [EpisodeRecord(-21.0, 900, 1), EpisodeRecord(1 / 3, 7, 0)])
    logbook.close()
    assert (tmp_path / "iterations.jsonl").read_bytes() == (
        b'{"iteration": 0, "train": {"average_return": 0.1, "loss": null}}\n'
    )
    assert (tmp_path / "episodes.jsonl").read_bytes() == (
        b'{"iteration": 0, "phase": "eval", "agent_steps": 200, "stream": 1, "return": -21.0, '
        b'"length": 900}\n'
        b'{"iteration": 0, "phase": "eval", "agent_steps": 200, "stream": 0, '
        b'"return": 0.3333333333333333, "length": 7}\n'
    )


def test_a_state_is_on_the_disk(tmp_path, monkeypatch):
    """Else a power cut leaves files shorter than the checkpoint says."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    synced, fsync = set(), os.fsync

    def recorded(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    logbook = Logbook(tmp_path)
    log(logbook, 4)
    state = logbook.get_state()
    logbook.close()
    assert len(state) == 3
    assert {str(tmp_path), *(str(tmp_path / name) for name in state)} <= synced


def test_numbers_that_json_does_not_have_are_null_and_numpys_are_plain(tmp_path):
    logbook = Logbook(tmp_path)
    logbook.iteration(
        {
            "a": math.nan,
            "b": {"c": -math.inf, "d": [np.float32(0.5), np.float64("inf")]},
            "e": np.int64(3),
        }
    )
    logbook.close()
    line = (tmp_path / "iterations.jsonl").read_text()
    assert line == '{"a": null, "b": {"c": null, "d": [0.5, null]}, "e": 3}\n'


def test_tensorboard_reads_the_events(tmp_path):
    logbook = Logbook(tmp_path)
    logbook.scalars(1000, {"train/loss": 0.25, "train/epsilon": 1})
    logbook.scalars(2000, {"train/loss": np.float64(-3.5)})
    logbook.histograms(2000, {"train/q_values": np.array([[0.0, 1.0], [1.0, np.nan]])})
    logbook.histograms(2000, {"train/nothing": np.array([np.inf]), "train/empty": np.zeros(0)})
    logbook.close()
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    accumulator.Reload()
    assert set(accumulator.Tags()["tensors"]) == {"train/loss", "train/epsilon", "train/q_values"}
    points = [
        (event.step, tensor_util.make_ndarray(event.tensor_proto).item())
        for event in accumulator.Tensors("train/loss")
    ]
    assert points == [(1000, 0.25), (2000, -3.5)]
    (slice_,) = accumulator.Tensors("train/q_values")
    buckets = tensor_util.make_ndarray(slice_.tensor_proto)  # [bucket, (left, right, count)]
    assert (slice_.step, buckets[0, 0], buckets[-1, 1]) == (2000, 0.0, 1.0)
    assert (buckets[0, 2], buckets[-1, 2], buckets[:, 2].sum()) == (1, 2, 3)
    metadata = accumulator.SummaryMetadata("train/q_values")
    assert metadata.plugin_data.plugin_name == "histograms"


def test_events_name_no_machine_and_need_no_tensorflow(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from dopamine_lite.common.metrics.logbook import Logbook\n"
        "assert 'tensorboard' not in sys.modules  # reading logs is quick\n"
        "logbook = Logbook(pathlib.Path(sys.argv[1]))\n"
        "logbook.scalars(1, {'loss': 1.0})\n"
        "logbook.close()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT)
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(".dopamine_lite")
    assert os.uname().nodename.encode() not in path.name.encode() + path.read_bytes()


def test_entries_reach_the_disk_after_some_seconds(tmp_path, monkeypatch):
    logbook = Logbook(tmp_path)
    log(logbook, 1)
    assert not any(path.stat().st_size for path in tmp_path.iterdir())
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_FLUSHES", 0)
    log(logbook, 2)
    assert {step for step, _, _ in events(tmp_path)} == {10, 20}
    steps = [
        json.loads(line)["agent_steps"]
        for line in (tmp_path / "episodes.jsonl").read_text().splitlines()
    ]
    assert steps
    assert set(steps) <= {10, 20}


# Cut and continued


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_and_resumed_run_leaves_the_logs_of_one_never_stopped(tmp_path, seed):
    ticks, between = 40, 7  # a checkpoint every seventh tick
    whole = Logbook(tmp_path / "whole", report=fail)
    for tick in range(ticks):
        log(whole, tick)
    whole.close()

    directory, saved = tmp_path / "killed", tmp_path / "checkpoint.json"
    generator = random.Random(seed)

    def run(until: int) -> None:
        checkpoint = json.loads(saved.read_text()) if saved.exists() else {"tick": 0, "logs": {}}
        logbook = Logbook(directory, report=fail)
        logbook.set_state(checkpoint["logs"])
        for tick in range(checkpoint["tick"], until):
            log(logbook, tick)
            if generator.random() < 0.3:
                logbook._flush()  # as time would
            if (tick + 1) % between == 0:
                saved.write_text(json.dumps({"tick": tick + 1, "logs": logbook.get_state()}))
        if until == ticks:
            logbook.close()
            return
        kill(logbook)
        for path in directory.iterdir():  # a buffer that the system took in part
            path.write_bytes(path.read_bytes() + b'{"part of')

    for until in [*generator.sample(range(2, ticks), 4), ticks]:
        run(until)
    for name in LINES:
        assert (directory / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert events(directory) == events(tmp_path / "whole")
    assert len(events(directory)) == 2 * ticks + ticks // 5


def test_equal_runs_leave_equal_lines_whatever_the_hash_seed(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from dopamine_lite.common.iteration_statistics import IterationStatistics\n"
        "from dopamine_lite.common.metrics.logbook import Logbook\n"
        "statistics = IterationStatistics()\n"
        "statistics.log({'loss': 0.1, 'epsilon': 0.2, 'q_mean': 0.3})\n"
        "logbook = Logbook(pathlib.Path(sys.argv[1]))\n"
        "logbook.iteration({'iteration': 0, 'train': statistics.summary()})\n"
        "logbook.close()\n"
    )
    lines = set()
    for seed in ("1", "2"):
        variables = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program, str(tmp_path / seed)]
        subprocess.run(command, check=True, cwd=ROOT, env=variables)
        lines.add((tmp_path / seed / "iterations.jsonl").read_bytes())
    assert len(lines) == 1


def test_a_run_killed_before_its_first_checkpoint_begins_with_empty_logs(tmp_path):
    logbook = Logbook(tmp_path)
    for tick in range(5):
        log(logbook, tick)
    logbook._flush()
    kill(logbook)
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / "notes.txt").write_text("mine")
    Logbook(tmp_path).set_state({})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_event_files_are_in_order_and_no_name_is_used_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "time", lambda: 1_000_000_000.0)  # a clock that stands still
    names = []
    logbook = Logbook(tmp_path)
    logbook.scalars(1, {"loss": 1.0})
    state = logbook.get_state()
    for _ in range(3):
        logbook.scalars(2, {"loss": 2.0})
        names += sorted(path.name for path in tmp_path.iterdir())[-1:]
        logbook.close()
        logbook = Logbook(tmp_path)
        logbook.set_state(state)
    assert names[0] < names[1] < names[2]
    assert events(tmp_path) == [(1, "loss", 1.0)]


@pytest.mark.parametrize("name", LINES)
def test_a_log_that_is_too_short_is_told_and_goes_on_with_a_whole_line(tmp_path, name):
    logbook = Logbook(tmp_path)
    for tick in range(20):
        log(logbook, tick)
    state = logbook.get_state()
    logbook.close()
    path = tmp_path / name
    os.truncate(path, path.stat().st_size - 5)
    complete = path.read_bytes().count(b"\n")
    told: list[str] = []
    logbook = Logbook(tmp_path, report=told.append)
    logbook.set_state(state)
    for tick in range(20, 30):
        log(logbook, tick)
    logbook.close()
    (sentence,) = told
    assert sentence.startswith(f"{path} has ")
    assert f"instead of {state[name]:,}: " in sentence
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) > complete


def test_a_log_that_is_missing_is_told(tmp_path):
    logbook = Logbook(tmp_path)
    log(logbook, 4)
    state = logbook.get_state()
    logbook.close()
    for path in tmp_path.iterdir():
        path.unlink()
    told: list[str] = []
    logbook = Logbook(tmp_path, report=told.append)
    logbook.set_state(state)
    assert [sentence.partition(" is missing: ")[0] for sentence in told] == [
        str(tmp_path / name) for name in sorted(state)
    ]
    log(logbook, 9)
    logbook.close()
    assert {step for step, _, _ in events(tmp_path)} == {90}


# A full disk


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_oserror(tmp_path):
    (tmp_path / "iterations.jsonl").symlink_to("/dev/full")
    logbook = Logbook(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        logbook.iteration({"iteration": 0})
    with pytest.raises(OSError, match="No space left"):
        logbook.get_state()
    with pytest.raises(OSError, match="No space left"):
        logbook.close()


def test_what_a_full_disk_leaves_is_cut_at_the_resume(tmp_path):
    logs = tmp_path / "logs"
    logbook = Logbook(logs)
    for tick in range(5):
        log(logbook, tick)
    state = logbook.get_state()

    def go_on() -> None:
        for tick in range(5, 100):
            log(logbook, tick)
            logbook._flush()

    with disk_of(5000), pytest.raises(OSError, match="File too large"):
        go_on()
    kill(logbook)
    assert max(path.stat().st_size for path in logs.iterdir()) == 5000

    logbook = Logbook(logs, report=fail)
    logbook.set_state(state)
    whole = Logbook(tmp_path / "whole")
    for tick in range(60):
        log(whole, tick)
        if tick >= 5:
            log(logbook, tick)
    whole.close()
    logbook.close()
    for name in LINES:
        assert (logs / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert events(logs) == events(tmp_path / "whole")


# Reading


def test_reading_leaves_out_a_line_half_written(tmp_path):
    assert read_iterations(tmp_path) == []
    logbook = Logbook(tmp_path / "logs")
    for number in range(3):
        logbook.iteration({"iteration": number})
    path = tmp_path / "logs" / "iterations.jsonl"
    os.truncate(path, path.stat().st_size - 1)
    assert read_iterations(tmp_path) == [{"iteration": 0}, {"iteration": 1}]


def test_reading_names_a_damaged_line(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "iterations.jsonl").write_bytes(b'{"a": 1}\n\x00\x00\n{"a": 2}\n')
    with pytest.raises(UserError, match=r"Line 2 of .*iterations\.jsonl"):
        read_iterations(tmp_path)
