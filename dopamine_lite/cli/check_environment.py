"""`dopamine-lite check-environment`: does an environment follow the rules, and which agents fit it?

The exit status is 0 if it follows the rules, with or without warnings, and 2 if it breaks one.
"""

from __future__ import annotations

import functools
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable

if TYPE_CHECKING:
    from dopamine_lite.environments.environment import Environment, EnvironmentSpec
    from dopamine_lite.runner.environment_check import EnvironmentCheck, Played
    from dopamine_lite.runner.fitting import Fit

SUMMARY = (
    "Plays an environment at random, checks that it follows the rules, and shows which agents fit "
    "it."
)
POSITIONAL = (
    "[ID]: The environment's id, such as CartPole-v1, ALE/Pong-v5, or module:MyId-v0 for an "
    "environment that your own module registers (its code is executed). Leave it out if you give "
    "--gin_files."
)
EXAMPLE = "dopamine-lite check-environment CartPole-v1"
_WIDEST = 100


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "gin_files",
        [],
        "A gin file: a path or a packaged name. Its environment is checked as a run would make it.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "A binding, such as create_environment.kwargs={'rows': 5}.",
        flag_values=flag_values,
    )
    run_directory.define_count(
        flag_values,
        "steps",
        1_000,
        "The number of agent steps in each play, over all environments together.",
    )
    flags.DEFINE_integer(
        "num_envs",
        None,
        "The number of environments that are stepped together. Default: the experiment's number, or "
        "1.",
        lower_bound=1,
        flag_values=flag_values,
    )
    run_directory.define_seed(flag_values)


def run(flag_values: flags.FlagValues, arguments: list[str]) -> None:
    if len(arguments) > 1 or bool(arguments) == bool(flag_values.gin_files):
        raise UserError(
            "check-environment takes one ID, such as `dopamine-lite check-environment CartPole-v1`, or "
            "--gin_files: give one of them."
        )
    from dopamine_lite import configuration
    from dopamine_lite.runner.environment_check import EnvironmentCheck

    make = _environment(arguments, flag_values.gin_files, flag_values.gin_bindings)
    limit, num_envs = (
        configuration.bound("Runner", name) if flag_values.gin_files else None
        for name in ("max_steps_per_episode", "num_envs")
    )
    num_envs = flag_values.num_envs or num_envs or 1
    check = EnvironmentCheck(make, num_envs, flag_values.steps, flag_values.seed, limit)
    spec = configuration.construct(check.spec)
    _say(_title(spec, flag_values.steps, flag_values.seed))
    for sentence in _declared(spec):
        _say(sentence)
    played = check.play()
    for sentence in _seen(played):
        _say(sentence)
    for part in (_repeated(check, played), _drawn(check), _fitting(spec)):
        for sentence in part:
            _say(sentence)
    print()
    for warning in check.warnings:
        _say(f"Warning: {warning}")
    count = len(check.warnings)
    warnings = f"{count} warning{'s' * (count > 1)}" if count else "no warnings"
    print(f"It follows the rules for environments: no violations, {warnings}.")


def _environment(
    ids: Sequence[str], gin_files: Sequence[str], gin_bindings: Sequence[str]
) -> Callable[..., Environment]:
    """The function that makes the environment, like `Runner.environment`; loads its bindings."""
    from dopamine_lite import configuration

    if ids:
        from dopamine_lite.environments.factory import create_environment

        configuration.load([], gin_bindings)
        return functools.partial(create_environment, id=ids[0])
    from dopamine_lite.configuration.tensorflow_setup import import_quietly

    for name in gin_files:
        configuration.find_config(str(name))  # before an import that takes seconds
    import_quietly("dopamine_lite.runner.runner")
    configuration.load(gin_files, gin_bindings)
    make = configuration.bound("Runner", "environment")
    if not callable(make):
        raise UserError(
            f"{' and '.join(gin_files)} {'bind' if len(gin_files) > 1 else 'binds'} no "
            "Runner.environment: give the gin file of a whole experiment, or an ID."
        )
    return cast("Callable[..., Environment]", make)


def _title(spec: EnvironmentSpec, steps: int, seed: int) -> str:
    played = f"{spec.num_envs} environments" if spec.num_envs > 1 else "1 environment"
    return f"{spec.id} with random legal actions: {played}, {steps:,} agent steps, seed {seed}"


def _declared(spec: EnvironmentSpec) -> Iterator[str]:
    stack = f", stacks of {spec.stack_size} frames" if spec.stack_size > 1 else ""
    yield f"- Observations are {_in_words(spec.observation_space)}{stack}."
    names = f": {', '.join(spec.action_names)}" if spec.action_names else ""
    yield f"- Actions are {_in_words(spec.action_space)}{names}."
    limit = spec.max_steps_per_episode
    yield (
        f"- An episode has at most {limit:,} agent steps."
        if limit
        else ("- Nothing limits the length of an episode.")
    )


def _seen(played: Played) -> Iterator[str]:
    from dopamine_lite.reporting.iteration_statistics import summarize

    if played.spec.action_masks:
        yield f"- {played.legal:.0%} of the actions were legal, on average."
    else:
        yield "- Every action is always legal: there are no action masks."
    low, high = f"{played.lowest:,g}", f"{played.highest:,g}"
    rewards = f"every reward was {low}" if low == high else f"rewards from {low} to {high}"
    if not played.episodes:
        yield f"- No episode ended; {rewards}."
        return
    found = summarize(played.episodes)
    lengths = [episode.length for episode in played.episodes]
    count = f"{found['episodes']:,} episodes" if found["episodes"] > 1 else "1 episode"
    returns = f"returns of {_range(found['min_return'], found['max_return'])}"
    if found["min_return"] < found["max_return"]:
        returns += f", {found['average_return']:,.4g} on average"
    steps = f"{_range(min(lengths), max(lengths))} step{'s' * (max(lengths) > 1)}"
    yield f"- {count} ended, of {steps}; {returns}; {rewards}."


def _range(low: float, high: float) -> str:
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


def _repeated(check: EnvironmentCheck, played: Played) -> Iterator[str]:
    """The effects of the seed, and the speed."""
    from dopamine_lite.runner.environment_check import first_difference

    again = check.again()
    speed = again.steps / max(again.seconds, 1e-9)
    difference = first_difference(played, again)
    if difference is None:
        yield "- Created again with the same seed and given the same actions, it repeats itself."
        draws = first_difference(played, check.other_seed()) is not None
        yield (
            "- With a different seed it shows something different."
            if draws
            else (
                "- A different seed changes nothing: the environment draws no random numbers, or "
                "it ignores its seed."
            )
        )
        yield from _side_by_side(check, draws)
    else:
        step, name = difference
        where = f"step {step:,}" if step else "the first reset"
        check.warnings.append(
            f"Created again with the same seed and given the same actions, {played.spec.id} shows "
            f"different {name} from {where} on, so no run and no evaluation can be repeated. Let "
            "it draw random numbers only from self.np_random, which `super().reset(seed=seed)` "
            "seeds."
        )
        yield "- The same seed does not give the same episodes: see below."
    yield f"- {speed:,.0f} agent steps a second, without an agent."
    yield from _unwrapped(check, repeats=difference is None)


def _side_by_side(check: EnvironmentCheck, draws: bool) -> Iterator[str]:
    """Whether there can be several copies, and whether copies that draw random numbers differ."""
    try:
        equal = check.equal_environments()
    except Exception as error:  # whatever the user's code raises for a second copy
        what = f"{type(error).__name__}: {_original(error)}"
        yield f"- Two copies of it cannot be played at once ({what}): leave Runner.num_envs at 1."
        return
    if equal is None:
        yield "- Environments that are played at once differ even if they are given the same actions."
    elif draws:
        check.warnings.append(
            f"Environments {equal[0]} and {equal[1]} always show the same if they are given the "
            "same actions, although a different seed changes what they show: they draw the same "
            "random numbers. Let each draw from its own self.np_random."
        )
        yield "- Environments that are played at once repeat each other: see below."


def _unwrapped(check: EnvironmentCheck, repeats: bool) -> Iterator[str]:
    """The behavior of Gymnasium's environment by itself, if it is one. A new one `repeats` or not."""
    found = check.alone()
    if found is None:
        return
    if found.repeats:
        yield "- reset(seed=...) alone gives the same episode again."
    elif repeats:
        yield (
            "- reset(seed=...) alone does not give the same episode again; a run creates its "
            "environments anew for every segment, so it can still be repeated."
        )
    if found.rewritten is None:
        yield "- Observations do not change after they have been returned."
    else:
        yield (
            "- It changed an observation after it had returned it, first in step "
            f"{found.rewritten:,}. This package copies every observation in time; other programs "
            "may not."
        )


def _original(error: Exception) -> BaseException:
    """`error` without gin's additions."""
    from dopamine_lite import configuration

    return configuration.original(error)


def _drawn(check: EnvironmentCheck) -> Iterator[str]:
    try:
        height, width, _ = check.picture()
    except Exception as error:  # also from the user's code: films are optional
        what = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        yield f"- It cannot be filmed by `record`: {what}{_original(error)}"
    else:
        yield f"- It draws pictures of {width} x {height} pixels."


def _fitting(spec: EnvironmentSpec) -> Iterator[str]:
    """The agents and torsos of the package that fit it."""
    from dopamine_lite import configuration
    from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads

    import_tensorflow()
    configuration.load([])  # ignores what the experiment binds on its own agent
    tensorflow_threads(intra_op=1)
    from dopamine_lite.runner import fitting

    agents, torsos = fitting.agents_for(spec), fitting.torsos_for(spec)
    yield f"- Agents that fit: {', '.join(agents.fits) or 'none'}."
    yield from _refusals(agents)
    yield f"- Torsos that fit: {', '.join(torsos.fits) or 'none'}."


def _refusals(agents: Fit) -> Iterator[str]:
    """One sentence for all agents that refuse for the same reason."""
    groups: dict[str, list[str]] = {}
    for name, sentence in agents.refusals.items():
        groups.setdefault(sentence.replace(name, "_"), []).append(name)
    for names in groups.values():
        do = "do" if len(names) > 1 else "does"
        yield f"- {', '.join(names)} {do} not fit: {agents.refusals[names[0]]}"


def _in_words(space: Any) -> str:
    """A space in words. Bounds that are the same everywhere appear once."""
    import gymnasium
    import numpy as np

    if isinstance(space, gymnasium.spaces.Box) and space.shape:
        low, high = np.unique(space.low), np.unique(space.high)
        if len(low) == len(high) == 1:
            return f"Box({low[0]}, {high[0]}, {space.shape}, {space.dtype})"
    return str(space)


def _say(sentence: str) -> None:
    """Prints a sentence, wrapped to the terminal's width, at once: the next may take seconds."""
    print(
        textwrap.fill(
            printable(" ".join(sentence.split())),
            width=min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST),
            subsequent_indent="  " if sentence.startswith("- ") else "",
            break_on_hyphens=False,
            break_long_words=False,
        ),
        flush=True,
    )
