"""`dopamine-lite describe`: the parameters of a part, or the settings of a config and their sources."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from dopamine_lite.configuration.catalogue import Part
    from dopamine_lite.configuration.description import Description, Parameter
    from dopamine_lite.configuration.resolution import Setting

SUMMARY = "Shows what can be set on a part, such as DQNAgent, or everything that a config sets."
POSITIONAL = (
    "NAME: The name of a part (`dopamine-lite list` shows them), of one of its parameters, such as "
    "DQNAgent.gamma, or of a config (a path or a packaged name such as dqn/cartpole.gin)."
)
EXAMPLE = "dopamine-lite describe DQNAgent"
_WIDEST = 100
_CONFIGS_SHOWN = 8


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "import",
        [],
        "A module of yours that registers parts with gin. It is imported, so its code is executed.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean("json", False, "Print everything as JSON.", flag_values=flag_values)


def run(flag_values: flags.FlagValues, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UserError(
            f"describe takes one NAME, not {len(arguments)}: give one, such as "
            "`dopamine-lite describe DQNAgent`."
        )
    name = arguments[0].removeprefix("@")
    imports = flag_values["import"].value
    part, parameter = _find_part(name, imports)
    if part is None:
        _describe_config(_find_config(name, imports), flag_values.json)
    else:
        _describe_part(part, parameter, flag_values.json)


def _find_part(name: str, imports: Sequence[str]) -> tuple[Part | None, str | None]:
    """The part that `name` means, in upper or lower case, and its parameter if `name` has one."""
    from dopamine_lite import configuration
    from dopamine_lite.configuration import catalogue, description
    from dopamine_lite.configuration.tensorflow_setup import import_tensorflow

    if imports:
        import_tensorflow()  # before the modules do it, and with its banner
        configuration.load([], [f"import {module}" for module in imports])
    known = {part.name.lower(): part for part in catalogue.parts()}
    if imports:
        own = [description.part_of(each) for each in description.own_names()]
        known |= {part.name.lower(): part for part in own}
    *_, outer, inner = ["", *name.lower().split(".")]
    if inner in known:
        return known[inner], None
    return (known[outer], inner) if outer in known else (None, None)


def _find_config(name: str, imports: Sequence[str]) -> Path:
    """The gin file that `name` means. If there is none, raises UserError with the nearest names."""
    from dopamine_lite import configuration
    from dopamine_lite.configuration import catalogue, description

    try:
        return configuration.find_config(name)
    except UserError:
        configs = configuration.packaged_configs()
        names = [part.name for part in catalogue.parts()]
        names += description.own_names() if imports else []
        names += [path.relative_to(configs).as_posix() for path in configuration.all_configs()]
        hint = "`dopamine-lite list` shows all names; --import MODULE adds parts of your own."
        if owners := description.owners_in_configs(name):
            hint = (
                f"it is a setting of {' or '.join(owners)}: write `dopamine-lite describe "
                f"{owners[0]}.{name}`."
            )
        elif re.search(r"-v\d+$", name):
            hint = f"for an environment use `dopamine-lite check-environment {name}`."
        elif nearest := _nearest(name, names):
            hint = f"did you mean {nearest}? {hint}"
        raise UserError(f"There is no part or config named {name!r}: {hint}") from None


def _nearest(name: str, names: Iterable[str]) -> str:
    """At most three of `names` that begin like `name` or resemble it: "DQNAgent or QHead"."""
    known = {each.lower().removesuffix(".gin"): each for each in names}
    name = name.lower().removesuffix(".gin")
    beginning = [each for each in known if each.startswith(name)]
    like = difflib.get_close_matches(name, known, n=3)
    return " or ".join(known[each] for each in dict.fromkeys([*beginning, *like][:3]))


def _describe_part(part: Part, parameter: str | None, as_json: bool) -> None:
    from dopamine_lite.configuration import description

    about = description.described(part)
    if parameter is not None:
        about = _of_one_parameter(about, parameter)
    configs = description.configs_that_name(part.name)
    if as_json:
        content = dataclasses.asdict(about)
        content["part"]["kind"] = part.kind.noun.partition(" ")[2]
        print(json.dumps(content | {"configs": configs}, indent=1))
    elif parameter is not None:
        _print_parameter(part.name, about.parameters[0])
    else:
        _print_part(about, configs)


def _of_one_parameter(about: Description, name: str) -> Description:
    kept = tuple(each for each in about.parameters if each.name.lower() == name)
    if kept:
        return dataclasses.replace(about, parameters=kept)
    part = about.part.name
    if name in about.given:
        raise UserError(f"{part}.{name} cannot be bound: the code that creates the part passes it.")
    names = [each.name for each in about.parameters]
    near = difflib.get_close_matches(name, names, n=1)
    hint = (
        f"did you mean {near[0]}?" if near else f"its parameters are: {', '.join(names) or 'none'}."
    )
    raise UserError(f"{part} has no parameter {name} that can be bound: {hint}")


def _print_part(about: Description, configs: list[str]) -> None:
    from dopamine_lite.configuration import description

    part = about.part
    print(f"{part.name}, {part.kind.noun}\n")
    paragraphs = about.text.split("\n\n") if about.text else ["(It has no docstring.)"]
    print("\n\n".join(map(_paragraph, paragraphs)))
    print(f"\n  import {part.module}")
    if bound := description.bound_as(part):
        print(f"  {bound}")
    if about.parameters:
        print("\nParameters that can be bound, and their defaults:\n")
    for parameter in about.parameters:
        _print_parameter(part.name, parameter)
    if not about.parameters:
        print("\nNothing can be bound.")
    if about.given:
        passed = f"Passed by the code that creates it, not by gin: {', '.join(about.given)}."
        print(_filled(passed, "\n"))
    if configs:
        shown, more = configs[:_CONFIGS_SHOWN], len(configs) - _CONFIGS_SHOWN
        names = ", ".join(shown) + (f" and {more} more (--json lists them all)" if more > 0 else "")
        print(_filled(f"Packaged configs that name it: {names}.", "\n"))


def _print_parameter(part: str, parameter: Parameter) -> None:
    default = "...  (must be bound)" if parameter.default is None else parameter.default
    print(printable(f"  {part}.{parameter.name} = {default}"))
    said = f": {parameter.help}" if parameter.help else "."
    print(_filled(f"{parameter.kind[0].upper()}{parameter.kind[1:]}{said}", " " * 6))
    if parameter.fits:
        print(_filled(f"Parts that fit: {', '.join(parameter.fits)}.", " " * 6))


def _describe_config(path: Path, as_json: bool) -> None:
    from dopamine_lite import configuration
    from dopamine_lite.configuration import resolution
    from dopamine_lite.configuration.tensorflow_setup import import_quietly

    import_quietly("dopamine_lite.runner.runner")  # every config binds it

    configuration.load([path])
    groups = resolution.resolved(path)
    if as_json:
        settings = [dataclasses.asdict(setting) for group in groups for setting in group]
        print(json.dumps({"config": str(path), "settings": settings}, indent=1))
        return
    header = re.match(r"(#.*\n)*", path.read_text(encoding="utf-8-sig"))
    print(printable(header[0] if header else ""))
    print("\n".join(f"import {module}" for module in configuration.imported_modules()))
    for group in groups:
        print()
        _print_settings(group)


def _print_settings(group: Sequence[Setting]) -> None:
    """Prints lines of gin, each with a comment on its source."""
    lines = [
        f"{setting.name} = {setting.value}" if setting.value else f"# {setting.name} is not bound"
        for setting in group
    ]
    width = min(max(map(len, lines)), _WIDEST // 2)
    for setting, line in zip(group, lines, strict=True):
        comment = f"  # {setting.place or 'default'}" if setting.value else ""
        print(printable(f"{line:<{width}}{comment}"))


def _paragraph(text: str) -> str:
    """A docstring's paragraph, wrapped to the terminal's width. Lists and the like stay as they are."""
    is_plain = re.search(r"^[ *-]", text, flags=re.M) is None
    return _filled(" ".join(text.split()), "") if is_plain else printable(text)


def _filled(text: str, indentation: str) -> str:
    """`text`, wrapped to the terminal's width and indented; a newline before it stays."""
    space = indentation.lstrip("\n")
    filled = textwrap.fill(
        printable(text),
        width=min(shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST),
        break_on_hyphens=False,
        break_long_words=False,
        initial_indent=space,
        subsequent_indent=space,
    )
    return f"{indentation.removesuffix(space) if space else indentation}{filled}"
