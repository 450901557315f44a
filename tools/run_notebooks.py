"""Executes notebooks anew and stores their outputs, small: `make notebooks`.

python tools/run_notebooks.py notebooks/*.ipynb
"""

from __future__ import annotations

import argparse
import base64
import copy
import io
import os
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).parents[1]
COLORS = 256  # of a stored picture
SECONDS = 600  # that a cell may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    for path in parser.parse_args().notebooks:
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as directory:
            execute(notebook, Path(directory))
        shrink(notebook)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def execute(notebook: NotebookNode, directory: Path) -> None:
    """Runs all cells in `directory`, in a kernel that imports this repository's package.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell raises an exception.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as sockets:  # by which nobody else can talk to the kernel
        client = NotebookClient(
            notebook,
            timeout=SECONDS,
            km=AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel"),
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(directory)}},
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        client.execute(cleanup_kc=True, env=environment)


def shortened(notebook: NotebookNode) -> NotebookNode:
    """A copy that runs in seconds: what `shortened` in its metadata says replaces its parameters.

    Raises:
      ValueError: there is not exactly one cell with the tag "parameters".
    """
    notebook = copy.deepcopy(notebook)
    (place,) = [
        index
        for index, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]
    values = notebook.metadata["shortened"]
    code = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(code))
    return notebook


def shrink(notebook: NotebookNode) -> None:
    """Leaves in the notebook what is needed to read it, with pictures of few colors."""
    kept = {name: notebook.metadata[name] for name in ("kernelspec", "shortened")}
    notebook.metadata = NotebookNode(kept | {"language_info": {"name": "python"}})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = fewer_colors(output.data["image/png"])


def fewer_colors(picture: str) -> str:
    """A PNG in base64, with at most `COLORS` colors."""
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    smaller = io.BytesIO()
    image.quantize(COLORS, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


if __name__ == "__main__":
    main()
