"""`report`: a page from runs and from tables, swapped in whole; mistakes as sentences."""

import html
import os
import shutil
import subprocess
import sys

import pytest

from dopamine_lite.study import study
from dopamine_lite.study.study import Trial, Variant
from tests.cli.conftest import ROOT, files_below


@pytest.fixture
def site(tmp_path):
    return tmp_path / "new" / "site"


def page(site):
    return (site / "index.html").read_text()


def test_of_runs(runs, cli, site):
    ran = cli("report", runs["dqn"].parent, "--output", site, "--title", "Two agents")
    assert ran.status == 0, ran.err
    assert f"1 environment, 2 groups, 2 runs; open {site / 'index.html'}" in ran.out
    assert "<h1>Two agents</h1>" in page(site)
    assert "tensorflow" in page(site) and "DQNAgent.min_replay_history" in page(site)
    assert set(os.listdir(site.parent)) == {"site"}


@pytest.mark.exhaustive
def test_of_the_baselines(cli, site):
    ran = cli("report", ROOT / "baselines", "--output", site)
    assert ran.status == 0, ran.err
    assert "<h1>baselines</h1>" in page(site)
    assert "MinAtar/Breakout" in page(site) and "Across 3 environments" in page(site)


def test_what_the_page_says_of_runs_is_said_at_the_terminal(runs, cli, site, tmp_path):
    """The one run evaluates over two episodes, the other over three; a third trial has not begun."""
    directory = tmp_path / "study"
    variant = Variant("dqn", ("dqn/cartpole.gin",), ())
    study.record(directory, "sweep", [Trial(variant, seed, 2, 400) for seed in (0, 1)])
    shutil.copytree(runs["dqn"], directory / "dqn" / "seed=0")
    shutil.copytree(runs["random"], directory / "random")
    ran = cli("report", directory, "--output", site)
    missing = f"1 of 2 trials of the study in {directory} have no run yet, such as dqn/seed=1: "
    assert ran.status == 0 and missing in ran.out and missing in html.unescape(page(site))
    assert "Protocols in CartPole-v1 differ, so their results cannot be compared" in ran.out
    compare = ("compare", directory, "--across_protocols")
    assert missing in cli(*compare).err
    (directory / "search.journal").touch()  # a search runs what it does not prune
    assert cli(*compare).err == ""
    (directory / "search.journal").unlink()
    (directory / study.FILE).write_text("{")
    damaged = cli(*compare)
    assert damaged.status == 0 and "study.json is damaged" in damaged.err


def test_flags_may_come_first_and_groups_may_be_chosen(runs, cli, site):
    ran = cli("report", "--by", "environment", "--output", site, runs["dqn"])
    assert ran.status == 0, ran.err
    assert '<span class="name">CartPole-v1</span>' in page(site)


def test_an_earlier_report_makes_way(runs, cli, site):
    assert cli("report", runs["dqn"], "--output", site, "--title", "First").status == 0
    first = files_below(site)
    assert cli("report", runs["dqn"], "--output", site, "--title", "Second").status == 0
    assert "Second" in page(site) and "First" not in page(site)
    assert cli("report", runs["dqn"], "--output", site, "--title", "First").status == 0
    assert files_below(site) == first  # the same runs, the same bytes
    assert set(os.listdir(site.parent)) == {"site"}


def test_what_fails_leaves_the_earlier_report_as_it_was(runs, cli, site, tmp_path):
    assert cli("report", runs["dqn"], "--output", site).status == 0
    before = files_below(site.parent)
    copy = shutil.copytree(runs["dqn"], tmp_path / "damaged" / "a")
    shutil.copytree(runs["dqn"], tmp_path / "damaged" / "b")
    ran = cli("report", copy.parent, "--output", site)
    assert ran.status == 2 and "Seed 0 occurs 2 times" in ran.err
    assert files_below(site.parent) == before


def test_other_things_are_not_replaced(runs, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    for output, sentence in (
        (None, "--output is missing: name the page's directory"),
        ("", "--output is missing: name the page's directory"),
        ("mine", "--output mine holds something that is not part of a report (thesis.tex)"),
        ("file", "--output file is a file: name a directory."),
        ("file/site", "Cannot write file/site: file is a file, not a directory."),
        ("link", "--output link is a link, and links are not followed: name a directory."),
        (".", "--output . is the current directory: name a directory in it."),
        (tmp_path.parent, "is the current directory: name a directory in it."),
    ):
        given = () if output is None else ("--output", output)
        ran = cli("report", runs["dqn"], *given)
        assert ran.status == 2 and sentence in ran.err, ran.err
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "mine"]


def test_mistakes_in_what_is_reported_on(runs, cli, site, tmp_path):
    for arguments, sentence in (
        ((), "A directory is missing: name a directory with runs"),
        ((tmp_path / "nowhere",), "There is no "),
        ((tmp_path,), "There is no run in or below"),
        ((runs["dqn"], "--by", "DQNAgent.gama"), "did you mean DQNAgent.gamma?"),
    ):
        ran = cli("report", *arguments, "--output", site)
        assert ran.status == 2 and sentence in ran.err, ran.err
        assert not site.parent.exists()


def test_tensorflow_is_not_imported(runs, site):
    program = (
        "import sys; from dopamine_lite.cli.main import main; "
        f"assert main(['report', {str(runs['dqn'])!r}, '--output', {str(site)!r}]) == 0; "
        "assert 'tensorflow' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
