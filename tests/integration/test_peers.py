"""Speed beside other frameworks: our side of each workload, what is measured anew, and the tables."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import gin
import pytest

import dopamine_lite.runner.runner  # noqa: F401  # gin knows its name only then
from dopamine_lite import configuration
from tests.core import core

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks" / "peers"
sys.path.insert(0, str(PEERS))
workloads = importlib.import_module("workloads")
measure = importlib.import_module("measure")
page = importlib.import_module("page")
kept = importlib.import_module("rows")
WORKLOADS = workloads.WORKLOADS


def window(key: str, seconds: str) -> list[dict]:
    """What our side of a workload answers, in a process of its own."""
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(PEERS / "run_ours.py"), key]
    done = subprocess.run(
        command, input=seconds, env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "key", core(list(WORKLOADS), "cartpole_dqn_dopamine", "cartpole_ppo_zoo", "pong_steps_8")
)
def test_our_side_takes_the_updates_that_are_due(key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workload = WORKLOADS[key]
    facts, measured = window(key, "0.1\n")
    assert facts["framework"] == "dopamine_lite"
    assert measured["seconds"] >= 0.1 and measured["steps"] % workload.cycle == 0
    cycles = measured["steps"] // workload.cycle
    assert measured["updates"] == cycles * workload.updates_per_cycle
    assert (facts["parameters"] > 0) == (workload.agent != "random")


HELD_BY_PEERS = {  # by agent: what the peers' programs and defaults have, and our configs have too
    "c51": {"CategoricalHead.num_atoms": 51},
    "qr_dqn": {"QuantileHead.num_quantiles": 200},
    "rainbow": {
        "RainbowAgent.num_atoms": 51,
        "RainbowAgent.dueling": False,
        "RainbowAgent.noisy": False,
        "PrioritizedReplay.alpha": 0.5,
    },
    "hessel": {
        "RainbowAgent.num_atoms": 51,
        "RainbowAgent.dueling": True,
        "RainbowAgent.noisy": True,
        "PrioritizedReplay.alpha": 0.5,
        "PrioritizedReplay.beta": 0.4,
    },
    "iqn": {
        "IQNAgent.num_tau_samples": 64,
        "IQNAgent.num_tau_prime_samples": 64,
        "IQNAgent.num_quantile_samples": 32,
        "ImplicitQuantileHead.num_cosines": 64,
    },
}


@pytest.mark.parametrize("key", WORKLOADS)
def test_a_workload_is_what_its_config_and_its_peers_are_about(key):
    workload = WORKLOADS[key]
    assert key == key.lower() and set(workload.peers) <= set(measure.PEERS)
    assert workload.cycle % workload.num_envs == 0 == workload.warmup % workload.cycle
    ours = importlib.import_module("run_ours")
    lines = [f"{name} = {value}" for name, value in ours.bindings(workload).items()]
    configuration.load([workload.config], lines)
    for name, value in HELD_BY_PEERS.get(workload.agent, {}).items():
        assert gin.query_parameter(name) == value
    game = "create_environment.id" if "-v" in workload.environment else None
    assert game is None or gin.query_parameter(game) == workload.environment


@pytest.mark.parametrize("name", measure.PEERS)
def test_a_peer_is_pinned(name):
    peer = measure.PEERS[name]
    assert (PEERS / peer.script).exists() and name in page.NAMES
    assert any(name in workload.peers for workload in WORKLOADS.values())
    lines = (PEERS / "requirements" / f"{peer.venv}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins and all("==" in pin and "/" not in pin for pin in pins)


def rows(session: str, *windows: tuple[str, int, float], key: str = "pong_dqn") -> list[dict]:
    """Rows of speed.csv: peer, round and speed of each window."""
    known = {"session": session, "workload": key, "processor": measure.processor(), "cores": "2"}
    known |= {"version": "1", "threads": "1", "variant": "", "failure": ""}
    seconds = {"first_step_seconds": "2.5", "warm_seconds": "4"}
    empty = dict.fromkeys(measure.COLUMNS, "")
    return [
        empty
        | known
        | seconds
        | {"peer": peer, "round": str(number), "steps_per_second": str(speed)}
        for peer, number, speed in windows
    ]


MORNING = rows(
    "2026-01-01T10:00:00",
    *(("sb3", 0, 5.0), ("ours", 1, 100.0), ("sb3", 1, 50.0)),
    *(("sb3", 2, 40.0), ("ours", 2, 120.0), ("ours", 3, 90.0), ("sb3", 3, 60.0)),
)
EVENING = rows("2026-01-02T20:00:00", ("ours", 1, 300.0), ("dopamine", 1, 100.0))


def test_a_ratio_is_of_windows_in_the_same_round():
    """By hand: 100 / 50, 120 / 40 and 90 / 60 in the morning, 300 / 100 in the evening."""
    measured = [row for row in MORNING + EVENING if row["round"] != "0"]
    _, first, second = page._speeds(measured, {"pong_dqn": WORKLOADS["pong_dqn"]})
    title = "DQN, Pong, 1 environment"
    assert first == [
        *(title, "Stable-Baselines3 1", "1 / 1", "50 (40 to 60)", "100 (90 to 120)"),
        "2 (1.5 to 3)",
    ]
    assert second == ["", "Dopamine 1", "1 / 1", "100", "300", "3"]
    text = page.filled("<!-- speed: measured -->\n<!-- end of speed -->", speed=MORNING + EVENING)
    assert "Measured from 2026-01-01 to 2026-01-02 on" in text


def test_operations_are_those_of_products():
    """By hand for layers 4-256-256-2: twice 67,072 forward, and 2 x 67,072 - 4 x 256 backward."""
    workload = WORKLOADS["cartpole_dqn_zoo"]
    assert workload.operations == 2 * 64 * (4 * 67_072 - 4 * 256)
    assert WORKLOADS["pong_c51_double"].operations > WORKLOADS["pong_c51"].operations
    assert WORKLOADS["cartpole_ppo_zoo"].operations is None
    # PPO by hand: batches of 256, and 64 states acted in for each of the 16 updates of 1,024 steps.
    forward = 3_276_800 + 2_654_208 + 1_806_336 + 3_136 * 512 + 512 * 7
    passes = 256 * (3 * forward - 3_276_800) + 64 * forward
    assert WORKLOADS["pong_ppo"].operations == 2 * passes
    windows = rows("2026-01-01T10:00:00", ("ours", 1, 2_000.0), key="cartpole_dqn_zoo")
    windows[0] |= {"updates": "10000", "seconds": "10", "peak_gflops": "50"}
    other = windows[0] | {"threads": "2", "updates": "20000", "peak_gflops": "100"}
    _, line, below = page._limits([*windows, other], {"cartpole_dqn_zoo": workload})
    assert line == [workload.title, "1", "1,000", "0.0342", "34.2", "50", "68%"]
    assert below == ["", "2", "2,000", "0.0342", "68.4", "100", "68%"]


def test_what_has_been_measured_stays():
    both = MORNING + EVENING
    assert measure.done(both, "pong_dqn", "sb3", rounds=3)
    assert not measure.done(both, "pong_dqn", "sb3", rounds=4)
    assert not measure.done(both, "pong_dqn", "tianshou", rounds=1)
    elsewhere = [row | {"processor": "another"} for row in MORNING]
    assert not measure.done(elsewhere, "pong_dqn", "sb3", rounds=3)
    assert measure.without(both, "pong_dqn", ["sb3"]) == EVENING  # our windows beside it go too
    assert measure.without(both, "pong_ppo", ["sb3"]) == both


def test_what_a_million_frames_take():
    """By hand: 1 GB at first and 1.5 GB with 100,000 frames make 6 GB with a million."""
    row = dict.fromkeys(("second_save_seconds", "second_saved", "resume_seconds", "failure"), "")
    row |= {"peer": "cleanrl", "frames": "100000", "resident_at_first": "1000000000"}
    row |= {"resident": "1500000000", "first_save_seconds": ""}
    _, line = page._replays([row])
    assert line == ["CleanRL", "100,000", "1.50", "6.0", "cannot", "cannot", "", "cannot"]
    _, line = page._replays([row | {"resume_seconds": "3"}])  # saves whose time is not known
    assert line[-4:] == ["not measured", "not measured", "", "3.0 s"]


def test_a_case_that_is_measured_again_takes_the_place_of_its_rows(tmp_path):
    file, columns, case = tmp_path / "rows.csv", ("agent", "round", "speed"), ("agent",)
    first = [{"agent": "dqn", "round": number, "speed": 1.5} for number in (1, 2)]
    kept.replace(file, columns, case, [*first, {"agent": "ppo", "round": 1, "speed": 9}])
    kept.replace(file, columns, case, [{"agent": "dqn", "round": 1, "speed": 3}])
    assert file.read_text() == "agent,round,speed\nppo,1,9\ndqn,1,3\n"


def test_ratios_to_the_floor_are_of_each_round():
    """By hand: 90 / 100, 120 / 100 and 110 / 200."""
    case = {"agent": "ppo", "game": "pong", "num_envs": "8"}
    speeds = (("100", "90"), ("100", "120"), ("200", "110"))
    rows = [case | {"floor": bare, "framework": ours} for bare, ours in speeds]
    _, line = page._floor(rows)
    assert line == ["PPO, Pong, 8 environments", "3", "100", "110", "0.9 (0.55 to 1.2)"]


def test_updates_are_beside_the_network_alone_and_beside_dqn():
    rows = [
        {"agent": "dqn", "update": "0.02", "bare": "0.016", "replay": "0.001"},
        {"agent": "iqn", "update": "0.16", "bare": "0.08", "replay": "0.0016"},
    ]
    _, dqn, iqn = page._updates(rows)
    assert dqn == ["DQN", "20.0 ms", "1.00", "1.25", "5%"]
    assert iqn == ["IQN", "160.0 ms", "8.00", "2.00", "1%"]


def test_only_what_grows_is_in_a_table():
    names = ("device", "fill", "actors", "policy_lag", "hidden_units", "replay_capacity")
    case = dict.fromkeys(names, "") | {"agent": "dqn", "game": "pong", "num_envs": "1"}
    case |= {"steps_per_second": "1000", "update": "0.5"}
    rows = [case | {"num_envs": number} for number in ("64", "8")]
    other = {"num_envs": "8", "steps_per_second": "9"}
    for differs in (
        *({"game": "cartpole"}, {"device": "gpu"}, {"actors": "2"}, {"policy_lag": "1"}),
        *({"fill": "10000"}, {"hidden_units": "1"}, {"replay_capacity": "1"}),
    ):
        rows += [case | other | differs]
    assert list(page._growing(rows, "num_envs", "pong")) == [
        ["", "8", "64"],
        ["DQN", "1,000", "1,000"],
        ["share of its updates", "50%", "50%"],
    ]


def test_numbers_of_two_machines_do_not_stand_side_by_side():
    case = {"agent": "ppo", "game": "pong", "num_envs": "8", "floor": "100", "framework": "90"}
    rows = [case | {"processor": name, "cores": "2"} for name in ("Fast", "Slow")]
    with pytest.raises(SystemExit, match=r"floor.csv has rows of Fast, 2 cores and of Slow"):
        page.filled("", floor=rows)
    page.filled("", floor=rows[:1])


def test_rows_with_other_columns_leave_the_file_as_it_is(tmp_path):
    file = tmp_path / "rows.csv"
    kept.write(file, ("agent", "speed"), [{"agent": "dqn", "speed": 1.5}])
    before = file.read_text()
    with pytest.raises(ValueError, match="not in fieldnames"):
        kept.replace(file, ("agent",), ("agent",), [{"agent": "ppo"}])
    assert file.read_text() == before


def test_growth_keeps_no_rows_that_do_not_say_what_was_bound():
    growth = ROOT / "benchmarks" / "growth.py"
    command = [sys.executable, str(growth), "--save", "--gin_bindings", "DQNAgent.double = False"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 2 and "give --save or --gin_bindings" in done.stderr


@pytest.mark.parametrize("document", page.DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_are_what_the_program_makes_of_these_rows(document):
    text = document.read_text(encoding="utf-8")
    assert page.filled(text) == text, "run python benchmarks/peers/page.py"


def test_a_process_that_fails_says_why(monkeypatch):
    failing = [sys.executable, "-c", "raise SystemExit('no such game')"]
    monkeypatch.setattr(measure, "command_of", lambda name: failing)
    with pytest.raises(measure.Failure, match="no such game"), measure.Process("ours", "", 0, ""):
        pass
