"""The page of the packaged configs, from the gin files and the results in baselines/."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from markdown_text import code, prose, table

from dopamine_lite import configuration
from dopamine_lite.configuration import catalogue, resolution
from dopamine_lite.configuration.resolution import Setting

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "baselines"))

import collect
import tables

_HEAD = """\
# Configs

Every config that comes with the package: where its settings come from, how long it trains, and what it
has reached. `dopamine-lite describe NAME` shows every value that a config sets, with the line that sets
it.

To run a config, name it with `--gin_files`. A binding replaces one of its settings, such as the game:

```sh
dopamine-lite train --base_dir runs/cartpole --gin_files dqn/cartpole.gin
dopamine-lite train --base_dir runs/breakout --gin_files dqn/atari.gin \\
    --gin_bindings 'AtariEnvironment.game = "Breakout"'
```

A result is the mean return of 100 evaluation episodes at the last checkpoint, averaged over seeds, with
a 95% interval of the mean by Student's t. [All results](../results/index.md) are beside published ones.
"Provenance" says where the settings come from, and "ours" means that they were chosen on the seeds of
the results.

"""
_TITLES = {
    **tables._AGENTS,
    "random": "Random agent",
    "classics": "Classics",
    "atari": "Atari protocols",
    "minatar": "MinAtar's protocol",
}
_ENVIRONMENTS = ("AtariEnvironment", "MinAtarEnvironment", "create_environment")
_NAME = re.compile(r"\b[a-z_0-9]+/[a-z_0-9]+\.gin\b")


@dataclass(frozen=True)
class Config:
    """A packaged config.

    Attributes:
      name: as it is given to --gin_files.
      header: the comment at its top.
      parts: the settings in force of each part, by its name; the settings of a part in a scope have the
        scope before their names.
      included: the configs that it includes, at any depth.
    """

    name: str
    header: str
    parts: Mapping[str, list[Setting]]
    included: tuple[str, ...]

    @property
    def is_experiment(self) -> bool:
        return self.value("Runner", "agent") is not None

    def value(self, part: str, parameter: str) -> str | None:
        """A setting in force as gin text; None: it is not bound and has no default."""
        for setting in self.parts.get(part, ()):
            if setting.name == f"{part}.{parameter}":
                return setting.value
        return None

    def number(self, parameter: str) -> int | None:
        """A setting of the Runner that is a number."""
        text = self.value("Runner", parameter)
        return None if text in (None, "None") else int(text)

    def uses(self, part: str) -> bool:
        """Whether the part is in force here."""
        return part in self.parts

    def bound(self, part: str) -> dict[str, str]:
        """What this config, or a config that it includes, binds on the part."""
        return {
            setting.name.replace(f"{part}.", ""): setting.value
            for setting in self.parts.get(part, ())
            if setting.place is not None and setting.value is not None
        }


def configs() -> list[Config]:
    """All packaged configs. Imports what they import."""
    return [_config(path) for path in _all()]


def link_to(config: Config, above: str = "") -> str:
    return f"[`{config.name}`]({above}configs.md#{_anchor(config.name)})"


def page(found: list[Config], links: Mapping[str, str]) -> str:
    """The page; `links` lead to the descriptions of parts."""
    experiments = [config for config in found if config.is_experiment]
    by_environment: dict[str, list[Config]] = {}
    for config in experiments:
        by_environment.setdefault(_environment(config), []).append(config)
    rows = [
        (name, ", ".join(f"[`{each.name}`](#{_anchor(each.name)})" for each in some))
        for name, some in sorted(by_environment.items(), key=lambda item: item[0].lower())
    ]
    parts = [_HEAD + table(("environment", "configs"), rows)]
    for directory, title in _TITLES.items():
        own = [config for config in found if config.name.startswith(f"{directory}/")]
        if own:
            parts.append(f"## {title} {{ #{directory} }}\n")
            parts += [_section(config, links) for config in own]
    return "\n".join(parts)


def _config(path: Path) -> Config:
    text = path.read_text(encoding="utf-8")
    header = re.match(r"(?:#.*\n)*", text)
    loaded = configuration.Loaded(lambda: configuration.load([path]))
    with loaded.in_force():
        groups = resolution.resolved(path)
    parts: dict[str, list[Setting]] = {}
    for group in groups:
        name = group[0].name.rpartition(".")[0].rpartition("/")[2]
        parts.setdefault(name, []).extend(group)
    return Config(
        path.relative_to(configuration.packaged_configs()).as_posix(),
        "" if header is None else re.sub(r"^# ?", "", header[0], flags=re.M).strip(),
        parts,
        tuple(_included(text)),
    )


def _included(text: str) -> Iterator[str]:
    for name in re.findall(r'^include "(.*)"', text, flags=re.M):
        yield name
        yield from _included((configuration.packaged_configs() / name).read_text(encoding="utf-8"))


def _anchor(name: str) -> str:
    return name.removesuffix(".gin").replace("/", "-")


def _environment(config: Config) -> str:
    if config.uses("AtariEnvironment"):
        return "Atari"
    if config.uses("MinAtarEnvironment"):
        return "MinAtar"
    return (config.value("create_environment", "id") or "").strip("'\"")


def _section(config: Config, links: Mapping[str, str]) -> str:
    short = config.name.partition("/")[2].removesuffix(".gin")  # for the contents
    heading = f'### {config.name} {{ #{_anchor(config.name)} data-toc-label="{short}" }}\n'
    lines = [heading, _header(config.header, links)]
    if not config.is_experiment:
        bound = {part: config.bound(part) for part in config.parts}
        rows = [(code(f"{p}.{n}"), code(v)) for p in bound for n, v in bound[p].items()]
        return "\n".join([*lines, table(("setting", "value"), rows)])
    facts = [*_facts(config, links), *_results(config)]
    lines.append("".join(f"* **{name}**: {text}\n" for name, text in facts if text))
    place = config.name.removesuffix(".gin").replace("/", "_")
    command = f"dopamine-lite train --base_dir runs/{place} --gin_files {config.name} --seed 0"
    return "\n".join([*lines, f"```sh\n{command}\n```\n"])


def _header(text: str, links: Mapping[str, str]) -> str:
    """A config's comment: its lines in paragraphs, in which Provenance and Deviations begin new ones."""
    text = re.sub(r"^(Provenance|Deviations?)\b", r"\n\1", text, flags=re.M)
    text = re.sub(r"\n- ", "\n\n- ", text)
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
    shown = (_linked(paragraph, links) for paragraph in paragraphs if paragraph)
    bold = (re.sub(r"^(Provenance|Deviations?)\b", r"**\1**", paragraph) for paragraph in shown)
    return "\n\n".join(bold) + "\n"


def _linked(text: str, links: Mapping[str, str]) -> str:
    """`text` as Markdown, in which the names of packaged configs and of parts are links."""
    known = {path.relative_to(configuration.packaged_configs()).as_posix() for path in _all()}
    targets = {**links, **{name: f"#{_anchor(name)}" for name in known}}
    text = _NAME.sub(lambda name: f"`{name[0]}`" if name[0] in known else name[0], text)
    return prose(text, targets)


@functools.cache
def _all() -> tuple[Path, ...]:
    return tuple(configuration.all_configs())


def _facts(config: Config, links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    num_envs = config.number("num_envs") or 1
    together = f", {num_envs} environments together" if num_envs > 1 else ""
    yield "Environment", f"{_environment(config)}{together}"
    iterations, steps = config.number("num_iterations"), config.number("training_steps")
    assert iterations is not None and steps is not None
    phase = -(-steps // num_envs) * num_envs
    evaluation = _evaluation(config)
    then = f"with {evaluation} of evaluation after each" if evaluation else "without evaluations"
    yield (
        "Length",
        f"{iterations * phase:,} agent steps, in {iterations:,} iterations {then}",
    )
    yield "Protocol", ", ".join(_protocol(config))
    kinds = (catalogue.ENVIRONMENT, catalogue.OTHER)
    parts = [part.name for part in catalogue.parts() if part.kind not in kinds]
    yield "Parts", ", ".join(code(name, links) for name in parts if config.uses(name))


def _protocol(config: Config) -> Iterator[str]:
    for name in config.included:
        if name.startswith(("atari/", "minatar/")):
            yield f"[`{name}`](#{_anchor(name)})"
    for part in _ENVIRONMENTS:
        for name, value in config.bound(part).items():
            place = next(each.place for each in config.parts[part] if each.name == f"{part}.{name}")
            if name != "id" and not str(place).startswith(("atari/", "minatar/")):
                yield code(f"{name} = {value}")
    limit = config.number("max_steps_per_episode")
    if limit is not None:
        yield f"at most {limit:,} agent steps an episode"
    wrappers = config.value("wrapped_environment", "wrappers")
    if wrappers:
        yield f"wrappers {code(wrappers)}"
    if config.value("Runner", "clip_rewards") == "True":
        yield "rewards clipped for the agent"


def _evaluation(config: Config) -> str | None:
    if config.value("Runner", "schedule") == "'continuous_train'":
        return None
    episodes, steps = config.number("evaluation_episodes"), config.number("evaluation_steps")
    return f"{episodes:,} episodes" if episodes is not None else f"{steps:,} agent steps"


def _results(config: Config) -> Iterator[tuple[str, str]]:
    """What was reached, for each environment and each set of further bindings."""
    for group in tables.groups():
        evaluations = group.values("evaluation_return")
        if group.config == config.name and evaluations:
            seeds = "1 seed" if len(group.rows) == 1 else f"{len(group.rows)} seeds"
            steps = tables._range(group.values("agent_steps"), 0)
            where = "" if group.environment == _environment(config) else f" in {group.environment}"
            bound = f" with {code(group.bindings)}" if group.bindings else ""
            result = f"{collect.interval(evaluations)} after {steps} agent steps, {seeds}"
            yield f"Return{where}", f"{result}{bound}"
