"""What is called while a run goes on: what it is told, when it stops the run, what it keeps."""

from __future__ import annotations

import functools
import json
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite.callbacks import Callback, EarlyStopping, KeepBest, Prune, RunContext
from dopamine_lite.checkpointing import Checkpointer, digest
from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from tests.cli.conftest import files_below
from tests.equal_runs import in_common
from tests.processes import start
from tests.runner.test_same_experiment import CLIFF, runner

BINDINGS = [
    "Runner.num_iterations = 4",
    "Runner.training_steps = 400",
    "Runner.checkpoint_every_steps = 200",
    "Runner.evaluation_episodes = 2",
    "Runner.max_steps_per_episode = 60",
]


@pytest.fixture
def train(cli):
    """Trains a table on the cliff in a second: `train(base_dir, *bindings)`."""

    def call(base_dir: Path, *bindings: str, module: str = "") -> Any:
        files = ["--gin_files", "classics/q_learning_cliff.gin"]
        given = [f"--gin_bindings={binding}" for binding in [*BINDINGS, *bindings]]
        if module:
            given = [f"--gin_bindings=import {module}", *given]
        return cli("train", "--base_dir", base_dir, *files, *given)

    return call


def context(base_dir: Path = Path("run"), **known: Any) -> RunContext:
    """Of a run that has just begun."""
    settings: dict[str, Any] = {
        "base_dir": base_dir,
        "config": "",
        "description": {},
        "num_iterations": 10,
        "evaluates": True,
        "agent_steps": 0,
        "iterations": [],
        "say": lambda sentence: None,
        "keep_checkpoint": lambda name, replaces: None,
        "is_interrupted": lambda: False,
    }
    return RunContext(**settings | known)


def record(iteration: int, value: float | None, phase: str = "eval") -> dict[str, Any]:
    return {
        "iteration": iteration,
        "agent_steps": 100 * (iteration + 1),
        phase: {"average_return": value, "loss": 1.0},
    }


# EarlyStopping, by hand: its settings, the values of the iterations, the one that ends the run.
TABLE = [
    ({"patience": 2}, [1, 2, 3, 2, 3], 4),  # equal is no improvement
    ({"patience": 2}, [1, 0, 2, 1, 3, 0], None),  # never two in a row
    ({"patience": 1}, [5, 5], 1),
    ({"patience": 2, "min_delta": 1.0}, [1, 2, 3.5, 4, 4.5], 4),  # 2 is not above 1 by more than 1
    ({"patience": 2, "min_delta": 1.0}, [1, 1.8, 2.6, 3.4], None),  # 2.6 is on 1, 3.4 not yet
    ({"patience": 2, "mode": "min"}, [3, 2, 2, 5], 3),
    ({"patience": 2}, [1, None, 0, None, 0], 4),  # an iteration without a value is not counted
    ({"patience": None, "target": 3.0}, [1, 2, 2.9, 3.0], 3),
    ({"patience": None, "target": 3.0, "mode": "min"}, [9, 4, 3], 2),
    ({"patience": 1, "target": 7.0}, [1, 7], 1),
    ({"patience": 2}, [None, None, None], None),
    ({"patience": 2}, [-5, -4, -3], None),
]


@pytest.mark.parametrize(("settings", "values", "last"), TABLE)
def test_early_stopping(settings, values, last):
    callback = EarlyStopping(**settings)
    callback.on_start(context())
    for iteration, value in enumerate(values):
        before = callback.get_state()
        reason = callback.on_iteration(record(iteration, value))
        assert (reason is not None) == (iteration == last)
        if reason:
            break
        # The one that goes on from a checkpoint says the same.
        again = EarlyStopping(**settings)
        again.set_state(before)
        assert again.on_iteration(record(iteration, value)) is None
        assert again.get_state() == callback.get_state()
    else:
        assert last is None


def test_early_stopping_says_why():
    reached = EarlyStopping(target=475.0)
    assert reached.on_iteration(record(0, 500.0)) == (
        "eval/average_return is 500, which reaches the target of 475."
    )
    waited = EarlyStopping(patience=1, min_delta=0.5)
    waited.on_iteration(record(0, 10.0))
    assert waited.on_iteration(record(1, 10.2)) == (
        "eval/average_return has not improved by more than 0.5 for 1 iteration: its best value is "
        "10, at agent step 100."
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: EarlyStopping(patience=None), "are both None"),
        (lambda: EarlyStopping(patience=0), "EarlyStopping.patience is 0: give a whole number"),
        (
            lambda: EarlyStopping(mode="best"),
            'EarlyStopping.mode is \'best\': give "max" or "min".',
        ),
        (lambda: EarlyStopping(min_delta=-1), "EarlyStopping.min_delta is -1"),
        (lambda: EarlyStopping(target=float("nan")), "EarlyStopping.target is nan"),
        (lambda: EarlyStopping(metric="loss"), "give a phase and the name of one of its metrics"),
        (lambda: KeepBest(keep_every=0), "KeepBest.keep_every is 0"),
        (lambda: Prune(wait_seconds=-1), "Prune.wait_seconds is -1"),
        (
            lambda: EarlyStopping().check(context(evaluates=False)),
            "the run has no evaluations: set Runner.schedule",
        ),
        (
            lambda: EarlyStopping(metric="eval/score").on_iteration(record(2, 1.0)),
            "which iteration 3 does not have: name one of eval/average_return, eval/loss.",
        ),
    ],
)
def test_a_sentence_for_what_cannot_be(make, sentence):
    with pytest.raises(UserError) as refused:
        make()
    assert sentence in str(refused.value)


def test_a_stopped_run_ends_whole_and_stays_stopped(tmp_path, train, cli):
    run = tmp_path / "run"
    bindings = ["Runner.callbacks = [@EarlyStopping]", "EarlyStopping.target = -10_000"]
    ended = train(run, *bindings)
    assert ended.status == 0
    assert "The run stops here (EarlyStopping: eval/average_return is" in ended.err
    (line,) = read_iterations(run)
    assert line["stopped"].startswith("EarlyStopping: eval/average_return is -")
    assert line["stopped"].endswith(", which reaches the target of -10,000.")
    assert Checkpointer(run / "checkpoints").numbers()[-1] == line["agent_steps"] == 400
    before = files_below(run / "logs")
    for more in ("Runner.num_iterations = 4", "Runner.num_iterations = 40"):
        again = train(run, *bindings, more)
        assert again.status == 0
        assert "The run was stopped after 1 of" in again.err and "does not go on" in again.err
    assert files_below(run / "logs") == before
    assert "stopped" in cli("inspect", "--base_dir", run).out
    other = train(run, *bindings, "EarlyStopping.target = 0")
    assert other.status == 2 and "EarlyStopping.target: this run -10000, now 0" in other.err


def test_what_stops_a_run_is_part_of_the_experiment_and_what_watches_it_is_not(tmp_path, train):
    run = tmp_path / "run"
    assert train(run, "Runner.num_iterations = 1").status == 0
    stopping = train(run, "Runner.callbacks = [@EarlyStopping]")
    assert stopping.status == 2
    assert "Runner.callbacks: this run without it, now [@EarlyStopping]" in stopping.err
    keeping = train(run, "Runner.num_iterations = 2", "Runner.callbacks = [@KeepBest, @Prune]")
    assert keeping.status == 0 and "KeepBest has not seen the 1 iteration before" in keeping.err
    assert (run / "checkpoints" / "kept").is_dir()
    other = train(
        run,
        "Runner.num_iterations = 3",
        "Runner.callbacks = [@KeepBest]",
        'KeepBest.metric = "train/average_return"',
    )
    assert other.status == 0
    without = train(run, "Runner.num_iterations = 4")
    assert without.status == 0 and len(read_iterations(run)) == 4


def results(run: Path) -> dict[str, Any]:
    """What equal runs have in common, whatever watched them."""
    return in_common(run, "experiment", "callbacks")


def test_what_watches_a_run_changes_nothing(tmp_path, train):
    train(tmp_path / "alone")
    watched = "Runner.callbacks = [@KeepBest, @Prune]"
    train(tmp_path / "watched", watched, "KeepBest.keep_every = 1", "Prune.wait_seconds = 0.1")
    assert results(tmp_path / "alone") == results(tmp_path / "watched")


def test_the_best_checkpoint_is_kept_and_can_be_evaluated(tmp_path, train, cli):
    run = tmp_path / "run"
    train(run, "Runner.callbacks = [@KeepBest]", "KeepBest.keep_every = 3")
    lines = read_iterations(run)
    best = max(lines, key=lambda line: (line["eval"]["average_return"], -line["agent_steps"]))
    checkpointer = Checkpointer(run / "checkpoints")
    assert checkpointer.kept() == {"best": [best["agent_steps"]], "every": [1_200]}
    kept = checkpointer.load("best").state
    assert kept["iteration"] == best["iteration"] + 1
    evaluated = cli("evaluate", "--base_dir", run, "--checkpoint", "best", "--episodes", 2)
    assert evaluated.status == 0 and f"checkpoint {best['agent_steps']:,}" in evaluated.out
    assert cli("evaluate", "--base_dir", run, "--checkpoint", 1200, "--episodes", 2).status == 0
    none = cli("evaluate", "--base_dir", run, "--checkpoint", "worst")
    assert none.status == 2 and "There is no checkpoint kept as worst" in none.err
    shown = json.loads(cli("inspect", "--base_dir", run, "--json").out)
    assert shown["checkpoints"]["kept"] == {"best": [best["agent_steps"]], "every": [1_200]}
    (damaged,) = run.glob("checkpoints/kept/best-*/state.npz")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    refused = cli("evaluate", "--base_dir", run, "--checkpoint", "best")
    assert refused.status == 2 and "is damaged (state.npz has" in refused.err


def test_a_run_killed_after_its_best_was_kept_keeps_it_again(tmp_path):
    state = {"table": [1.0, 2.0]}
    checkpointer = Checkpointer(tmp_path)
    checkpointer.keep("best", 10, state, replace=True)
    (tmp_path / "kept" / ".best-000000000020").mkdir()  # half written
    checkpointer.keep("best", 20, state, replace=True)
    checkpointer.keep("best", 20, state | {"more": 1}, replace=True)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["best-000000000020"]
    assert checkpointer.load("best").state == state | {"more": 1}
    with pytest.raises(ValueError, match="lower-case letters"):
        checkpointer.keep("../best", 20, state, replace=True)


OBSERVER = """
    from pathlib import Path

    import gin

    from dopamine_lite.callbacks import Callback

    @gin.configurable
    class Diary(Callback):
        def __init__(self, answer: object = None):
            self.answer, self.seen = answer, []

        def on_start(self, run):
            self.path = run.base_dir / "diary.txt"
            self.write(f"start {run.agent_steps} {len(run.iterations)} {run.description['seed']}")

        def write(self, line):
            with open(self.path, "a") as file:
                print(line, file=file)

        def on_episodes(self, phase, agent_steps, episodes):
            self.seen += [(phase, agent_steps, each.episode_return) for each in episodes]

        def on_metrics(self, agent_steps, metrics):
            self.write(f"metrics {agent_steps} {sorted(metrics)}")

        def on_iteration(self, record):
            record["train"].clear()  # a copy
            self.write(f"iteration {record['iteration']} {len(self.seen)}")
            if record["iteration"] == 2 and Path("full").exists():
                raise RuntimeError("the diary is full")
            return self.answer

        def on_end(self, finished):
            self.write(f"end {finished}")

        def get_state(self):
            return {"seen": [list(each) for each in self.seen]}

        def set_state(self, state):
            self.seen = [tuple(each) for each in state["seen"]]
"""


@pytest.fixture
def diary(tmp_path, monkeypatch):
    """A module of the user's own with a callback."""
    (tmp_path / "my_diary.py").write_text(textwrap.dedent(OBSERVER))
    monkeypatch.chdir(tmp_path)
    return "my_diary"


def test_a_callback_of_ones_own_is_told_everything_once(tmp_path, train, diary):
    run = tmp_path / "run"
    ended = train(run, "Runner.callbacks = [@Diary]", module=diary)
    assert ended.status == 0, ended.err
    told = (run / "diary.txt").read_text().splitlines()
    assert told[0] == "start 0 0 0" and told[-1] == "end True"
    assert [line for line in told if line.startswith("metrics")][:2] == [
        f"metrics {steps} ['epsilon', 'q_mean', 'recent_return', 'td_error']"
        for steps in (200, 400)
    ]
    (seen,) = Checkpointer(run / "checkpoints").load().state["callbacks"].values()
    assert [tuple(each) for each in seen["seen"]] == [
        (line["phase"], line["agent_steps"], line["return"]) for line in read_episodes(run)
    ]
    assert read_iterations(run)[0]["train"]["episodes"] > 0


def test_a_callback_that_raises_keeps_its_traceback_and_the_run_goes_on(tmp_path, train, diary):
    run, whole = tmp_path / "run", tmp_path / "whole"
    bound = "Runner.callbacks = [@Diary]"
    (tmp_path / "full").touch()
    with pytest.raises(RuntimeError, match="the diary is full"):
        train(run, bound, module=diary)
    assert (run / "diary.txt").read_text().endswith("\nend False\n")
    (tmp_path / "full").unlink()
    assert train(run, bound, module=diary).status == 0
    train(whole, bound, module=diary)
    assert results(run) == results(whole)
    states = [Checkpointer(path / "checkpoints").load().state for path in (run, whole)]
    assert digest(states[0]["callbacks"]) == digest(states[1]["callbacks"])


@pytest.mark.parametrize("answer", [True, '""', 7])
def test_only_a_sentence_stops_a_run(tmp_path, train, diary, answer):
    bindings = ["Runner.callbacks = [@Diary]", f"Diary.answer = {answer}"]
    refused = train(tmp_path / "run", *bindings, module=diary)
    assert refused.status == 2
    assert "Diary.on_iteration returned" in refused.err and "return a sentence" in refused.err


class Watcher(Callback):
    part_of_experiment = False


def test_callbacks_from_python(tmp_path):
    run = runner(
        tmp_path, environment=CLIFF, callbacks=[functools.partial(EarlyStopping, target=-1e9)]
    )
    run.run()
    assert "stopped" in read_iterations(tmp_path)[0]
    for callbacks, difference in (
        ([Watcher], r"EarlyStopping.metric: this run 'eval/average_return', now without it"),
        ([functools.partial(EarlyStopping, target=0.0)], r"now EarlyStopping\(target=0.0\)"),
    ):
        with pytest.raises(UserError, match=difference):
            runner(tmp_path, callbacks=callbacks).run()
    with pytest.raises(UserError, match="give a list of references"):
        runner(tmp_path, callbacks=[EarlyStopping()])
    with pytest.raises(UserError, match="has no check, get_state, on_end"):
        runner(tmp_path, callbacks=[dict])


def answer(base_dir: Path, iteration: int, prune: bool) -> None:
    (base_dir / "prune.json").write_text(json.dumps({"iteration": iteration, "prune": prune}))


def test_prune_does_what_the_search_answered(tmp_path):
    callback = Prune()
    callback.on_start(context(tmp_path))
    assert callback.on_iteration(record(0, 1.5)) is None
    assert json.loads((tmp_path / "pruning.json").read_text()) == {
        "iteration": 0,
        "agent_steps": 100,
        "value": 1.5,
    }
    answer(tmp_path, 2, prune=False)
    assert callback.on_iteration(record(2, None)) is None
    assert json.loads((tmp_path / "pruning.json").read_text())["value"] is None
    answer(tmp_path, 3, prune=True)
    assert callback.on_iteration(record(2, 1.0)) is None  # a run that goes on from before
    why = "the search that this run belongs to has pruned it."
    assert callback.on_iteration(record(3, 1.0)) == why
    assert callback.on_iteration(record(4, 1.0)) == why  # it saw the answer late
    (tmp_path / "prune.json").write_text('{"iteration": 4, "prune": true, "why": "the median"}')
    assert callback.on_iteration(record(4, 1.0)) == "the median."
    for wrong in ("{", "[]", '{"iteration": 1}', '{"iteration": -1, "prune": true}', '"yes"'):
        (tmp_path / "prune.json").write_text(wrong)
        with pytest.raises(UserError, match="is not an answer from a search"):
            callback.on_iteration(record(4, 1.0))


def test_prune_waits_for_an_answer_and_not_for_ever(tmp_path):
    waiting = Prune(wait_seconds=60)
    asked = []

    def interrupted() -> bool:  # it is asked between two looks
        asked.append(None)
        if len(asked) == 3:
            answer(tmp_path, 0, prune=True)
        return False

    waiting.on_start(context(tmp_path, is_interrupted=interrupted))
    assert waiting.on_iteration(record(0, 1.0)) is not None and len(asked) == 3
    waiting.on_start(context(tmp_path, is_interrupted=lambda: True))
    answer(tmp_path, 0, prune=False)
    assert waiting.on_iteration(record(1, 1.0)) is None  # a signal ends the wait
    brief = Prune(wait_seconds=0.05)
    brief.on_start(context(tmp_path))
    assert brief.on_iteration(record(1, 1.0)) is None


def test_a_pruned_run_says_so(tmp_path, train):
    run = tmp_path / "run"
    assert train(run, "Runner.callbacks = [@Prune]", "Runner.num_iterations = 2").status == 0
    answer(run, 2, prune=True)
    assert train(run, "Runner.callbacks = [@Prune]").status == 0
    lines = read_iterations(run)
    assert len(lines) == 3 and lines[-1]["stopped"].startswith("Prune: the search")


# A run with every callback that has state, which its first one stops after three iterations.
KILLED = [
    "Runner.callbacks = [@EarlyStopping, @KeepBest]",
    "EarlyStopping.patience = 2",
    "EarlyStopping.min_delta = 1e9",  # the first iteration stays the best one
    "KeepBest.keep_every = 2",
]


def test_a_run_that_goes_on_stops_where_the_other_stops(tmp_path, train):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert train(whole, *KILLED, "Runner.num_iterations = 9").status == 0
    assert len(read_iterations(whole)) == 3
    # What a kill leaves: the run as of its second iteration's end, and lines after it.
    assert train(killed, *KILLED, "Runner.num_iterations = 2").status == 0
    with open(killed / "logs" / "iterations.jsonl", "a") as file:
        file.write((whole / "logs" / "iterations.jsonl").read_text().splitlines()[2] + "\n")
    assert train(killed, *KILLED, "Runner.num_iterations = 9").status == 0
    assert results(killed) == results(whole)
    assert read_iterations(killed)[-1]["stopped"].startswith("EarlyStopping: ")
    kept = [Checkpointer(run / "checkpoints").kept() for run in (whole, killed)]
    assert kept[0] == kept[1] and set(kept[0]) == {"best", "every"}


KILLER = """
    import os
    import signal
    from pathlib import Path

    import gin

    from dopamine_lite.callbacks import Callback

    @gin.configurable
    class Killer(Callback):
        part_of_experiment = False

        def on_metrics(self, agent_steps, metrics):
            self.kill_at(f"{agent_steps}")

        def on_iteration(self, record):
            self.kill_at(f"iteration {record['iteration']}")

        def kill_at(self, place):
            if (file := Path(place)).exists():
                file.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.exhaustive
def test_a_run_killed_anywhere_stops_where_the_other_stops(tmp_path, monkeypatch):
    """Before its first checkpoint, in a segment, between evaluation and record, where it would stop."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "killer.py").write_text(textwrap.dedent(KILLER))
    callbacks = "Runner.callbacks = [@EarlyStopping, @KeepBest, @Killer]"
    bindings = [*BINDINGS, *KILLED[1:], "Runner.num_iterations = 9", "Runner.log_every_steps = 50"]

    def train_to_end(name: str) -> int | None:
        arguments = ["train", f"--base_dir={name}", "--gin_files=classics/q_learning_cliff.gin"]
        given = [f"--gin_bindings={each}" for each in ["import killer", callbacks, *bindings]]
        process = start([*arguments, *given], tmp_path / f"{name}.txt")
        process.join(timeout=300)
        return process.exitcode

    assert train_to_end("whole") == 0
    places = ["50", "iteration 0", "650", "iteration 1", "1150", "iteration 2"]
    for place in places:
        (tmp_path / place).touch()
        assert train_to_end("killed") == -signal.SIGKILL, place
    assert train_to_end("killed") == 0
    assert len(read_iterations(tmp_path / "killed")) == 3
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    states = [Checkpointer(tmp_path / name / "checkpoints") for name in ("killed", "whole")]
    assert states[0].kept() == states[1].kept()
    best = [digest(each.load("best").state["agent"]) for each in states]
    assert best[0] == best[1]
    of_callbacks = [digest(each.load().state["callbacks"]) for each in states]
    assert of_callbacks[0] == of_callbacks[1]
