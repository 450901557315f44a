"""A Markdown extension: on the site, links to modules and notebooks lead to pages that show them.

In the repository a link to ../../dopamine_lite/agents/dqn_agent.py opens the module itself, and a link
to ../../notebooks/5_policies.ipynb the notebook. The site has a page for each module that is linked and
for each notebook, which `generate.py` writes.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

MODULE = re.compile(r"((?:\.\./)*)\.\./(dopamine_lite/[\w/]+)\.py")
NOTEBOOK = re.compile(r"((?:\.\./)*)\.\./notebooks/(\w+)\.ipynb")


def source_page(link: str) -> str | None:
    """Where the site shows the module that a page links to; None: this is no link to a module."""
    found = MODULE.fullmatch(link)
    return f"{found[1]}source/{found[2]}.md" if found else None


def notebook_page(link: str) -> str | None:
    """Where the site shows the notebook that a page links to; None: this is no link to a notebook."""
    found = NOTEBOOK.fullmatch(link)
    return f"{found[1]}start/lessons/{found[2]}.md" if found else None


class _SourceLinks(Treeprocessor):
    def run(self, root: Element) -> None:
        for anchor in root.iter("a"):
            link = anchor.get("href", "")
            if page := source_page(link) or notebook_page(link):
                anchor.set("href", page)


class SourceLinks(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.treeprocessors.register(_SourceLinks(md), "source_links", 10)  # after the text is parsed


def makeExtension(**settings: Any) -> SourceLinks:  # Markdown looks for it
    return SourceLinks(**settings)
