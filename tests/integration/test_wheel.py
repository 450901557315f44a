"""The wheel holds what it needs, and trains from a packaged config when installed elsewhere.

The source distribution holds what its README links to.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.integration.shrink import shrunk

pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).parents[2]


def build(kind: str, place: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", place]
    subprocess.run([*command, ROOT], check=True, capture_output=True)
    (built,) = place.glob("dopamine_lite-*")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_source_distribution_holds_what_the_readme_links_to(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert "docs/results/index.md" in links
    assert set(links) <= names


def test_what_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    configs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.gin")}
    assert {f"dopamine_lite/{name}" for name in configs} <= set(names)
    published = {path.name for path in (ROOT / "baselines" / "published").glob("*.csv")}
    assert {f"dopamine_lite/published/{name}" for name in published} <= set(names)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dopamine_lite").rglob("*.py")}
    assert modules <= set(names)
    page = {"page.html.j2", "report.css", "report.js"}
    assert {f"dopamine_lite/analysis/report/{name}" for name in page} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_it_trains_from_a_packaged_config(wheel, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    site = tmp_path / "site"
    subprocess.run([*install, "--target", site, wheel], check=True, capture_output=True)
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import dopamine_lite; "
        "from dopamine_lite.cli.main import main; print(dopamine_lite.__file__); sys.exit(main())"
    )
    arguments = ["train", "--base_dir=run", "--gin_files=dqn/cartpole.gin"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, site, *arguments, *shrunk("dqn/cartpole.gin")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout
    assert (tmp_path / "run" / "checkpoints" / "checkpoint-000000000640").is_dir()


def test_gin_tf_is_never_imported():
    """It needs tf.estimator, which is gone."""
    sources = [*(ROOT / "dopamine_lite").rglob("*.py"), *(ROOT / "configs").rglob("*.gin")]
    assert not [path for path in sources if "gin.tf" in path.read_text(encoding="utf-8")]
