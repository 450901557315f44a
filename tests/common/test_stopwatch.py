"""Laps add up to the time that has passed, in every order of starting, stopping, failing and nesting."""

from __future__ import annotations

import threading

import pytest

from dopamine_lite.common import stopwatch as module
from dopamine_lite.common.stopwatch import Stopwatch, lap


class Clock:
    """Counts nanoseconds by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter_ns", clock)
    return clock


def work(clock: Clock, seconds: int, part: str | None = None) -> None:
    clock.now += seconds * 1_000_000_000
    if part is not None:
        lap(part)


def measured(watch: Stopwatch) -> dict[str, float]:
    """Without the parts that took no time."""
    return {part: seconds for part, seconds in watch.seconds().items() if seconds}


def test_laps_are_added_up_by_part(clock):
    watch = Stopwatch()
    work(clock, 100)  # before it runs
    with watch.running():
        work(clock, 1, "act")
        work(clock, 2, "environment")
        work(clock, 3, "act")
        assert measured(watch) == {"act": 4, "environment": 2}
        work(clock, 5)
    work(clock, 100, "act")  # nothing runs
    assert measured(watch) == {"act": 4, "environment": 2, "other": 5}


def test_what_was_taken_begins_again_at_zero(clock):
    watch = Stopwatch()
    with watch.running():
        work(clock, 1, "act")
        work(clock, 2)
        assert watch.take() == {"act": 1, "other": 2}
        work(clock, 4, "act")
        assert measured(watch) == {"act": 4}


def test_laps_of_a_branch_are_below_it(clock):
    watch = Stopwatch()
    with watch.running():
        work(clock, 1)
        with watch.branch("evaluation"):
            work(clock, 2, "act")
            work(clock, 4)
        work(clock, 8, "act")
    assert measured(watch) == {"other": 1, "evaluation/act": 2, "evaluation/other": 4, "act": 8}


def test_what_is_undivided_is_one_part(clock):
    watch = Stopwatch()
    with watch.running():
        with watch.undivided("log"):
            work(clock, 1, "act")  # of a callback that plays
            work(clock, 2)
        work(clock, 4, "act")
    assert measured(watch) == {"log": 3, "act": 4}


def test_errors_leave_nothing_running_and_lose_nothing(clock):
    watch = Stopwatch()
    for inside in (watch.branch("evaluation"), watch.undivided("log")):
        with pytest.raises(ZeroDivisionError), watch.running(), inside:
            work(clock, 1)
            raise ZeroDivisionError
        work(clock, 100, "act")
    with watch.running():
        work(clock, 2, "act")
    assert measured(watch) == {"evaluation/other": 1, "log": 1, "act": 2}


def test_the_inner_of_two_takes_the_laps(clock):
    outer, inner = Stopwatch(), Stopwatch()
    with outer.running():
        work(clock, 1, "act")
        with inner.running():
            work(clock, 2, "act")
        work(clock, 4, "log")  # and all that the inner one measured
    assert measured(inner) == {"act": 2}
    assert measured(outer) == {"act": 1, "log": 6}


def test_threads_measure_on_their_own():
    """A thread without a stopwatch measures nothing; two that have one do not meet."""
    mine, others, steps = Stopwatch(), Stopwatch(), 20_000
    both = threading.Barrier(3)

    def without() -> None:
        both.wait()
        for _ in range(steps):
            lap("nowhere")

    def with_its_own() -> None:
        with others.running():
            both.wait()
            for _ in range(steps):
                lap("theirs")

    threads = [threading.Thread(target=target) for target in (without, with_its_own)]
    for thread in threads:
        thread.start()
    with mine.running():
        both.wait()
        for _ in range(steps):
            lap("mine")
    for thread in threads:
        thread.join()
    assert mine.seconds().keys() == {"mine", "other"}
    assert others.seconds().keys() == {"theirs", "other"}


def test_it_goes_on_in_another_process(clock):
    first, second = Stopwatch(), Stopwatch()
    with first.running():
        work(clock, 1, "act")
    with second.running():
        work(clock, 3)  # reads the checkpoint
        second.go_on_from(first.seconds())
        work(clock, 2, "act")
    assert measured(second) == {"act": 6}
