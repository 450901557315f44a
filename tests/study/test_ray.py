"""A study on a cluster of Ray, of which one node is lost in the middle."""

from __future__ import annotations

import os
import signal
import time

import pytest

from dopamine_lite.runner.directory import progress
from tests.study.conftest import LONG, ROOT, bindings, results
from tests.study.test_sweep import CLIFF, NAME, finish, newest, sweep

pytestmark = pytest.mark.extras
SMALL_STORE = {"object_store_memory": 80_000_000}


@pytest.fixture
def cluster(monkeypatch):
    """A head that runs nothing, and two nodes for one trial each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL_STORE},
    )
    nodes = [cluster.add_node(num_cpus=1, **SMALL_STORE) for _ in range(2)]
    yield cluster, nodes
    cluster.shutdown()


def test_a_lost_node_and_a_signal_cost_a_study_nothing(cluster, tmp_path):
    cluster, nodes = cluster
    study, whole = tmp_path / "study", tmp_path / "whole"
    names = [f"{NAME}/seed={seed}" for seed in (0, 1)]
    arguments = [CLIFF, "--seeds=0:2", *bindings(LONG)]
    on_ray = [*arguments, "--backend=ray", f"--ray_address={cluster.address}"]

    process = sweep(study, *on_ray)
    while not all(newest(study / name) for name in names):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    cluster.remove_node(nodes[0], allow_graceful=False)
    assert not any(progress(study / name).finished for name in names)
    _, err = finish(process)
    assert "2 at once on " in err
    printed = "".join((study / f"{name}.txt").read_text() for name in names)
    assert printed.count("$ dopamine-lite train ") == 3
    assert "Resuming at agent step" in printed

    finish(sweep(whole, *arguments))
    assert results(study, *names) == results(whole, *names)


def test_a_signal_stops_trials_at_safe_points(cluster, tmp_path):
    cluster, _ = cluster
    study, run = tmp_path / "study", tmp_path / "study" / NAME / "seed=0"
    on_ray = ["--backend=ray", f"--ray_address={cluster.address}"]
    process = sweep(study, CLIFF, "--seeds=0", *bindings(LONG), *on_ray)
    while not newest(run):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = finish(process, status=143)
    assert f"{NAME}/seed=0: stopped at checkpoint" in err
    assert "Stopped by SIGTERM at agent step" in (study / NAME / "seed=0.txt").read_text()
    assert not [name for name in os.listdir(study) if name.startswith(".stop")]


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path):
    missing = ["--backend=ray", "--ray_address=127.0.0.1:1"]
    _, err = finish(sweep(tmp_path / "study", CLIFF, "--seeds=0", *bindings(LONG), *missing), 2)
    assert "dopamine-lite: No Ray cluster answers at 127.0.0.1:1 (" in err
