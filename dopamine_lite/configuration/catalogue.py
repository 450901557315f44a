"""The parts that a gin file can refer to in this package, read from the source without running it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Kind:
    """A kind of parts that can replace each other.

    Attributes:
      title: the kind in the plural.
      noun: the name of one such part, with its article.
      bound: how a gin file refers to such a part, with "..." for its name; "": nothing refers to it.
      contract: the class that defines the contract of such a part, with its module; "": there is none.
      given: the parameters that the code that creates the part passes to it, so gin cannot bind them.
    """

    title: str
    noun: str
    bound: str
    contract: str = ""
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A class or function of the package that gin knows."""

    name: str
    module: str  # the module to import
    kind: Kind
    summary: str  # the first line of its docstring

    @property
    def selector(self) -> str:
        """The part's whole name in gin."""
        return f"{self.module}.{self.name}"


_ENVIRONMENT_ARGUMENTS = ("num_envs", "seed", "max_steps_per_episode", "render", "evaluate")
AGENT = Kind(
    "Agents",
    "an agent",
    "Runner.agent = @...",
    "dopamine_lite.agents.agent.Agent",
    ("spec", "seeds"),
)
DOPAMINE_STYLE = Kind(
    "Agents in Dopamine's style",
    "an agent in Dopamine's style",
    "DopamineAdapter.agent = @...",
    "dopamine_lite.agents.dopamine_adapter.DopamineStyleAgent",
    ("num_actions", "seed"),
)
TORSO = Kind(
    "Torsos",
    "a torso",
    "DQNAgent.torso = @...",
    "dopamine_lite.networks.torsos.torso.Torso",
    ("seeds",),
)
HEAD = Kind(
    "Heads",
    "a head",
    "DQNAgent.head = @...",
    "dopamine_lite.networks.heads.Head",
    ("seeds", "num_actions"),
)
POLICY = Kind(
    "Policies",
    "a policy",
    "",
    "dopamine_lite.networks.policies.Policy",
    ("seeds", "action_space"),
)
REPLAY = Kind(
    "Replay",
    "a replay",
    "DQNAgent.replay = @...",
    "dopamine_lite.replay.replay.Replay",
    ("spec", "generator"),
)
EXPLORATION = Kind(
    "Exploration",
    "an exploration",
    "DQNAgent.exploration = @...",
    "dopamine_lite.acting.exploration.Exploration",
    ("num_actions", "warmup", "seeds"),
)
OPTIMIZER = Kind(
    "Optimizers",
    "an optimizer",
    "DQNAgent.optimizer = @...",
    "dopamine_lite.networks.optimizers.Optimizer",
)
SCHEDULE = Kind(
    "Schedules",
    "a schedule",
    "Adam.schedule = @...",
    "dopamine_lite.networks.learning_rates.Schedule",
)
AUGMENTATION = Kind(
    "Augmentations",
    "an augmentation",
    "RainbowAgent.augmentation = @...",
    "dopamine_lite.networks.augmentation.Augmentation",
)
ENVIRONMENT = Kind(
    "Environments",
    "an environment",
    "Runner.environment = @...",
    "dopamine_lite.environments.environment.Environment",
    _ENVIRONMENT_ARGUMENTS,
)
WRAPPER = Kind(
    "Wrappers",
    "a wrapper",
    "wrapped_environment.wrappers = [@...]",
    "dopamine_lite.environments.wrappers.wrapper.EnvironmentWrapper",
    ("environment",),
)
CALLBACK = Kind(
    "Callbacks",
    "a callback",
    "Runner.callbacks = [@...]",
    "dopamine_lite.callbacks.callback.Callback",
)
OTHER = Kind("Other parts", "a part", "", given=("base_dir",))

KINDS = (
    *(AGENT, DOPAMINE_STYLE, TORSO, HEAD, POLICY, REPLAY, EXPLORATION, OPTIMIZER, SCHEDULE),
    *(AUGMENTATION, ENVIRONMENT, WRAPPER, CALLBACK, OTHER),
)

CONTRACTS = frozenset(kind.contract for kind in KINDS) - {""}

_BY_BASE = {  # the key: the end of the name of a base class, or of a function's return type
    "Agent": AGENT,
    "EnvironmentWrapper": WRAPPER,
    "Environment": ENVIRONMENT,
    "Exploration": EXPLORATION,
    "Optimizer": OPTIMIZER,
}
_BY_MODULE = {  # for a module's parts without such a base class
    "acting.exploration": EXPLORATION,
    "networks.torsos": TORSO,
    "networks.heads": HEAD,
    "networks.policies": POLICY,
    "networks.augmentation": AUGMENTATION,
    "networks.optimizers": OPTIMIZER,
    "networks.learning_rates": SCHEDULE,
    "callbacks": CALLBACK,
    "replay": REPLAY,
    "agents.switching_agent": DOPAMINE_STYLE,
    "environments": ENVIRONMENT,
}


@functools.cache
def parts() -> tuple[Part, ...]:
    """Every part of the package, ordered by kind, by module and by place in the module."""
    found = list(_found())
    return tuple(part for kind in KINDS for part in found if part.kind is kind)


def _found() -> Iterator[Part]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "configurable" not in text or _PACKAGE / "cli" in path.parents:
            continue
        module = ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
        for node in ast.parse(text).body:
            if isinstance(node, _Definition) and _is_known_to_gin(node):
                summary = (ast.get_docstring(node) or "").partition("\n")[0]
                yield Part(node.name, _known_module(node, module), _kind_of(node, module), summary)


def _known_module(node: _Definition, module: str) -> str:
    """The module by which gin knows a part: its own, or its package with `module=__package__`."""
    keywords = {
        f"{keyword.arg}={ast.unparse(keyword.value)}"
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
    }
    return module.rpartition(".")[0] if "module=__package__" in keywords else module


def _is_known_to_gin(node: _Definition) -> bool:
    return any(
        ast.unparse(decorator).partition("(")[0] in ("gin.configurable", "configurable")
        for decorator in node.decorator_list
    )


def _kind_of(node: _Definition, module: str) -> Kind:
    bases = node.bases if isinstance(node, ast.ClassDef) else [node.returns]
    for base in filter(None, bases):
        for name, kind in _BY_BASE.items():
            if ast.unparse(base).partition("[")[0].endswith(name):  # without type parameters
                return kind
    for place, kind in _BY_MODULE.items():
        if f"{module}.".startswith(f"dopamine_lite.{place}."):
            return kind
    return OTHER
