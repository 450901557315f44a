"""A Markdown extension: on the site, links to modules lead to pages that show them.

In the repository a link to ../../dopamine_lite/agents/dqn_agent.py opens the module itself. The site has
a page for each module that is linked, which `generate.py` writes.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

LINK = re.compile(r"((?:\.\./)*)\.\./(dopamine_lite/[\w/]+)\.py")


def source_page(link: str) -> str | None:
    """Where the site shows the module that a page links to; None: this is no link to a module."""
    found = LINK.fullmatch(link)
    return f"{found[1]}source/{found[2]}.md" if found else None


class _SourceLinks(Treeprocessor):
    def run(self, root: Element) -> None:
        for anchor in root.iter("a"):
            if page := source_page(anchor.get("href", "")):
                anchor.set("href", page)


class SourceLinks(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.treeprocessors.register(_SourceLinks(md), "source_links", 10)  # after the text is parsed


def makeExtension(**settings: Any) -> SourceLinks:  # Markdown looks for it
    return SourceLinks(**settings)
