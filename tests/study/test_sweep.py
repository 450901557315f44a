"""`sweep` as processes: killed, stopped, given again, with trials that fail; under Slurm's variables."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from dopamine_lite.runner.directory import is_in_use, progress
from tests.study.conftest import LONG, ROOT, SMALL, bindings, results, start

CLIFF = "--gin_files=classics/q_learning_cliff.gin"
NAME = "classics_q_learning_cliff"
GRID = "--grid=EpsilonGreedy.epsilon_train=[0.1,0.2]"


def sweep(study: Path, *arguments: object) -> subprocess.Popen[str]:
    return start("sweep", "--base_dir", study, *arguments)


def finish(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=900)
    assert process.returncode == status, err
    assert "Traceback" not in err
    return out, err


def newest(run: Path) -> int:
    return max((int(path.name[-12:]) for path in run.glob("checkpoints/checkpoint-*")), default=0)


def wait_for_checkpoint(process: subprocess.Popen[str], run: Path) -> None:
    before = newest(run)
    while newest(run) <= before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_a_trial_is_a_run_and_a_finished_sweep_has_nothing_to_do(tmp_path):
    study, run = tmp_path / "my study", tmp_path / "my study" / NAME / "seed=3"
    out, err = finish(sweep(study, CLIFF, "--seeds=3", *bindings(SMALL)))
    assert f"dopamine-lite compare '{study}'" in out
    assert f"{NAME}/seed=3: started." in err
    assert f"{NAME}/seed=3: finished, 800 agent steps, return -" in err
    assert progress(run).finished
    before = results(study, f"{NAME}/seed=3")
    out, err = finish(sweep(study, CLIFF, "--seeds=3", *bindings(SMALL)))
    assert "1 trial, 1 finished before;" in err and "started" not in err
    assert f"The results are in {study}." in out
    assert results(study, f"{NAME}/seed=3") == before


@pytest.mark.exhaustive
def test_a_sweep_goes_on_adds_trials_and_refuses_to_change_one(tmp_path):
    study = tmp_path / "my study"
    out, err = finish(sweep(study, CLIFF, GRID, "--seeds=3", *bindings(SMALL)))
    names = [f"{NAME}/epsilon_train={value}/seed=3" for value in ("0.1", "0.2")]
    assert f"dopamine-lite compare '{study}'" in out
    for name in names:
        assert f"{name}: started." in err and f"{name}: finished, 800 agent steps, return" in err
        assert progress(study / name).finished
        assert "tensorflow_threads.intra_op = 1\n" in (study / name / "config.gin").read_text()
        printed = (study / f"{name}.txt").read_text()
        assert printed.startswith("$ dopamine-lite train --base_dir ")
        assert "iteration 2: 800 of 800 steps" in printed
    before = results(study, *names)

    more = names[0].replace("seed=3", "seed=4")
    _, err = finish(sweep(study, CLIFF, GRID, "--seeds=3,4", *bindings(SMALL)))
    assert "4 trials, 2 finished before;" in err
    assert f"{more}: finished" in err and f"{names[0]}: started" not in err
    assert results(study, *names) == before
    known = json.loads((study / "study.json").read_text())
    assert [trial["name"] for trial in known["trials"]][:3] == [*names, more]
    assert len(known["commands"]) == 2

    changed = {**SMALL, "Runner.training_steps": 600}
    _, err = finish(sweep(study, CLIFF, GRID, "--seeds=4", *bindings(changed)), status=2)
    assert "holds another experiment (Runner.training_steps: this run 400, now 600)" in err
    assert json.loads((study / "study.json").read_text()) == known


def test_a_grid_that_one_of_several_experiments_lacks_names_it(tmp_path):
    grid = "--grid=QLearningAgent.gamma=[0.9,1.0]"
    sarsa = "--gin_files=classics/sarsa_cliff.gin"
    _, err = finish(sweep(tmp_path / "study", CLIFF, sarsa, grid, *bindings(SMALL)), status=2)
    assert "sarsa_cliff/gamma=0.9: Nothing in this experiment uses QLearningAgent.gamma" in err
    assert "--grid binds QLearningAgent.gamma in every experiment: run the experiments that" in err


def test_nothing_starts_where_one_configuration_does_not_hold(tmp_path):
    study = tmp_path / "study"
    grid = "--grid=QLearningAgent.gamma=[1.0,'high']"
    _, err = finish(sweep(study, CLIFF, grid, *bindings(SMALL)), status=2)
    assert "QLearningAgent.gamma is 'high': give a number." in err
    assert not study.exists()


@pytest.mark.exhaustive
def test_a_sweep_killed_stopped_and_given_again_is_the_sweep_never_stopped(tmp_path):
    whole, study = tmp_path / "whole", tmp_path / "study"
    names = [f"{NAME}/seed={seed}" for seed in (0, 1)]
    arguments = [CLIFF, "--seeds=0:2", *bindings(LONG)]
    finish(sweep(whole, *arguments, "--parallel=2"))

    killed = sweep(study, *arguments, "--parallel=1")
    wait_for_checkpoint(killed, study / names[0])
    for process in [*psutil.Process(killed.pid).children(recursive=True), killed]:
        process.kill()
    killed.communicate()
    assert not progress(study / names[0]).finished and not (study / names[1]).exists()

    orphans = sweep(study, *arguments, "--parallel=2")
    wait_for_checkpoint(orphans, study / names[1])
    orphans.kill()  # alone: the trials stop by themselves
    orphans.communicate()

    stopped = sweep(study, *arguments, "--parallel=2")
    wait_for_checkpoint(stopped, study / names[1])
    stopped.send_signal(signal.SIGINT)
    _, err = finish(stopped, status=130)
    assert f"{names[1]}: stopped at checkpoint" in err
    assert "Stopped by SIGTERM at agent step" in (study / f"{names[1]}.txt").read_text()
    assert not any(is_in_use(study / name) for name in names)

    _, err = finish(sweep(study, *arguments))
    assert f"{names[1]}: started, from agent step" in err
    assert results(study, *names) == results(whole, *names)


@pytest.mark.exhaustive
def test_a_trial_that_fails_does_not_stop_the_others(tmp_path):
    study = tmp_path / "study"
    (study / NAME).mkdir(parents=True)
    (study / "study.json").write_text('{"schema": 1, "commands": [], "trials": []}')
    (study / NAME / "seed=0").write_text("in the way")
    _, err = finish(sweep(study, CLIFF, "--seeds=0:2", *bindings(SMALL)), status=1)
    assert f"{NAME}/seed=0: failed: --base_dir " in err and "seed=0.txt)" in err
    assert "1 of 2 trials failed; the same command tries them again." in err
    assert progress(study / NAME / "seed=1").finished


@pytest.mark.exhaustive
def test_a_trial_that_another_process_runs_is_waited_for(tmp_path):
    study, run = tmp_path / "study", tmp_path / "study" / NAME / "seed=0"
    threads = bindings({"tensorflow_threads.intra_op": 1})
    other = start("train", CLIFF, "--base_dir", run, "--seed=0", *bindings(LONG), *threads)
    while not is_in_use(run):
        assert other.poll() is None, other.communicate()
        time.sleep(0.05)
    (study / "study.json").write_text('{"schema": 1, "commands": [], "trials": []}')
    waiting = sweep(study, CLIFF, "--seeds=0", *bindings(LONG))
    finish(other)
    _, err = finish(waiting)
    if "another process is still running it" in err:  # the examination may have taken longer
        assert f"{NAME}/seed=0: finished, 20,000 agent steps" in err


@pytest.mark.exhaustive
def test_a_trial_with_actors_needs_cores_and_memory_for_them(tmp_path):
    memory = []
    for actors, cores in ((None, 1), (4, 3)):  # of which only two have a group of environments
        given = bindings({"Runner.num_envs": 16, "Runner.actors": actors})
        arguments = ("--gin_files", "dqn/cartpole.gin", "--seeds=0:2", *given, "--print_slurm")
        out, _ = finish(sweep(tmp_path / str(cores), *arguments))
        assert f"#SBATCH --cpus-per-task={cores}\n" in out
        memory.append(int(re.search(r"--mem=(\d+)M", out)[1]))
    assert memory[1] > 2 * memory[0]


@pytest.mark.exhaustive
def test_the_slurm_script_runs_a_trial_and_puts_a_stopped_one_back_into_the_queue(tmp_path):
    study, script = tmp_path / "my study", tmp_path / "job.sh"
    arguments = ("--seeds=0:2", *bindings(LONG), "--print_slurm", "--output", script)
    out, _ = finish(sweep(study, CLIFF, *arguments))
    assert f"sbatch {script}" in out
    head = script.read_text().partition("\ncd ")[0]
    assert "#SBATCH --array=0-1\n" in head and "#SBATCH --requeue\n" in head
    assert "#SBATCH --cpus-per-task=1\n" in head
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(
        f'#!/bin/sh\ncase "$1" in requeue) echo "$@" >> {tmp_path}/requeued ;; *) echo "$JOB" ;; esac\n'
    )
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IXUSR)
    variables = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{scontrol.parent}:{os.environ['PATH']}",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_JOB_ID": "9",
    }

    def submit(index: int, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", script], env=variables | {"SLURM_ARRAY_TASK_ID": str(index)} | more
        )

    run, queue = study / NAME / "seed=1", tmp_path / "requeued"
    queue.touch()
    for said, requeued in (
        ("JobId=9 JobState=COMPLETING PreemptTime=None", 0),  # scancel
        ("JobId=9 JobState=COMPLETING PreemptTime=2026-11-28T02:36:45", 1),  # preempted
        ("JobId=9 JobState=RUNNING PreemptTime=None", 2),  # near its time limit
    ):
        job = submit(1, JOB=said)
        wait_for_checkpoint(job, run)
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=100) == 143
        assert queue.read_text() == "requeue 7_1\n" * requeued, said
    assert not progress(run).finished and not is_in_use(run)
    assert submit(1).wait(timeout=900) == 0
    assert progress(run).finished
    assert submit(2).wait(timeout=100) == 2

    whole = tmp_path / "whole"
    finish(sweep(whole, CLIFF, "--seeds=1", *bindings(LONG)))
    assert results(study, f"{NAME}/seed=1") == results(whole, f"{NAME}/seed=1")
