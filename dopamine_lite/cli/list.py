"""`dopamine-lite list`: the agents, parts and configs, read from the source without running it."""

from __future__ import annotations

import importlib
from pathlib import Path

from absl import flags

from dopamine_lite.cli.tables import print_table

SUMMARY = "Shows the agents, all other parts and the configs that come with the package."
EXAMPLE = "dopamine-lite list"


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_boolean(
        "games", False, "List only the names of the Atari games.", flag_values=flag_values
    )


def run(flag_values: flags.FlagValues) -> None:
    if flag_values.games:
        print("\n".join(_atari_games()))
        return
    from dopamine_lite import configuration
    from dopamine_lite.configuration import catalogue

    for kind in catalogue.KINDS:
        rows = [(part.name, part.summary) for part in catalogue.parts() if part.kind is kind]
        if rows:
            print_table(f"{kind.title} ({kind.bound})" if kind.bound else kind.title, rows)
    configs = configuration.packaged_configs()
    print_table(
        "Configs (--gin_files=...)",
        [
            (path.relative_to(configs).as_posix(), _first_comment(path))
            for path in configuration.all_configs()
        ],
    )
    print("`dopamine-lite describe NAME` shows what can be set on a part, or what a config sets.")


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")


def _atari_games() -> list[str]:
    atari_environment = importlib.import_module("dopamine_lite.environments.atari_environment")
    return sorted(atari_environment.games())
