"""`list`: what is there, from the source itself."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

from dopamine_lite import configuration
from tests.cli.conftest import ROOT


def test_every_part_and_every_config(cli):
    listed = cli("list")
    assert listed.status == 0 and listed.err == ""
    sections = dict(
        section.split("\n", 1) for section in listed.out.split("\n\n") if "\n" in section
    )
    sections = {title.partition(" (")[0]: rows for title, rows in sections.items()}
    for title, names in (
        ("Agents", "DQNAgent RandomAgent DopamineAdapter"),
        ("Agents in Dopamine's style", "SwitchingAgent"),
        ("Torsos", "MLP NatureCNN DictTorso"),
        ("Heads", "QHead ImplicitQuantileHead"),
        ("Policies", "GaussianPolicy"),
        ("Replay", "CircularReplay PrioritizedReplay"),
        ("Exploration", "EpsilonGreedy PerEnvironmentEpsilonGreedy Boltzmann"),
        ("Optimizers", "Adam RMSProp"),
        ("Augmentations", "RandomShift"),
        ("Environments", "create_environment wrapped_environment"),
        ("Wrappers", "Discretise StackFrames"),
        ("Other parts", "Runner Munchausen tensorflow_threads"),
    ):
        for name in names.split():
            assert f"\n  {name} " in f"\n{sections[title]}", (title, name)
            assert listed.out.count(f"\n  {name} ") == 1
    configs = configuration.all_configs()
    assert configs
    for path in configs:
        name = path.relative_to(configuration.packaged_configs()).as_posix()
        line = next(line for line in listed.out.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 2, f"{name} does not say in its first comment what it is"


def test_games(cli):
    games = cli("list", "--games").out.splitlines()
    assert {"Pong", "Breakout", "MontezumaRevenge", "Seaquest"} <= set(games)
    assert len(games) > 100


def test_tables_at_a_terminal():
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "dopamine_lite", "list"], cwd=ROOT, stdout=follower
    ) as process:
        os.close(follower)
        shown = b"".join(_until_closed(leader))  # while it writes: a terminal holds 4 kB
    os.close(leader)
    assert process.returncode == 0
    assert "─" in shown.decode() and "RandomAgent" in shown.decode()


def _until_closed(leader: int) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # what Linux says once the other side is closed
        while part := os.read(leader, 4096):
            yield part
