"""dopamine_lite: DQN on CartPole, two iterations in one run or in a run that is resumed."""

from __future__ import annotations

import sys
from pathlib import Path

from digest import STEPS, print_digest

from dopamine_lite import Experiment


def main(part: str, directory: Path) -> None:
    bindings = [
        f"Runner.training_steps = {STEPS}",
        f"Runner.num_iterations = {1 if part == 'first' else 2}",
        "DQNAgent.min_replay_history = 100",
    ]
    run = Experiment("dqn/cartpole.gin", bindings, seed=0).run(directory / "run")
    if part != "first":
        state = run.agent.get_state()["online"]
        print_digest(state[name] for name in sorted(state, key=int))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
