"""Reads a study's `grid` and `seeds`: values of parameters to cross, spaces to search, and seeds."""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dopamine_lite.common.errors import UserError

SPACES = {  # the number of arguments of each space in `grid`; None: one or more
    "uniform": 2,
    "loguniform": 2,
    "int": 2,
    "choice": None,
}
_MOST_SEEDS = 100_000
_PARAMETER = re.compile(r"\s*([\w.]+(?:/[\w.]+)*)\s*=\s*(.*?)\s*", re.DOTALL)
_SPACE = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_RANGE = re.compile(r"(\d+)\s*:\s*(\d+)")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_EXAMPLE = "`grid` 'DQNAgent.gamma=[0.9,0.99]'"
_EXAMPLE_OF_SPACE = "`grid` 'DQNAgent.gamma=uniform(0.9,0.999)'"


@dataclass(frozen=True)
class Values:
    """A parameter and the values to bind to it in turn, as gin text."""

    parameter: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """A parameter and the space from which a search takes its values.

    Attributes:
      kind: one of `SPACES`.
      arguments: the arguments of the space as gin text: numbers, or any values for "choice".
    """

    parameter: str
    kind: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.parameter}={self.kind}({', '.join(self.arguments)})"


def axes(texts: Iterable[str]) -> list[Values | Space]:
    """The values or the space of each `grid`.

    Raises:
      UserError: a text cannot be read, names no value or a value twice, or two texts name one parameter.
    """
    found = [_axis(text) for text in texts]
    for parameter, times in Counter(axis.parameter for axis in found).items():
        if times > 1:
            raise UserError(f"`grid` names {parameter} {times} times: put its values in one list.")
    return found


def crossed(axes_of_values: Sequence[Values]) -> list[dict[str, str]]:
    """Every combination of the values, each a dict from parameter to gin text; {} alone for no axes."""
    names = [axis.parameter for axis in axes_of_values]
    every = itertools.product(*(axis.values for axis in axes_of_values))
    return [dict(zip(names, values, strict=True)) for values in every]


def seeds(text: str) -> list[int]:
    """The seeds in `seeds`: "0:5" is 0 to 4, "0,3,7" these three seeds, "0:3,10:12" both ranges.

    Raises:
      UserError: the text cannot be read, is empty or names a seed twice.
    """
    found: list[int] = []
    for part in map(str.strip, text.split(",")):
        if part.isdecimal() and part.isascii():
            found.append(int(part))
            continue
        match = _RANGE.fullmatch(part)
        if match is None:
            raise UserError(
                f"`seeds` {text!r} cannot be read at {part!r}: write a range such as 0:10, which "
                "means 0 to 9, or a list such as 0,3,7."
            )
        begin, end = int(match[1]), int(match[2])
        if end <= begin:
            raise UserError(f"`seeds` {part} is empty: the end of a range, {end}, is not included.")
        if end - begin > _MOST_SEEDS:
            raise UserError(f"`seeds` {part} names more than {_MOST_SEEDS:,} seeds: write fewer.")
        found += range(begin, end)
    twice = [str(seed) for seed, times in Counter(found).items() if times > 1]
    if twice:
        raise UserError(
            f"`seeds` {text} names {', '.join(twice[:5])} more than once: each seed is one run, so "
            "write it once."
        )
    return found


def _axis(text: str) -> Values | Space:
    match = _PARAMETER.fullmatch(text)
    if match is None or not match[2]:
        raise UserError(
            f"`grid` {text!r} cannot be read: write a parameter and a list, such as {_EXAMPLE}."
        )
    parameter, content = match.groups()
    if parameter.rpartition("/")[2] == "Runner.seed":
        raise UserError(
            "`grid` cannot bind Runner.seed: name seeds with `seeds`, such as `seeds` 0:10."
        )
    space = _SPACE.fullmatch(content)
    if space is not None:
        return _space(parameter, space[1], _elements(space[2], text))
    if not (content.startswith("[") and content.endswith("]")):
        raise UserError(
            f"`grid` {text!r} gives {parameter} no list: write its values in brackets, such as "
            f"{_EXAMPLE}; a single value for all trials goes into `gin_bindings`."
        )
    values = [_canonical(value, text) for value in _elements(content[1:-1], text)]
    if not values:
        raise UserError(f"`grid` {text!r} is empty: write at least one value, such as {_EXAMPLE}.")
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise UserError(f"`grid` {text!r} names {twice[0]} more than once: write it once.")
    return Values(parameter, tuple(values))


def _space(parameter: str, kind: str, arguments: list[str]) -> Space:
    written = f"{parameter}={kind}({','.join(arguments)})"
    if kind not in SPACES:
        raise UserError(
            f"`grid` '{written}': there is no search space {kind}: choose one of "
            f"{', '.join(SPACES)}, such as {_EXAMPLE_OF_SPACE}."
        )
    values = tuple(_canonical(argument, written) for argument in arguments)
    if kind == "choice":
        if len(set(values)) < 2 or len(set(values)) < len(values):
            raise UserError(f"`grid` '{written}': give choice two or more values, all different.")
        return Space(parameter, kind, values)
    if len(values) != SPACES[kind] or not all(_is_number(value, kind) for value in values):
        kinds = "whole numbers" if kind == "int" else "numbers"
        raise UserError(
            f"`grid` '{written}': give {kind} the least and the greatest value, two {kinds}."
        )
    least, greatest = (ast.literal_eval(value) for value in values)
    if not least < greatest or (kind == "loguniform" and least <= 0):
        positive = ", and both above 0" if kind == "loguniform" else ""
        raise UserError(f"`grid` '{written}': the first value must be below the second{positive}.")
    return Space(parameter, kind, values)


def _is_number(value: str, kind: str) -> bool:
    number = ast.literal_eval(value) if not _has_reference(value) else None
    return type(number) is int or (type(number) is float and kind != "int")


def _elements(content: str, flag: str) -> list[str]:
    """The values in `content`, separated by commas, as they are written."""
    line = content.replace("\n", " ").strip()
    if not line:
        return []
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line).readline))
    except (tokenize.TokenError, IndentationError) as error:
        raise UserError(f"`grid` {flag!r} opens a bracket or text and never closes it.") from error
    elements, begin, depth = [], 0, 0
    for token in tokens:
        if token.type != tokenize.OP:
            continue
        depth += (token.string in _OPENING) - (token.string in _CLOSING)
        if depth < 0:
            raise UserError(f"`grid` {flag!r} closes a bracket that it does not open.")
        if token.string == "," and depth == 0:
            elements.append(line[begin : token.start[1]].strip())
            begin = token.end[1]
    if last := line[begin:].strip():  # a trailing comma is allowed
        elements.append(last)
    return elements


def _canonical(value: str, flag: str) -> str:
    """`value` in its canonical form: 0.001 for 1e-3."""
    if _has_reference(value):
        return " ".join(value.split())  # loading the config shows whether it exists
    try:
        return repr(ast.literal_eval(value))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UserError(
            f"`grid` {flag!r}: gin cannot read the value {value!r}; put text in quotes, and @ before "
            "the name of a class or function."
        ) from error


def _has_reference(value: str) -> bool:
    """Whether an @ or % in `value` is not in quotes."""
    return any(sign in re.sub(r"'[^']*'|\"[^\"]*\"", "", value) for sign in "@%")
