"""Makes a page of the site from a notebook, with the outputs that are stored in it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

LINK = re.compile(r"(?<=\]\()(?!https?:)([^)#\s]+)")
PICTURES = {"image/png": "png", "image/gif": "gif", "image/jpeg": "jpg", "image/svg+xml": "svg"}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # colors of a terminal
STYLE = re.compile(r"<style.*?</style>\n?", re.DOTALL)  # of a data frame, in its HTML


def write_lesson(notebook: Path, pages: Path, docs: Path) -> None:
    """Writes the page of `notebook` and its pictures into the folder `pages`, below `docs`.

    A copy of the notebook goes there too, to be downloaded. If Jupyter hides the code of a cell
    (`source_hidden` in its metadata), the page folds it.

    Raises:
      ValueError: the notebook links to something that does not exist, or that the site does not have.
    """
    pages.mkdir(parents=True, exist_ok=True)
    shutil.copy(notebook, pages)
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = []
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            parts.append(with_links_of_the_site(_text(cell["source"]), notebook, pages, docs))
        elif cell["cell_type"] == "code":
            parts += [_code(cell), *_outputs(cell, f"{notebook.stem}_{number}", pages)]
    title, _, rest = parts[0].partition("\n")
    download = (
        f"[Download this page as a notebook]({notebook.name}){{ download }} to run it yourself."
    )
    page = "\n\n".join([title, download, rest.strip(), *parts[1:]]) + "\n"
    (pages / f"{notebook.stem}.md").write_text(page, encoding="utf-8")


def with_links_of_the_site(text: str, notebook: Path, pages: Path, docs: Path) -> str:
    """`text` with the links of `notebook` to files, which are relative to it, as those of its page."""

    def moved(link: re.Match) -> str:
        target = (notebook.parent / link[1]).resolve()
        if not target.exists():
            raise ValueError(f"{notebook} links to {link[1]}, which does not exist.")
        if target.parent == notebook.parent.resolve() and target.suffix == ".ipynb":
            return f"{target.stem}.md"
        if target.is_relative_to(docs.resolve()) or target.suffix == ".py":
            return os.path.relpath(target, pages.resolve())
        raise ValueError(f"{notebook} links to {link[1]}, which the site does not have.")

    return LINK.sub(moved, text)


def _code(cell: dict[str, Any]) -> str:
    fence = _fenced(_text(cell["source"]), "python")
    if not cell["metadata"].get("jupyter", {}).get("source_hidden"):
        return fence
    return '??? note "Code"\n\n' + "\n".join(f"    {line}".rstrip() for line in fence.split("\n"))


def _outputs(cell: dict[str, Any], name: str, pages: Path) -> list[str]:
    """The Markdown of the outputs of a cell. Writes its pictures, whose names begin with `name`."""
    parts = []
    for number, output in enumerate(cell["outputs"]):
        if output["output_type"] == "stream":
            parts.append(_printed(_text(output["text"])))
        else:
            shown = output["data"]
            kind = next((kind for kind in PICTURES if kind in shown), None)
            if kind:
                picture = pages / "pictures" / f"{name}_{number}.{PICTURES[kind]}"
                picture.parent.mkdir(exist_ok=True)
                picture.write_bytes(_content(_text(shown[kind]), kind))
                description = cell["metadata"].get("alt", "What the code above draws")
                parts.append(f"![{description}](pictures/{picture.name})")
            elif "text/html" in shown:
                table = STYLE.sub("", _text(shown["text/html"]))
                parts.append(re.sub(r"\n\s*", "\n", table).strip())
            else:
                parts.append(_printed(_text(shown["text/plain"])))
    return parts


def _printed(text: str) -> str:
    return _fenced(ESCAPES.sub("", text).rstrip("\n"), "{ .text .output }")


def _fenced(text: str, language: str) -> str:
    fence = max(["```", *(f"{found}`" for found in re.findall(r"```+", text))], key=len)
    return f"{fence}{language}\n{text}\n{fence}"


def _content(text: str, kind: str) -> bytes:
    return text.encode() if kind == "image/svg+xml" else base64.b64decode(text)


def _text(source: str | list[str]) -> str:
    """A notebook stores a text as it is, or as a list of its lines."""
    return source if isinstance(source, str) else "".join(source)
