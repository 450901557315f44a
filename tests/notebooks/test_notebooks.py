"""Every notebook runs, shortened, and is stored as `make notebooks` leaves it."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import nbformat
import pytest

from tests.core import core

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 300_000  # bytes
PATH_ON_A_MACHINE = re.compile(r"(?<![\w./:])/(?:[A-Za-z]:|home|root|tmp|Users|usr|var|work)\b")


def name(notebook):
    return notebook.stem


def tool(path):
    """A module below tools/."""
    place = ROOT / "tools" / path
    spec = importlib.util.spec_from_file_location(place.stem, place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[place.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=NOTEBOOKS, ids=name)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """The texts of all outputs."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            yield output.get("text", "") or output.get("data", {}).get("text/plain", "")


@pytest.mark.parametrize(
    "path", core(NOTEBOOKS, ROOT / "notebooks" / "1_what_an_agent_is.ipynb"), ids=name
)
def test_it_runs(path, tmp_path):
    run_notebooks = tool("run_notebooks.py")
    notebook = run_notebooks.shortened(nbformat.read(path, as_version=4))
    run_notebooks.execute(notebook, tmp_path)


def test_it_has_the_form_of_the_others(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    (parameters,) = [
        cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])
    ]
    assigned = {
        target.id
        for node in ast.parse(parameters.source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    assert notebook.metadata["shortened"].keys() <= assigned


def test_it_was_executed_in_full_from_top_to_bottom(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]


def test_its_outputs_tell_nothing_of_the_machine(notebook):
    for text in [*printed(notebook), *(cell.source for cell in notebook.cells)]:
        assert not PATH_ON_A_MACHINE.search(text), text


def test_its_outputs_have_no_warnings(notebook):
    for text in printed(notebook):
        assert not re.search(r"\bWARNING\b|Warning\b|cuda|oneDNN|it/s\]", text), text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_it_is_small(path):
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_the_site_has_a_page_of_it(path, tmp_path):
    pages = tmp_path / "docs" / "start" / "lessons"
    tool("site/lessons.py").write_lesson(path, pages, ROOT / "docs")
    page = (pages / f"{path.stem}.md").read_text(encoding="utf-8")
    for picture in re.findall(r"\]\((pictures/[^)]+)\)", page):
        assert (pages / picture).stat().st_size
    notebook = path.read_text(encoding="utf-8")
    assert page.count("](pictures/") == notebook.count('"image/png": ') + notebook.count(
        '"image/gif": '
    )
