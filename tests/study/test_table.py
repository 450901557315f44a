"""What a study shows: lines that anyone can read, a table at a terminal."""

from __future__ import annotations

import io
import time

import pytest

from dopamine_lite.runner.directory import Progress
from dopamine_lite.study.conduct import Running
from dopamine_lite.study.study import Trial, Variant
from dopamine_lite.study.table import Lines, LiveTable, make_view

RECORD = {"eval": {"average_return": 1234.5}, "time": {"train_steps_per_second": 2000.4}}


@pytest.fixture
def running() -> list[Running]:
    """One that has come half way in 100 seconds, and one that has only begun."""
    trials = [Trial(Variant("dqn", ("dqn.gin",), ()), seed, 10, 1000) for seed in (0, 1)]
    first = Running(trials[0], 0, time.monotonic() - 100, Progress(5, 10, 500, [RECORD], None), 500)
    return [first, Running(trials[1], 0)]


def test_the_time_left_is_at_the_pace_so_far(running):
    assert running[0].seconds_left() == pytest.approx(100, abs=1)
    assert running[1].seconds_left() is None
    resumed = Running(running[0].trial, 400, time.monotonic() - 10, steps=500)
    assert resumed.seconds_left() == pytest.approx(50, abs=1)


def test_lines(running, monkeypatch):
    stream = io.StringIO()
    view = make_view(stream)
    assert isinstance(view, Lines)
    view.say("dqn/seed=0: started\x1b[31m.")
    view.show(running, 3, 4)
    assert stream.getvalue() == "dqn/seed=0: started\\x1b[31m.\n"
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    view.show(running, 3, 4)
    _, line = stream.getvalue().splitlines()
    assert line == "3 finished, 2 running, 4 to start: dqn/seed=0 50 %, dqn/seed=1 0 %."


def test_table(running):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    view = make_view(stream)
    assert isinstance(view, LiveTable)
    view.show(running, 3, 4)
    view.close()
    shown = stream.getvalue()
    assert "3 finished, 2 running, 4 to start" in shown
    *_, row = [line for line in shown.splitlines() if "dqn/seed=0" in line]
    assert row.split() == ["dqn/seed=0", "50", "%", "1,234.50", "2,000", "1m40s"]
    *_, row = [line for line in shown.splitlines() if "dqn/seed=1" in line]
    assert row.split() == ["dqn/seed=1", "0", "%", "-", "-", "-"]


def test_nobody_to_show_it_to_is_no_reason_to_stop(running):
    stream = io.StringIO()
    view = Lines(stream)
    stream.close()
    view.say("dqn/seed=0: started.")
