"""What a person sees of a run: lines against expected text, the bar on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dopamine_lite.reporting import console as module
from dopamine_lite.reporting.console import (
    Console,
    LineConsole,
    RichConsole,
    make_console,
)


class Clock:
    """Seconds that pass when they are told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


@pytest.fixture
def lines(clock) -> tuple[LineConsole, io.StringIO]:
    stream = io.StringIO()
    return LineConsole(stream), stream


def record(iteration: int, agent_steps: int, **changes: Any) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "agent_steps": agent_steps,
        "train": {"episodes": 12, "average_return": 21.375},
        "eval": {"episodes": 1, "average_return": -3.0},
        "time": {"train_seconds": 10.0, "eval_seconds": 50.0, "train_steps_per_second": 99.6},
    } | changes


def train(console: Console, clock: Clock, begin: int, steps: int, speed: float, **values: float):
    """Takes `steps` steps at `speed`, telling the console every tenth of them."""
    for tenth in range(1, 11):
        clock.now += steps / speed / 10
        console.progress("train", 0, begin + steps * tenth // 10, values)


# Lines


def test_a_line_an_iteration_and_nothing_else_within_a_minute(lines, clock):
    console, stream = lines
    with console:
        console.start(100_000, 0)
        train(console, clock, 0, 1000, speed=100, loss=0.5)
        console.iteration(record(0, 1000))
    assert stream.getvalue() == (
        "iteration 1: 1,000 of 100,000 steps, train return 21.38 (12 episodes), "
        "eval return -3.00 (1 episode), 100 steps/s, 1h39m left\n"
    )


def test_a_line_a_minute_within_a_long_iteration(lines, clock):
    console, stream = lines
    console.start(1_000_000, 0)
    values = {"loss": 0.012345, "epsilon": 0.5, "q_mean": 1.5, "return": 7}
    train(console, clock, 0, 13_000, speed=100, **values)
    assert stream.getvalue().splitlines() == [
        f"train 1: {steps} of 1,000,000 steps, 100 steps/s, {left} left, "
        "return 7.00, loss 0.0123, epsilon 0.5, q_mean 1.5"
        for steps, left in [("6,500", "2h45m"), ("13,000", "2h44m")]
    ]


def test_an_iteration_without_whole_episodes_or_evaluation(lines):
    console, stream = lines
    console.start(10, 0)
    nothing = {"episodes": 0, "average_return": None}
    time = {"eval_seconds": 0.0, "train_steps_per_second": 5.0}
    console.iteration({"iteration": 0, "agent_steps": 10, "train": nothing, "time": time})
    assert stream.getvalue() == ("iteration 1: 10 of 10 steps, no whole train episode, 5 steps/s\n")


def test_the_speed_is_of_the_recent_past_without_resumed_steps_and_evaluations(lines, clock):
    console, _ = lines
    console.start(1_000_000, 500_000)
    assert console._pace.speed() == []
    train(console, clock, 500_000, 10_000, speed=1000)
    assert console._pace.speed() == ["1,000 steps/s"]
    train(console, clock, 510_000, 10_000, speed=100)  # slower for longer than is looked back
    assert console._pace.speed() == ["100 steps/s"]
    for _ in range(10):
        clock.now += 5
        console.progress("eval", 0, 520_000, {})
        assert console._pace.speed() == []
    console.iteration(record(0, 520_000))
    clock.now += 1
    console.progress("train", 1, 520_200, {})
    assert console._pace.speed() == ["200 steps/s"]


def test_the_time_left_counts_evaluations(lines, clock):
    console, _ = lines
    console.start(10_000, 0)
    train(console, clock, 0, 1000, speed=100)
    assert console._pace.left() == ["1m30s left"]  # 9,000 steps; no evaluation is known yet
    clock.now += 50
    console.iteration(record(0, 1000))
    assert console._pace.left() == ["9m00s left"]  # and 9 of 50 s
    train(console, clock, 1000, 1000, speed=100)
    assert console._pace.left() == [
        "8m00s left"
    ]  # after this iteration's training: 80 s + 8 x 50 s
    console.progress("eval", 1, 2000, {})
    assert console._pace.left() == ["8m50s left"]  # its evaluation has just begun
    clock.now += 20
    console.progress("eval", 1, 2000, {})
    assert console._pace.left() == ["8m30s left"]
    clock.now += 1000  # longer than the last one
    assert console._pace.left() == ["8m00s left"]


def test_a_run_at_its_end_has_no_time_left(lines, clock):
    console, _ = lines
    console.start(1000, 0)
    train(console, clock, 0, 1008, speed=100)  # 1,000 does not divide by the number of environments
    assert console._pace.left() == ["0s left"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59.6, "1m00s"), (725, "12m05s"), (3600, "1h00m"), (148_020, "1d17h")],
)
def test_durations(seconds, words):
    assert module.duration(seconds) == words


# A bar


class Terminal:
    """A pseudo-terminal and what appears on it."""

    _MARK = "<read to here>"

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.stream = open(slave, "w", encoding="utf-8")  # noqa: SIM115 (see `close`)

    def text(self) -> str:
        """What has been written since the last call; what was overwritten is in it too."""
        print(end=self._MARK, file=self.stream, flush=True)
        read = b""
        while not read.endswith(self._MARK.encode()):
            read += os.read(self._master, 4096)
        written = read.decode().removesuffix(self._MARK).replace("\r\n", "\n")
        in_lines = re.sub(r"(\r|\x1b\[1A|\x1b\[2K)+", "\n", written)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", in_lines)

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            self.hang_up()
        with contextlib.suppress(OSError):
            self.stream.close()


@pytest.fixture
def terminal(monkeypatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.closing(Terminal()) as terminal:
        yield terminal


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_fits_into_the_terminal(terminal, clock, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    console = make_console(terminal.stream)
    assert isinstance(console, RichConsole)
    values = {"return": 1234.5, "loss": 0.01, "epsilon": 0.05, "eval": 1234.5}
    values |= {f"another metric {number}": 0.5 for number in range(5)}
    with console:
        console.start(50_000_000, 30_000_000)
        terminal.text()
        train(console, clock, 30_000_000, 20_000, speed=300, **values)
        shown = terminal.text().splitlines()
    bar, numbers = shown[-2:]
    assert bar.startswith("train 1 ━")
    assert bar.endswith("30,020,000 of 50,000,000  300 steps/s  18h30m left")
    assert numbers.split("  ")[:4] == [
        "return 1,234.50",
        "eval 1,234.50",
        "loss 0.01",
        "epsilon 0.05",
    ]
    assert ("another metric 1 0.5" in numbers) == (width == 120)
    assert all(len(line) <= width for line in shown)


def test_the_iterations_are_a_table_above_the_bar(terminal, clock):
    console = make_console(terminal.stream)
    with console:
        console.start(4000, 0)
        console.iteration(record(0, 1000))
        train = {"episodes": 12, "average_return": 21.375, "cut_episodes": 8}
        console.iteration(
            record(1, 2000, train=train, eval={"episodes": 0, "average_return": None})
        )
        console.say("A sentence [with brackets] and :smile:.")
    shown = terminal.text()
    header = "iteration  agent steps train return episodes   cut eval return episodes steps/s"
    assert shown.count(header) == 1
    for row in (
        "        1        1,000        21.38       12     -       -3.00        1     100\n",
        "        2        2,000        21.38       12     8           -        0     100\n",
        "A sentence [with brackets] and :smile:.\n",
    ):
        assert row in shown
    assert "2,000 of 4,000" in shown.splitlines()[-2]  # the bar stays
    assert "eval -3.00" in shown.splitlines()[-1]


def test_the_bar_is_drawn_a_few_times_a_second(terminal, clock):
    console = make_console(terminal.stream)
    with console:
        console.start(1_000_000, 0)
        terminal.text()
        drawn = []
        for step in range(1, 1001):  # in one second
            clock.now += 0.001
            console.progress("train", 0, step, {})
            drawn.append(console._refreshed)
    assert len(set(drawn)) <= 5


def test_a_terminal_that_hangs_up_does_not_end_the_run(terminal, clock):
    console = make_console(terminal.stream)
    with console:
        console.start(1000, 0)
        terminal.hang_up()
        train(console, clock, 0, 1000, speed=100)
        console.iteration(record(0, 1000))
        console.say("anyone?")


# Which console


def test_a_stream_that_is_no_terminal_gets_lines(monkeypatch, terminal):
    assert type(make_console(io.StringIO())) is LineConsole
    monkeypatch.setenv("TERM", "dumb")
    assert type(make_console(terminal.stream)) is LineConsole


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def broken() -> io.TextIOWrapper:
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")


def full() -> io.TextIOWrapper:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    return open("/dev/full", "w", encoding="utf-8")


@pytest.mark.parametrize(
    "make", [closed, broken, full, lambda: None], ids=lambda make: make.__name__
)
def test_nobody_to_show_it_to_does_not_end_the_run(make, clock, monkeypatch):
    monkeypatch.setattr(module.sys, "stderr", None)  # what it is where descriptor 2 was closed
    stream = make()
    with make_console(stream) as console:
        assert type(console) is LineConsole
        console.say("hello")
        console.start(1000, 0)
        train(console, clock, 0, 1000, speed=1)
        console.iteration(record(0, 1000))
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()


def test_lines_have_no_control_codes(lines, clock):
    console, stream = lines
    with console:
        console.start(100_000, 0)
        train(console, clock, 0, 10_000, speed=100, loss=0.5)
        console.iteration(record(0, 1000))
    assert stream.getvalue().replace("\n", "").isprintable()
