"""The report's document, held against numbers worked by hand, and its page against hostile text."""

import json
import re
from html.parser import HTMLParser

import pytest

from dopamine_lite.analysis.report import document, learning, site
from dopamine_lite.analysis.runs import load_runs
from dopamine_lite.common.errors import UserError
from tests.analysis.made_runs import make_run

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \"'`{{ 7*7 }} %{x}"


def built(directory, **options):
    return document.build(load_runs(directory, episodes=False), "A title", **options)


def group_called(made, name):
    (group,) = [group for group in made.document["groups"] if group["name"] == name]
    return group


@pytest.fixture
def three_seeds(tmp_path):
    """Three seeds end at 1, 2 and 6; each had 0 before."""
    for seed, last in enumerate((1, 2, 6)):
        make_run(tmp_path / f"dqn-{seed}", seed, [0, last], protocol={"frame_skip": 4})
    return tmp_path


def test_three_seeds(three_seeds):
    made = built(three_seeds)
    group = group_called(made, "DQN")
    curve = group["curves"]["eval_average_return"]["steps"]
    assert curve["x"] == [100, 200]
    assert curve["y"] == [0, 3]
    assert curve["low"][0] == curve["high"][0] == 0
    # The outermost of the 27 equally likely resamples is (1, 1, 1), with 1/27 more than 2.5 %.
    assert curve["low"][1] == 1 and curve["high"][1] == 6
    assert group["curves"]["train_average_return"]["steps"]["y"] == [0, 1.5]
    assert group["curves"]["eval_average_return"]["time"]["x"] == [60, 120]
    assert group["frames"] == 4
    score = group["score"]
    assert sorted(score["values"]) == [1, 2, 6]
    assert score["mean"] == [3, 1, 6] and score["median"] == [2, 1, 6]
    assert score["area"][0] == 1.5  # halfway between 0 and 3, on the only stretch there is
    assert score["note"] is None
    assert made.document["summary"] == "1 environment, 1 group, 3 runs"


def test_the_data_is_what_the_tables_say(three_seeds):
    made = built(three_seeds)
    points = made.tables["curves.csv"].query("metric == 'eval_average_return'")
    assert points[["agent_steps", "value", "low", "high"]].to_numpy().tolist() == [
        [100, 0, 0, 0],
        [200, 3, 1, 6],
    ]
    assert made.tables["scores.csv"]["score"].tolist() == [1, 2, 6]
    assert len(made.tables["iterations.csv"]) == 6
    assert json.loads(made.tables["runs.csv"]["settings"][0])["Runner.agent"] == "@DQNAgent"
    assert [file["name"] for file in made.document["files"]] == list(made.tables)
    json.dumps(made.document["data"], allow_nan=False)


def test_paths_of_the_machine_are_not_told(three_seeds):
    made = built(three_seeds)
    assert [run["name"] for run in made.document["groups"][0]["runs"]] == [
        f"dqn-{seed}" for seed in range(3)
    ]
    assert str(three_seeds) not in site.render(made.document)
    alone = built(three_seeds / "dqn-0")
    assert [run["name"] for run in alone.document["groups"][0]["runs"]] == ["dqn-0"]


def test_one_seed_has_a_curve_without_a_band_and_a_reason(tmp_path):
    make_run(tmp_path / "a", 0, [1, 2])
    made = built(tmp_path)
    group = group_called(made, "DQN")
    assert group["curves"]["eval_average_return"]["steps"]["low"] is None
    assert group["score"]["iqm"] == [2, None, None]
    assert group["score"]["note"] == "no interval: fewer than 3 seeds"
    few = "There is no interval for fewer than 3 seeds"
    assert any(note.startswith(few) for note in group["notes"])


def test_unfinished_runs_are_groups_of_their_own(three_seeds):
    make_run(three_seeds / "dqn-3", 3, [0], planned=2, protocol={"frame_skip": 4})
    make_run(three_seeds / "dqn-4", 4, [], planned=2, protocol={"frame_skip": 4})
    made = built(three_seeds)
    assert group_called(made, "DQN")["score"]["seeds"] == [0, 1, 2]
    assert made.document["notes"][0].startswith("2 of 5 runs have not finished")
    group = group_called(made, "DQN, unfinished")
    assert group["curves"]["eval_average_return"]["steps"]["y"] == [0]
    assert group["score"]["values"] == [] and group["score"]["mean"] is None
    assert group["label"] == "DQN" and group["facts"] == "2 seeds, unfinished"
    assert [run["state"] for run in group["runs"]] == [
        "1 of 2 iterations",
        "0 of 2 iterations",
    ]
    assert group["notes"] == [
        "Not finished (0 to 1 iterations so far): the curve goes as far as all of these runs have "
        "come, and there is no final score."
    ]


def test_a_study_that_has_only_begun(tmp_path):
    make_run(tmp_path / "a", 0, [], planned=2)
    made = built(tmp_path)
    assert made.document["data"]["groups"][0]["curves"] == {}
    assert made.document["data"]["environments"][0]["axes"] == []
    assert list(made.tables) == ["runs.csv"]
    site.render(made.document)


def test_protocols_that_differ_are_named_and_apart(three_seeds):
    make_run(three_seeds / "sticky", 3, [9, 9], protocol={"frame_skip": 4, "sticky": True})
    made = built(three_seeds)
    environment = made.document["data"]["environments"][0]
    assert "Protocols in CartPole-v1 differ" in environment["warnings"][0]
    assert "sticky none; sticky True" in environment["warnings"][0]
    assert [(group["label"], group["detail"]) for group in made.document["groups"]] == [
        ("DQN", "sticky none"),
        ("DQN", "sticky True"),
    ]
    assert group_called(made, "DQN [sticky none]")["score"]["mean"][0] == 3


def test_settings_that_differ_come_first(tmp_path):
    for number, rate in enumerate(("0.1", "0.2")):
        settings = {"DQNAgent.learning_rate": rate, "DQNAgent.gamma": "0.9"}
        make_run(tmp_path / str(number), 0, [1], settings=settings)
    groups = built(tmp_path).document["groups"]
    assert [group["differing"] for group in groups] == [
        [("DQNAgent.learning_rate", "0.1")],
        [("DQNAgent.learning_rate", "0.2")],
    ]
    assert ("DQNAgent.gamma", "0.9") in groups[0]["common"]
    assert ("commit", "0123456789ab") in groups[0]["provenance"]
    assert ("processor", "A processor") in groups[0]["provenance"]
    assert ("versions", "tensorflow 2.21.0") in groups[0]["provenance"]


def test_long_curves_are_thinned_and_it_is_said(tmp_path):
    returns = list(range(2 * learning.MOST_POINTS + 1))
    make_run(tmp_path / "a", 0, returns)
    make_run(tmp_path / "b", 1, returns)
    made = built(tmp_path)
    curve = made.document["groups"][0]["curves"]["eval_average_return"]["steps"]
    assert len(curve["x"]) <= learning.MOST_POINTS
    assert curve["x"][-1] == 100 * len(returns) and curve["y"][-1] == returns[-1]
    assert curve["x"][-1] - curve["x"][-2] == 300
    assert "one of every 3 iterations" in made.document["notes"][0]
    assert len(made.tables["iterations.csv"]) == 2 * len(returns)


def test_short_curves_beside_long_ones_keep_their_points(tmp_path):
    make_run(tmp_path / "a", 0, list(range(2 * learning.MOST_POINTS)))
    make_run(tmp_path / "b", 0, [1, 2, 3], agent="PPOAgent")
    made = built(tmp_path)
    assert group_called(made, "PPO")["curves"]["eval_average_return"]["steps"]["y"] == [1, 2, 3]


def test_a_table_too_large_is_left_out_and_it_is_said(three_seeds, monkeypatch):
    monkeypatch.setattr(document, "_MOST_VALUES", 10)
    made = built(three_seeds)
    assert "iterations.csv" not in [file["name"] for file in made.document["files"]]
    assert made.document["notes"][0].startswith("There is no iterations.csv")


def test_suites_are_of_groups_with_environments_in_common(tmp_path):
    ends = {
        ("A", "DQNAgent"): 0,
        ("B", "DQNAgent"): 10,
        ("A", "PPOAgent"): 4,
        ("B", "PPOAgent"): 20,
    }
    for (environment, agent), end in ends.items():
        for seed in range(3):
            make_run(tmp_path / environment / agent / str(seed), seed, [end], environment, agent)
    make_run(tmp_path / "C", 0, [1], "C")  # of DQN alone
    (suite,) = built(tmp_path).document["across"]
    assert suite.environments == ["A", "B"]
    assert (
        "0 is the lowest final score of any run in these groups and 1 is the highest"
    ) in suite.about
    assert [(row["label"], row["mean"][0]) for row in suite.rows] == [("DQN", 0), ("PPO", 1)]
    assert suite.profiles()["profiles"][1]["y"][0] == 1


def test_atari_is_on_the_human_scale(tmp_path):
    # Random and human scores of Mnih et al. (2015): Pong -20.7 and 14.6, Breakout 1.7 and 30.5.
    for agent, returns in (("DQNAgent", (14.6, 30.5)), ("PPOAgent", (-20.7, 1.7))):
        for environment, end in zip(("Pong", "Breakout"), returns, strict=True):
            make_run(tmp_path / agent / environment, 0, [end], environment, agent)
    (suite,) = built(tmp_path).document["across"]
    assert "human-normalized" in suite.about
    assert [row["mean"][0] for row in suite.rows] == pytest.approx([1, 0])


def test_seeds_that_are_there_twice_are_refused(three_seeds):
    make_run(three_seeds / "again", 0, [1, 2], protocol={"frame_skip": 4})
    with pytest.raises(UserError, match="Seed 0 occurs 2 times in the group DQN"):
        built(three_seeds)


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and the text of its scripts."""

    def __init__(self):
        super().__init__()
        self.found, self.scripts = [], []
        self._in_script = False

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, text):
        if self._in_script:
            self.scripts.append(text)


def read_page(page):
    elements = Elements()
    elements.feed(page)
    return elements


@pytest.mark.parametrize(
    "place", ["environment", "agent", "protocol", "settings", "commit", "title"]
)
def test_text_of_a_run_never_becomes_html(tmp_path, place):
    given = {
        "protocol": {"protocol": {"wrapper": HOSTILE}},
        "settings": {"settings": {"A.b": HOSTILE}},
        "commit": {"commit": f"0123456789ab+{HOSTILE}"},
        "title": {},
    }.get(place, {place: HOSTILE})
    make_run(tmp_path / "plain", 0, [1, 2])
    make_run(tmp_path / "hostile", 1, [1, 2], **given)
    title = HOSTILE if place == "title" else "A title"
    made = document.build(load_runs(tmp_path, episodes=False), title)
    page = site.render(made.document)
    assert "alert(1)" in page  # it is told, as text
    elements = read_page(page)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 3 and "img" not in tags
    assert not [name for _, own in elements.found for name in own if name.startswith("on")]
    data = json.loads("".join(elements.scripts))
    assert data == json.loads(json.dumps(made.document["data"]))


def test_what_a_terminal_or_a_reader_would_obey_is_written_out(tmp_path):
    make_run(tmp_path / "a", 0, [1], settings={"A.b": "'\u202edlrow\x1b[2K'"})
    page = site.render(built(tmp_path).document)
    assert "\u202e" not in page and "\x1b" not in page
    assert r"\u202edlrow\x1b[2K" in page


def test_the_page_is_whole_and_asks_nobody(three_seeds, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    made = built(three_seeds)
    site.write_site(directory, made.document, made.tables)
    page = (directory / site.PAGE).read_text()
    elements = read_page(page)
    wanted = {
        own.get("src") or own.get("href")
        for tag, own in elements.found
        if tag in ("script", "link", "a", "img")
    } - {None, "data:,"}
    files = {path.name for path in directory.iterdir()}
    assert {name for name in wanted if not name.startswith("#")} == files - {site.PAGE}
    for name in ("report.css", "report.js"):
        assert not re.search(r"https?://", (directory / name).read_text())
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_every_control_has_a_name_and_every_reference_leads_somewhere(three_seeds):
    elements = read_page(site.render(built(three_seeds).document))
    ids = [own["id"] for _, own in elements.found if "id" in own]
    assert len(ids) == len(set(ids))
    for _, own in elements.found:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert own.get(name) is None or own[name] in ids
        assert not own.get("href", "").startswith("#") or own["href"][1:] in ids


def test_only_a_report_alone_is_taken_for_one(three_seeds, tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    assert site.what_is_no_report(directory) is None
    made = built(three_seeds)
    site.write_site(directory, made.document, made.tables)
    assert site.what_is_no_report(directory) is None
    (directory / "notes.txt").touch()
    assert site.what_is_no_report(directory) == "notes.txt"
    (directory / "notes.txt").unlink()
    (directory / site.PAGE).write_text("<title>Mine</title>")
    assert site.what_is_no_report(directory) is not None


MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.000"),
        (-13, f"{MINUS}13.00"),
        (1234.56, "1,235"),
        (-0.5, f"{MINUS}0.500"),
        (21.345, "21.34"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert site._number(value) == text
