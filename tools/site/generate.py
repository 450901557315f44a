"""Writes the pages of the site that are made from code and data; git ignores them.

python tools/site/generate.py
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from source_links import source_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def main() -> None:
    write_reference()
    write_sources()
    write_report()


def write_reference() -> None:
    """The reference's pages, by the Python that has the package's dependencies."""
    script = Path(__file__).with_name("reference.py")
    subprocess.run([_python_of_the_package(), str(script)], check=True, cwd=ROOT)


def _python_of_the_package() -> str:
    """This Python or, if it is one that only builds the site, that of the checkout's environment."""
    if importlib.util.find_spec("tensorflow"):
        return sys.executable
    command = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    # A worktree has no environment of its own: the main checkout's has the same packages.
    for checkout in (ROOT, Path(git).parent):
        python = checkout / ".venv" / "bin" / "python"
        if python.is_file():
            return str(python)
    sys.exit("The reference is made from the package, which is not installed: run `make install`.")


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
    command = [_python_of_the_package(), "-m", "dopamine_lite", "report", "baselines"]
    options = ["--output", str(place), "--title", "Runs of dopamine_lite"]
    subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
