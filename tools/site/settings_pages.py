"""The pages of settings, from what `dopamine-lite describe` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from configs_page import Config, link_to
from markdown_text import capitalized, code, indented, lookup, prose, table
from reference_pages import SETTINGS, SETTINGS_INDEX, SettingsPage

from dopamine_lite.configuration import catalogue, description
from dopamine_lite.configuration.catalogue import Part
from dopamine_lite.configuration.description import Description, Parameter

_INDEX = """\
# Settings

Every part that a gin file can refer to, and every setting of it. `dopamine-lite describe NAME` shows the
same in a terminal.

A binding sets one parameter of a part. A parameter whose value is a reference takes the name of another
part, with `@` before it:

```gin
DQNAgent.gamma = 0.99
DQNAgent.torso = @MLP
MLP.hidden_units = (256, 256)
```

For each part, the pages show the lines that import and bind it, and a table of its parameters. A
parameter in bold has no default, so it must be bound. [Settings: how to](../../how_to/settings.md) shows
how to find out what a config sets.

"""


def pages(configs: list[Config]) -> dict[str, str]:
    """The text of each page by its name below docs/reference."""
    found = {page: _parts_on(page) for page in SETTINGS}
    missing = set(catalogue.parts()) - {part for parts in found.values() for part in parts}
    if missing:
        raise SystemExit(
            f"No page is for {sorted(part.name for part in missing)}: see reference_pages.py."
        )
    links = {part.name: f"{page.name}.md#{part.name}" for page in SETTINGS for part in found[page]}
    texts = {SETTINGS_INDEX: _INDEX + "\n".join(_overview(found))}
    for page, parts in found.items():
        sections = (_section(part, links, configs) for part in parts)
        text = f"# {page.title}\n\n{page.introduction}\n\n{_contents(parts)}\n" + "\n".join(
            sections
        )
        texts[f"settings/{page.name}.md"] = text
    return texts


def links_from(directory: str) -> dict[str, str]:
    """Where each part is described, by its name; `directory` leads from a page to the settings."""
    return {
        part.name: f"{directory}{page.name}.md#{part.name}"
        for part in catalogue.parts()
        for page in SETTINGS
        if _is_on(page, part)
    }


def _parts_on(page: SettingsPage) -> list[Part]:
    """Its parts in the catalogue's order, other parts in the order of the page's modules."""

    def rank(part: Part) -> int:
        places = [i for i, name in enumerate(page.modules) if part.module.startswith(name)]
        return places[0] if part.kind is catalogue.OTHER and not page.kinds else 0

    return sorted((part for part in catalogue.parts() if _is_on(page, part)), key=rank)


def _is_on(page: SettingsPage, part: Part) -> bool:
    if part.kind is catalogue.OTHER:
        return part.module.startswith(page.modules) if page.modules else False
    return part.kind.title in page.kinds


def _overview(found: Mapping[SettingsPage, list[Part]]) -> Iterator[str]:
    for page, parts in found.items():
        rows = [(f"[`{p.name}`]({page.name}.md#{p.name})", prose(p.summary)) for p in parts]
        yield f"## [{page.title}]({page.name}.md)\n\n{lookup(('part', 'what it is'), rows)}"


def _contents(parts: list[Part]) -> str:
    return lookup(
        ("part", "what it is"), [(f"[`{p.name}`](#{p.name})", prose(p.summary)) for p in parts]
    )


def _section(part: Part, links: Mapping[str, str], configs: list[Config]) -> str:
    about = description.described(part)
    own = {name: target for name, target in links.items() if name != part.name}
    lines = [f"import {part.module}", *filter(None, [description.bound_as(part)])]
    paragraphs = [" ".join(each.split()) for each in about.text.split("\n\n")]
    return "\n".join(
        [
            f"## {part.name} {{ #{part.name} }}\n",
            *(f"{prose(paragraph, own)}\n" for paragraph in paragraphs),
            "```gin\n" + "\n".join(lines) + "\n```\n",
            _parameters(about, own),
            *_given(about),
            *_used(part, about, configs),
        ]
    )


def _parameters(about: Description, links: Mapping[str, str]) -> str:
    if not about.parameters:
        return "Nothing can be set.\n"
    rows = [_row(about.part.name, each, links) for each in about.parameters]
    return lookup(("parameter", "default", "meaning"), rows)


def _row(part: str, parameter: Parameter, links: Mapping[str, str]) -> tuple[str, ...]:
    anchor = f"{part}.{parameter.name}"
    meaning = prose(f"{capitalized(_shorter(parameter.kind))}: {parameter.help}", links)
    if parameter.fits:
        meaning += f" Fits: {', '.join(code(each, links) for each in parameter.fits)}."
    return (
        f"[`{parameter.name}`](#{anchor}){{ #{anchor} }}",
        "must be bound" if parameter.default is None else code(parameter.default, links),
        meaning,
    )


def _shorter(kind: str) -> str:
    """A kind of value where the parts that fit follow, so that the class says enough of a reference."""
    for words in ("to a class or function that makes", "to classes or functions that make"):
        kind = kind.replace(words, "to")
    return kind


def _given(about: Description) -> Iterator[str]:
    if about.given:
        names = [f"`{name}`" for name in about.given]
        yield f"The code that makes it passes {_listed(names)}.\n"


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _used(part: Part, about: Description, configs: list[Config]) -> Iterator[str]:
    """The packaged experiments that name the part, and what they set on it to something else."""
    naming, defaults = description.configs_that_name(part.name), _defaults(about)
    rows = []
    for config in configs:
        if config.is_experiment and config.name in naming:
            bound = config.bound(part.name).items()
            changed = [
                f"`{name} = {value}`" for name, value in bound if defaults.get(name) != value
            ]
            rows.append((link_to(config, "../"), ", ".join(changed) or "the defaults"))
    if rows:
        inner = indented(table(("config", "what differs from the defaults"), rows))
        yield f'??? abstract "Packaged configs that name it: {len(rows)}"\n\n{inner}'


def _defaults(about: Description) -> dict[str, str | None]:
    return {parameter.name: parameter.default for parameter in about.parameters}
