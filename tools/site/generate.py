"""Writes the pages of the site that are made from code and data; git ignores them.

python tools/site/generate.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from lessons import write_lesson
from source_links import source_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def main() -> None:
    write_reference()
    write_lessons()
    write_sources()
    write_report()


def write_reference() -> None:
    """The reference's pages, in a process that imports the package."""
    script = Path(__file__).with_name("reference.py")
    subprocess.run([sys.executable, str(script)], check=True, cwd=ROOT)


def write_lessons() -> None:
    """A page for each notebook."""
    pages = DOCS / "start" / "lessons"
    shutil.rmtree(pages, ignore_errors=True)
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        write_lesson(notebook, pages, DOCS)


def write_sources() -> None:
    """A page for each module that another page links to."""
    shutil.rmtree(DOCS / "source", ignore_errors=True)
    linked = set()
    for page in DOCS.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+\.py)\)", page.read_text(encoding="utf-8")):
            if source_page(link):
                linked.add((page.parent / link).resolve().relative_to(ROOT))
    for module in sorted(linked):
        page = (DOCS / "source" / module).with_suffix(".md")
        page.parent.mkdir(parents=True, exist_ok=True)
        code = (ROOT / module).read_text(encoding="utf-8")
        page.write_text(
            "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n\n"
            f"# `{module}`\n\n```python\n{code}```\n",
            encoding="utf-8",
        )


def write_report() -> None:
    """The report of all runs in baselines/, unless it is newer than what it is made from."""
    place = DOCS / "results" / "report"
    inputs = [*ROOT.glob("baselines/*.csv"), *ROOT.glob("dopamine_lite/analysis/**/*.*")]
    page = place / "index.html"
    if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in inputs):
        return
    shutil.rmtree(place, ignore_errors=True)
    command = [sys.executable, "-m", "dopamine_lite", "report", "baselines"]
    options = ["--output", str(place), "--title", "Runs of dopamine_lite"]
    subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
