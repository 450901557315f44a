"""Actors in a Ray cluster give the same bits, also where one is lost."""

from __future__ import annotations

import pytest

from dopamine_lite.common.errors import UserError
from tests.collecting.runs import DQN, run, runner

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def test_actors_on_several_nodes_change_nothing(address, tmp_path, monkeypatch, capsys):
    whole = run(tmp_path / "whole", DQN, actors=1)
    monkeypatch.setenv("RAY_ADDRESS", address)
    killed: set[int] = set()

    def kill(made) -> None:
        if made.agent_steps in (75, 400) and made.agent_steps not in killed:
            killed.add(made.agent_steps)
            worker = made.training.players._crew._workers[1]
            worker._ray.kill(worker._actor)

    found = run(tmp_path / "ray", DQN, actors=3, backend="ray", on_step=kill)
    assert found == whole
    assert capsys.readouterr().err.count("An actor has ended") == len(killed) == 2


def test_a_cluster_that_does_not_answer_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match="No Ray cluster answers .*: check RAY_ADDRESS"):
        runner(tmp_path / "run", DQN, 2, "ray").run()
