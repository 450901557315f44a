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
from dopamine_lite.reporting import logbook as module
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.reporting.logbook import Logbook

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
        EpisodeRecord(float(generator.normal()), int(generator.integers(500)), index)
        for index in range(generator.integers(3))
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
        "from dopamine_lite.reporting.logbook import Logbook\n"
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
        "from dopamine_lite.reporting.iteration_statistics import IterationStatistics\n"
        "from dopamine_lite.reporting.logbook import Logbook\n"
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


@pytest.fixture
def logged(tmp_path):
    """A directory of logs and their state, and more lines than the state knows."""
    logbook = Logbook(tmp_path)
    for tick in range(20):
        log(logbook, tick)
    state = logbook.get_state()
    for tick in range(20, 25):
        log(logbook, tick)
    logbook.close()
    return tmp_path, state


def cut_in_a_line(path: Path, size: int) -> str:
    os.truncate(path, size - 5)
    line = path.read_bytes().count(b"\n") + 1
    return f"it ends in the middle of line {line:,}, with {size - 5:,} bytes instead of {size:,}"


def cut_at_a_line(path: Path, size: int) -> str:
    lines = path.read_bytes()[:size].splitlines(keepends=True)[:-1]
    path.write_bytes(b"".join(lines))
    return f"it ends after line {len(lines):,}, with {sum(map(len, lines)):,} bytes"


def flip_a_bit(path: Path, size: int) -> str:
    content = bytearray(path.read_bytes())
    content[size // 2] ^= 1
    path.write_bytes(content)
    return (
        f"its first {bytes(content[:size]).count(10):,} lines are not the lines that the run logged"
    )


def of_another_run(path: Path, size: int) -> str:
    path.write_bytes(path.read_bytes().replace(b'"train"', b'"eval!"'))
    return "lines are not the lines that the run logged"


@pytest.mark.parametrize("harm", [cut_in_a_line, cut_at_a_line, flip_a_bit, of_another_run])
@pytest.mark.parametrize("name", LINES)
def test_lines_that_are_not_those_that_were_logged_are_refused(logged, name, harm):
    directory, state = logged
    expected = harm(directory / name, state[name]["size"])
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(UserError) as caught:
        Logbook(directory, report=fail).set_state(state)
    assert str(caught.value).startswith(f"{directory / name} is not the log that its checkpoint")
    assert expected in str(caught.value)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before

    (directory / name).rename(directory / f"old-{name}")  # as the sentence advises
    told: list[str] = []
    logbook = Logbook(directory, report=told.append)
    logbook.set_state(state)
    log(logbook, 24)
    logbook.close()
    (sentence,) = told
    assert sentence.startswith(f"{directory / name} is missing, so its entries are lost")
    Logbook(directory, report=fail).set_state(logbook.get_state())


@pytest.mark.parametrize("name", LINES)
def test_a_state_of_sizes_only_is_one_of_an_earlier_version(logged, name):
    directory, state = logged
    sizes = {
        log: saved if isinstance(saved, int) else saved["size"] for log, saved in state.items()
    }
    logbook = Logbook(directory, report=fail)
    logbook.set_state(sizes)
    assert logbook.get_state() == state
    os.truncate(directory / name, sizes[name] - 1)
    with pytest.raises(UserError, match="in the middle of line"):
        Logbook(directory).set_state(sizes)


@pytest.mark.parametrize("saved", ["100", -1, 1.0, True, None, [], {"size": 3}, {"sha256": "0"}])
def test_a_state_that_is_none(logged, saved):
    directory, state = logged
    with pytest.raises(UserError, match="record of a log is damaged"):
        Logbook(directory).set_state(state | {"episodes.jsonl": saved})


def test_events_that_were_cut_are_told(logged):
    directory, state = logged
    (path,) = directory.glob("events*")
    os.truncate(path, state[path.name] - 5)
    told: list[str] = []
    Logbook(directory, report=told.append).set_state(state)
    (sentence,) = told
    assert sentence.startswith(f"{path} has {state[path.name] - 5:,} bytes instead of")


def test_backups_by_hard_links_keep_what_they_have(logged, tmp_path_factory):
    directory, state = logged
    backup = tmp_path_factory.mktemp("backup")
    for path in directory.iterdir():
        os.link(path, backup / path.name)
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    logbook = Logbook(directory, report=fail)
    logbook.set_state(state)
    for tick in range(20, 30):
        log(logbook, tick)
    logbook.close()
    assert {path.name: path.read_bytes() for path in backup.iterdir()} == before
    for name in LINES:
        assert (directory / name).read_bytes().startswith(before[name])
    assert not list(directory.glob(".*"))


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "directory"])
@pytest.mark.parametrize("name", [*LINES, "events"])
def test_what_is_no_file_is_neither_written_nor_cut(logged, tmp_path_factory, kind, name):
    directory, state = logged
    (path,) = directory.glob(f"{name}*")
    target = tmp_path_factory.mktemp("outside") / "target"
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(target)
    if kind == "link":
        target.write_bytes(content)
    for known in (state, {}):
        with pytest.raises(UserError, match=f"{path} is a .*, but has to be a regular file"):
            Logbook(directory).set_state(known)
    if name != "events":
        with pytest.raises((UserError, OSError)):
            log(Logbook(directory), 4)
    assert target.exists() == (kind == "link")
    if kind == "link":
        assert target.read_bytes() == content


def test_a_directory_of_logs_that_is_a_link_or_a_file(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="link is a link, and inside a run's directory nothing is"):
        Logbook(tmp_path / "link")
    with pytest.raises(UserError, match="file is a file, but has to be a directory"):
        Logbook(tmp_path / "file")
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")  # the run as a whole may be elsewhere
    logbook = Logbook(tmp_path / "run" / "logs")
    log(logbook, 4)
    logbook.close()
    assert len(list((tmp_path / "elsewhere" / "logs").iterdir())) == 3


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
    assert [sentence.partition(" is missing, so ")[0] for sentence in told] == [
        str(tmp_path / name) for name in sorted(state)
    ]
    log(logbook, 9)
    logbook.close()
    assert {step for step, _, _ in events(tmp_path)} == {90}


# A full disk


def test_a_full_disk_is_an_oserror(tmp_path):
    logbook = Logbook(tmp_path)
    with disk_of(0):
        with pytest.raises(OSError, match="File too large"):
            logbook.iteration({"iteration": 0})
        with pytest.raises(OSError, match="File too large"):
            logbook.get_state()
        with pytest.raises(OSError, match="File too large"):
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


ITERATION = {"iteration": 0, "agent_steps": 200, "train": {"average_return": 1.5, "loss": None}}
EPISODE = {
    **{"iteration": 0, "phase": "train", "agent_steps": 9, "stream": 0},
    **{"return": -1.0, "length": 9},
}


def test_reading_tells_of_a_line_cut_in_the_middle(tmp_path):
    assert read_iterations(tmp_path) == []
    logbook = Logbook(tmp_path / "logs")
    for number in range(3):
        logbook.iteration(ITERATION | {"iteration": number})
    path = tmp_path / "logs" / "iterations.jsonl"
    os.truncate(path, path.stat().st_size - 1)
    told: list[str] = []
    assert read_iterations(tmp_path, told.append) == [ITERATION, ITERATION | {"iteration": 1}]
    (sentence,) = told
    assert sentence.startswith(f"Line 3 of {path} is incomplete, because ")


WRONG = [
    *(b"\0\0\0", b"{", b"\xff", b"", b"null", b"3", b'"text"', b"[]", b"[" * 10**5, b"9" * 5000),
    *(b'{"iteration": NaN}', b"{}", b"[{}]"),
]


@pytest.mark.parametrize("line", WRONG)
@pytest.mark.parametrize(
    ("name", "read", "right"),
    [("iterations", read_iterations, ITERATION), ("episodes", read_episodes, EPISODE)],
)
def test_reading_names_a_damaged_line(tmp_path, name, read, right, line):
    path = tmp_path / "logs" / f"{name}.jsonl"
    path.parent.mkdir()
    whole = json.dumps(right).encode()
    path.write_bytes(b"\n".join([whole, line, whole, b""]))
    with pytest.raises(UserError, match=rf"^Line 2 of {path} is damaged \("):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "read", "right"),
    [("iterations", read_iterations, ITERATION), ("episodes", read_episodes, EPISODE)],
)
def test_reading_names_a_line_of_another_shape(tmp_path, name, read, right):
    path = tmp_path / "logs" / f"{name}.jsonl"
    path.parent.mkdir()
    wrong = [{k: v for k, v in right.items() if k != key} for key in right]
    for key in ("iteration", "agent_steps", "stream", "length"):
        wrong += [right | {key: value} for value in ("1", [], {}, True, 10**30, -1, 0.5, None)]
    wrong += [right | {key: value} for key in ("phase", "train") for value in (1, None, [], True)]
    wrong += [right | {"return": value} for value in ("1", [], {}, True, 10**30)]
    for record in wrong:
        if not record.keys() <= right.keys():
            continue  # a key of the other kind of line
        path.write_text(f"{json.dumps(right)}\n{json.dumps(record)}\n")
        with pytest.raises(UserError, match=rf"^Line 2 of {path} is damaged \("):
            read(tmp_path)
    path.write_text(f"{json.dumps(right)}\n{json.dumps(right | {'more': [None]})}\n")
    assert read(tmp_path) == [right, right | {"more": [None]}]


@pytest.mark.parametrize("section", ["train", "eval", "time"])
@pytest.mark.parametrize("value", ["1", [], {}, True, 10**400])
def test_numbers_of_an_iteration_are_numbers(tmp_path, section, value):
    path = tmp_path / "logs" / "iterations.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(ITERATION | {section: {"average_return": value}}) + "\n")
    with pytest.raises(UserError, match="^Line 1 of "):
        read_iterations(tmp_path)


@pytest.mark.parametrize("parts", [[], 1, {"act": "1"}, {"act": None}, {"act": -1.0}, {"act": {}}])
def test_parts_of_the_time_are_numbers_of_seconds(tmp_path, parts):
    path = tmp_path / "logs" / "iterations.jsonl"
    path.parent.mkdir()
    right = ITERATION | {"time": {"train_seconds": 1.0, "parts": {"act": 0.5, "log": 0}}}
    wrong = ITERATION | {"time": {"train_seconds": 1.0, "parts": parts}}
    path.write_text(json.dumps(right) + "\n")
    assert read_iterations(tmp_path) == [right]
    path.write_text(json.dumps(wrong) + "\n")
    with pytest.raises(UserError, match="^Line 1 of "):
        read_iterations(tmp_path)


def test_logs_that_are_no_files_have_a_sentence(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(UserError, match="logs is a file, but has to be a directory"):
        read_episodes(tmp_path)
    (tmp_path / "logs").unlink()
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "episodes.jsonl")
    with pytest.raises(UserError, match="is a named pipe, but has to be a regular file"):
        read_episodes(tmp_path)
