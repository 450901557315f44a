"""Which runs count, what groups are called, which numbers are compared, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from dopamine_lite import analysis
from dopamine_lite.analysis import summary
from dopamine_lite.common.errors import UserError


def told(call, *arguments, **options):
    """What `call` returns and the sentences it reports."""
    sentences: list[str] = []
    return call(*arguments, report=sentences.append, **options), sentences


def test_what_groups_called_by_their_agents_differ_in_besides_is_said(make_run, tmp_path):
    """Often wrong: two agents are compared, and the learning rate that tells them apart stays unsaid."""
    make_run("a", agent="DQNAgent", Adam__learning_rate=0.001, Adam__beta1=0.9, DQNAgent__gamma=0.9)
    make_run("b", agent="C51Agent", Adam__learning_rate=0.5, Adam__beta1=0.9, C51Agent__gamma=0.5)
    runs = analysis.load_runs(tmp_path)
    notes = summary.compare(runs, resamples=10).notes
    (said,) = [note for note in notes if note.startswith("The groups also differ in the settings")]
    assert "they share: Adam.learning_rate." in said
    assert "beta1" not in said and "gamma" not in said
    notes = summary.compare(runs, by=["agent"], resamples=10).notes
    assert not any("also differ" in note for note in notes)


def test_a_run_as_rows(make_run, tmp_path):
    directory = make_run("study/a", 3, protocol={"frame_skip": 4}, DQNAgent__gamma=0.9)
    runs = analysis.load_runs(tmp_path)
    row = runs.runs.iloc[0].to_dict()
    settings = row.pop("settings")
    assert settings["DQNAgent.gamma"] == "0.9" and "Runner.seed" not in settings
    assert row == {
        "run": str(directory),
        "config": "dqn/cartpole.gin",
        "agent": "DQNAgent",
        "environment": "CartPole-v1",
        "seed": 3,
        "agent_steps": 200,
        "iterations": 2,
        "planned_iterations": 2,
        "finished": True,
        "stopped": None,
        "protocol": "environment CartPole-v1; frame_skip 4; evaluation_episodes 5",
        "commit": "1234567890ab",
        "processor": "a processor",
        "started": "2026-01-01T00:00:00+00:00",
    }
    first, second = runs.iterations.to_dict("records")
    assert (first["frames"], second["frames"], second["seconds"]) == (400, 800, 20)
    assert (second["train_average_return"], second["eval_average_return"]) == (3.0, 4.0)
    assert second["train_loss"] == 0.5
    assert runs.episodes.empty


def test_episodes_have_the_numbers_of_their_infos(make_run, tmp_path):
    plain, measured = make_run("plain"), make_run("measured", 1)
    episode = {"iteration": 0, "phase": "train", "agent_steps": 9, "stream": 0, "length": 9}
    for directory, infos in (
        (plain, [{}]),
        (measured, [{"info_success": 1}, {"info_success": None}]),
    ):
        lines = [json.dumps(episode | {"return": 2.0} | info) + "\n" for info in infos]
        (directory / "logs" / "episodes.jsonl").write_text("".join(lines))
    episodes = analysis.load_runs([plain, measured]).episodes
    np.testing.assert_array_equal(episodes["info_success"], [np.nan, 1.0, np.nan])
    assert "info_success" not in analysis.load_runs(plain).episodes


def test_runs_are_found_below_and_links_are_passed_by(make_run, tmp_path):
    one, two = make_run("study/one"), make_run("study/deep/two")
    make_run("study/one/inside")  # of a run: not looked for
    make_run("study/.hidden/three")
    (tmp_path / "study" / "link").symlink_to(two)
    found = analysis.load_runs([tmp_path / "study", one]).runs["run"]
    assert list(found) == [str(two), str(one)]
    with pytest.raises(UserError, match="There is no run in or below"):
        analysis.load_runs(tmp_path / "study" / "one" / "logs")
    with pytest.raises(UserError, match="name a directory with runs"):
        analysis.load_runs(tmp_path / "nowhere")


def test_what_is_not_finished_is_left_out_and_what_stopped_well_is_not(make_run, tmp_path):
    for seed in range(3):
        make_run(f"whole{seed}", seed)
    make_run("early", 3, planned=9, stopped="EarlyStopping: no better for 5 iterations.")
    make_run("pruned", 4, planned=9, stopped="Prune: worse than the median of the others.")
    make_run("half", 5, planned=9)
    make_run("fresh", 6, iterations=())
    chosen, sentences = told(analysis.select, analysis.load_runs(tmp_path))
    assert sorted(chosen.runs["seed"]) == [0, 1, 2, 3]
    assert set(chosen.iterations["run"]) == set(chosen.runs["run"])
    assert any(line.startswith("1 run left out, pruned by a search") for line in sentences)
    assert any(line.startswith("2 runs left out, not finished: ") for line in sentences)
    with pytest.raises(UserError, match="No run is left to compare"):
        analysis.select(analysis.load_runs(tmp_path / "half"), report=sentences.append)


@pytest.mark.parametrize(
    ("variants", "names"),
    [
        ([{"agent": "DQNAgent"}, {"agent": "C51Agent"}], ["DQN", "C51"]),
        ([{"config": "dqn/a.gin"}, {"config": "dqn/b.gin"}], ["dqn/a.gin", "dqn/b.gin"]),
        (
            [{"DQNAgent__learning_rate": 0.1}, {"DQNAgent__learning_rate": 0.01}],
            ["DQN learning_rate=0.1", "DQN learning_rate=0.01"],
        ),
        ([{"A__rate": 0.123456}, {"A__rate": 0.2}], ["DQN rate=0.1235", "DQN rate=0.2"]),
        (
            [{"A__rate": 0.123456}, {"A__rate": 0.123457}],
            ["DQN rate=0.123456", "DQN rate=0.123457"],
        ),
        (
            [{"A__text": "x" * 20_000}, {"A__text": "y"}],
            [f"DQN text={'x' * 40} ... {'x' * 20}", "DQN text=y"],
        ),
        (
            [{"A__size": 1, "B__size": 1}, {"A__size": 2, "B__size": 2}],
            ["DQN A.size=1 B.size=1", "DQN A.size=2 B.size=2"],
        ),
        (
            [{f"A__p{i}": 1 for i in range(9)}, {f"A__p{i}": 2 for i in range(9)}],
            [f"DQN p0={i} (and 8 more settings)" for i in (1, 2)],
        ),
        ([{}, {"Runner__num_iterations": 2, "Runner__seed": 7}], ["DQN", "DQN"]),
        ([{}, {"CircularReplay__compress": True, "Runner__seed": 7}], ["DQN", "DQN"]),
    ],
)  # fmt: skip
def test_groups_are_named_by_what_differs(make_run, tmp_path, variants, names):
    for index, variant in enumerate(variants):
        make_run(f"run{index}", **variant)
    assert list(analysis.group_names(analysis.load_runs(tmp_path).runs)) == names


def test_groups_by_choice(make_run, tmp_path):
    make_run("a", 0, DQNAgent__gamma=0.9, DQNAgent__learning_rate=0.1)
    make_run("b", 1, DQNAgent__gamma=0.9, DQNAgent__learning_rate=0.2)
    make_run("c", 2, DQNAgent__gamma=0.5, DQNAgent__learning_rate=0.2)
    runs = analysis.load_runs(tmp_path)
    chosen, sentences = told(analysis.select, runs, by=["DQNAgent.gamma"])
    assert list(chosen.runs["group"]) == ["gamma=0.9", "gamma=0.9", "gamma=0.5"]
    assert any(
        "differ in DQNAgent.learning_rate, but are treated as one" in line for line in sentences
    )
    assert list(analysis.group_names(runs.runs, ["agent"])) == ["DQN"] * 3
    with pytest.raises(UserError, match=r"did you mean DQNAgent\.gamma"):
        analysis.group_names(runs.runs, ["DQNAgent.gama"])
    with pytest.raises(UserError, match="cannot be grouped by their seed"):
        analysis.group_names(runs.runs, ["seed"])


def test_a_seed_counts_once(make_run, tmp_path):
    make_run("a", 1, DQNAgent__gamma=0.9)
    make_run("b", 1, DQNAgent__gamma=0.9)
    with pytest.raises(
        UserError, match=r"Seed 1 occurs 2 times in the group DQN .*leave out all but"
    ):
        analysis.select(analysis.load_runs(tmp_path))
    make_run("c", 2, DQNAgent__gamma=0.5)
    make_run("d", 2, DQNAgent__gamma=0.9)
    runs = analysis.load_runs([tmp_path / "c", tmp_path / "d"])
    with pytest.raises(UserError, match=r"differ in DQNAgent\.gamma, which `by` can name"):
        analysis.select(runs, by=["agent"])


def test_protocols_that_differ(make_run, tmp_path):
    make_run("a", 0, protocol={"frame_skip": 4})
    make_run("b", 1, protocol={"frame_skip": 5})
    make_run("elsewhere", 0, environment="Acrobot-v1")  # its own protocol, and no other there
    runs = analysis.load_runs(tmp_path)
    with pytest.raises(UserError, match=r"differ in frame_skip \(4 in .*a, 5 in .*b\)"):
        analysis.select(runs)
    chosen, sentences = told(analysis.select, runs, across_protocols=True)
    assert list(chosen.runs["group"]) == ["DQN [frame_skip 4]", "DQN [frame_skip 5]", "DQN"]
    said = "cannot be compared directly: frame_skip 4; frame_skip 5"
    assert any(said in sentence for sentence in sentences)


def test_without_evaluations_their_settings_are_no_protocol(make_run, tmp_path):
    for seed, episodes in enumerate((5, 20)):
        settings = {
            "Runner__schedule": "'continuous_train'",
            "Runner__evaluation_episodes": episodes,
        }
        make_run(f"run{seed}", seed, **settings)
    chosen = analysis.select(analysis.load_runs(tmp_path), by=["agent"])
    assert len(chosen.runs) == 2


def test_long_protocols_are_called_by_a_letter(make_run, tmp_path):
    for index, text in enumerate(("x" * 50, "y" * 50)):
        make_run(f"run{index}", index, protocol={"wrappers": text})
    runs = analysis.load_runs(tmp_path)
    chosen, sentences = told(analysis.select, runs, across_protocols=True)
    assert list(chosen.runs["group"]) == ["DQN [protocol A]", "DQN [protocol B]"]
    assert any(f"protocol B has wrappers {'y' * 50}" in line for line in sentences)


def test_sentences_on_what_may_mislead(make_run, tmp_path):
    make_run("a", 0, commit="1" * 40)
    make_run("b", 1, iterations=((100, 1.0, 2.0),))
    _, sentences = told(analysis.select, analysis.load_runs(tmp_path))
    said = " ".join(sentences)
    assert "different agent steps, and each is scored at its own end: DQN in CartPole-v1" in said
    assert "(100 to 200)" in said
    assert "different commits of dopamine_lite" in said
    assert (
        "There is no interval for fewer than 3 seeds" in said and "DQN in CartPole-v1 (2)" in said
    )


def test_scores(make_run, tmp_path):
    make_run("a", 0)
    make_run("b", 1, iterations=((100, 5.0, 6.0), (200, 7.0, None)))
    runs, _ = told(analysis.select, analysis.load_runs(tmp_path))
    trained = analysis.scores(runs, "train")
    assert list(trained["score"]) == [3.0, 7.0]
    assert list(trained["area"]) == [2.0, 6.0]  # the mean of two points
    assert list(analysis.scores(runs, "train", last=2)["score"]) == [2.0, 6.0]
    evaluated, sentences = told(analysis.scores, runs)
    assert list(evaluated["score"]) == [4.0]
    assert sentences[-1].startswith(
        "1 of 2 runs left out, because they have no eval_average_return"
    )
    assert list(analysis.scores(runs, "train", "loss")["score"]) == [0.5, 0.5]
    for options, sentence in (
        ({"metric": "average_retrun"}, r"did you mean eval_average_return"),
        ({"last": 3}, "one run has only 2 iterations"),
        ({"score": "evaluations"}, "has no evaluation of its last checkpoint"),
        ({"score": "evaluations", "last": 2}, "leave out `metric` and `last`"),
    ):
        with pytest.raises(UserError, match=sentence):
            analysis.scores(runs, **options)


def test_scores_by_evaluations_are_of_equal_numbers_of_episodes(make_run, tmp_path):
    a, b = make_run("a", 0), make_run("b", 1)
    for directory, episodes, returns in ((a, 2, [1, 2]), (b, 2, [3, 5]), (b, 3, [0, 0, 0])):
        (directory / "evaluations").mkdir(exist_ok=True)
        name = f"checkpoint-200-episodes-{episodes}-seed-0.json"
        (directory / "evaluations" / name).write_text(f'{{"returns": {returns}}}')
    runs, _ = told(analysis.select, analysis.load_runs(tmp_path))
    assert list(analysis.scores(runs, "evaluations")["score"]) == [1.5, 4.0]
    two = a / "evaluations" / "checkpoint-200-episodes-2-seed-0.json"
    two.write_text('{"returns": [1]}')
    with pytest.raises(UserError, match=r"is damaged \(it has 1 returns\)"):
        analysis.scores(runs, "evaluations")
    two.unlink()
    (a / "evaluations" / "checkpoint-200-episodes-1-seed-0.json").write_text('{"returns": [1]}')
    with pytest.raises(UserError, match="different numbers of episodes"):
        analysis.scores(runs, "evaluations")


def test_curves_and_their_bands(make_run, tmp_path):
    for seed in range(3):
        make_run(f"run{seed}", seed, iterations=((100, 0.0, float(seed)), (200, 0.0, 2.0)))
    make_run("longer", 3, iterations=((100, 0.0, 3.0), (200, 0.0, 2.0), (300, 0.0, 9.0)))
    runs, _ = told(analysis.select, analysis.load_runs(tmp_path))
    found = analysis.curves(runs)
    assert list(found["x"]) == [100, 200]  # what all have come to
    assert list(found["value"]) == [1.5, 2.0]
    assert found["low"][0] < 1.5 < found["high"][0]
    assert found["low"][1] == found["high"][1] == 2.0
    assert set(found["seeds"]) == {4}
    by_time = analysis.curves(runs, x="time")
    assert by_time["x"].tolist() == [10, 20]
    with pytest.raises(UserError, match="have no frames"):
        analysis.curves(runs, x="frames")


def test_a_point_that_a_run_lacks_is_no_mean_of_the_others(make_run, tmp_path):
    make_run("a", 0)
    make_run("b", 1, iterations=((100, 1.0, None), (200, 1.0, 8.0)))
    runs, _ = told(analysis.select, analysis.load_runs(tmp_path))
    found, sentences = told(analysis.curves, runs)
    assert np.isnan(found["value"][0]) and found["value"][1] == 6.0
    assert sentences == [
        "1 of 2 points of DQN in CartPole-v1 lack the eval_average_return of at least one run and "
        "are not drawn."
    ]


def test_steps_that_differ_are_interpolated(make_run, tmp_path):
    make_run("a", 0, iterations=((100, 0.0, 0.0), (300, 0.0, 2.0)))
    make_run("b", 1, iterations=((200, 0.0, 1.0), (400, 0.0, 3.0)))
    runs, _ = told(analysis.select, analysis.load_runs(tmp_path))
    found = analysis.curves(runs)
    assert found["x"].iloc[[0, -1]].tolist() == [200, 300]  # where both are
    np.testing.assert_allclose(found["value"].iloc[[0, -1]], [1.0, 2.0])


def test_environments_are_averaged_only_on_one_scale(make_run, tmp_path):
    for environment, scale in (("Pong", 10.0), ("Breakout", 100.0)):
        for agent, factor in (("DQNAgent", 1.0), ("C51Agent", 2.0)):
            for seed in range(3):
                make_run(
                    f"{environment}/{agent}/{seed}",
                    seed,
                    agent=agent,
                    environment=environment,
                    iterations=((100, 0.0, factor * scale * (1 + seed)),),
                )
    runs = analysis.load_runs(tmp_path)
    raw = summary.compare(runs, resamples=200)
    assert raw.across.empty and raw.profiles.empty
    assert any("have no common scale" in note for note in raw.notes)
    bounds = pd.DataFrame({"environment": ["Pong", "Breakout"], "low": 0, "high": [10, 100]})
    found = summary.compare(runs, bounds=bounds, resamples=200)
    values = found.across.set_index(["group", "statistic"])["value"]
    assert values["DQN", "mean"] == pytest.approx(2) and values["C51", "iqm"] == pytest.approx(4)
    assert set(found.profiles["environments"]) == {2}
    (row,) = found.improvement.to_dict("records")
    # of C51's 2, 4, 6 and DQN's 1, 2, 3: 2 beats 1 and ties with 2, the others beat 3 and 3
    assert (row["group"], row["over"], row["environments"]) == ("C51", "DQN", 2)
    assert row["value"] == pytest.approx((1.5 + 3 + 3) / 9)
    human = analysis.normalized(raw.scores)
    pong = human[(human["environment"] == "Pong") & (human["seed"] == 0)]["score"].min()
    assert pong == pytest.approx((10 - -20.7) / (14.6 - -20.7))  # dqn_zoo's constants
    with pytest.raises(UserError, match="no bounds to normalize Breakout"):
        summary.compare(runs, bounds=bounds[:1], resamples=200)


def test_aggregates_are_over_what_all_groups_have():
    rows = [
        (group, environment, seed, value, area)
        for group, environment, value, area in (
            ("a", "Pong", 1.0, 1.0),
            ("a", "Breakout", 2.0, np.nan),
            ("b", "Pong", 3.0, 3.0),
            ("b", "Breakout", 4.0, 4.0),
            ("b", "Asterix", 100.0, 100.0),  # the other has none
        )
        for seed in range(3)
    ]
    table = pd.DataFrame(rows, columns=["group", "environment", "seed", "score", "area"])
    means = analysis.aggregate(table, across=True, resamples=100).query("statistic == 'mean'")
    assert means["value"].tolist() == [1.5, 3.5] and set(means["environments"]) == {2}
    areas = analysis.aggregate(table, "area", across=True, resamples=100)
    assert set(areas["environments"]) == {1}
    with pytest.raises(UserError, match="no environment in common"):
        analysis.aggregate(table.query("environment == 'Asterix' or group == 'a'"), across=True)


def test_published_results(tmp_path):
    names = analysis.references()
    assert {"dopamine", "dqn_zoo", "rl_zoo", "minatar"} <= set(names)
    for name in names:
        table = analysis.load_reference(name)
        assert (table["protocol"] != "").all() and (table["source"] != "").all()
        assert table["value"].notna().all()
        key = ["agent", "environment", "agent_steps", "metric", "protocol", "source"]
        assert not table.duplicated(key).any()
    dopamine = analysis.load_reference("dopamine").set_index(["agent", "environment", "frames"])
    assert dopamine.loc[("DQN", "Asterix", 200e6), "value"] == 16654.81
    assert set(dopamine.reset_index()["agent"]) == {"DQN", "C51", "Rainbow", "IQN", "QR-DQN"}
    assert dopamine.reset_index()["environment"].nunique() == 60
    assert len(analysis.human_scores()) == 57
    with pytest.raises(UserError, match=r"did you mean dopamine\?"):
        analysis.load_reference("dopamin")
    (tmp_path / "mine.csv").write_text("agent,environment\nDQN,Pong\n")
    with pytest.raises(UserError, match="it has no column agent_steps"):
        analysis.load_reference(tmp_path / "mine.csv")


COLLECTED = "config,environment,bindings,seed,agent_steps,train_return,eval_return\n"


def test_a_table_of_runs_is_runs_and_a_reference(tmp_path):
    rows = [f"dqn/cartpole.gin,CartPole-v1,,{seed},100,{seed}.0,{2 * seed}" for seed in range(3)]
    path = tmp_path / "curves.csv"
    path.write_text(COLLECTED + "\n".join(rows) + "\n")
    runs = analysis.load_runs(path)
    assert list(runs.runs["agent"]) == ["DQNAgent"] * 3 and runs.runs["finished"].all()
    chosen, _ = told(analysis.select, runs)
    assert analysis.scores(chosen)["score"].tolist() == [0.0, 2.0, 4.0]
    reference = analysis.load_reference(path)
    training = reference[reference["metric"] == "training return"].iloc[0]
    assert (training["value"], training["std"], training["runs"]) == (1.0, 1.0, 3.0)
    for text, sentence in (("a,b\n1,2\n", "not a table of runs"), ("", "not a CSV file")):
        path.write_text(text)
        with pytest.raises(UserError, match=sentence):
            analysis.load_runs(path)


def test_a_strangers_table_opens_no_other_file(tmp_path):
    secret = tmp_path / "secret.gin"
    secret.write_text("Runner.agent = @SecretAgent\n")
    path = tmp_path / "curves.csv"
    path.write_text(f"{COLLECTED}{secret},CartPole-v1,,0,100,1.0,1.0\n")
    assert analysis.load_runs(path).runs["agent"].isna().all()


def test_importing_touches_neither_tensorflow_nor_pyplot():
    program = (
        "import sys; from dopamine_lite import analysis; analysis.draw_curves, analysis.scores;"
        "import dopamine_lite.analysis.plots, dopamine_lite.analysis.summary;"
        "assert not {'tensorflow', 'matplotlib.pyplot'} & set(sys.modules);"
        "import matplotlib; assert 'backend' not in dict.keys(matplotlib.rcParams) or"
        " matplotlib.rcParams._get_backend_or_none() is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there():
    for name in analysis.__all__:
        assert getattr(analysis, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        analysis.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("place", "value", "column", "found"),
    [
        ("seed", "three", "seed", None),
        ("seed", 10**30, "seed", None),
        ("environment", "\x1b[2KPong", "environment", "\\x1b[2KPong"),
        ("protocol", {"frame_skip": 10**400}, "protocol", None),
        ("protocol", {}, "protocol", None),
    ],
)
def test_odd_provenance_of_others(make_run, tmp_path, place, value, column, found):
    directory = make_run("run")
    provenance = json.loads((directory / "provenance.json").read_text())
    provenance[place] = value
    (directory / "provenance.json").write_text(json.dumps(provenance))
    row = analysis.load_runs(tmp_path).runs.iloc[0]
    if found is not None:
        assert row[column] == found
    elif column == "seed":
        assert row["seed"] is pd.NA
        with pytest.raises(UserError, match="No run is left"):
            analysis.select(analysis.load_runs(tmp_path), report=lambda _: None)
    else:
        assert analysis.load_runs(tmp_path).iterations["frames"].isna().all()


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("dopamine-lite train --gin_files=a/b/c --seed 1", "b/c.gin"),
        ("dopamine-lite train --gin_files x.gin --gin_files y.gin", "x.gin + y.gin"),
        ("python study.py", None),
        ("'unbalanced", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_the_config_that_a_command_tells(make_run, tmp_path, command, config):
    directory = make_run("run")
    provenance = json.loads((directory / "provenance.json").read_text())
    provenance["started"]["command"] = command
    (directory / "provenance.json").write_text(json.dumps(provenance))
    assert analysis.load_runs(tmp_path).runs["config"][0] == config


@pytest.mark.parametrize(
    ("told", "config"),
    [
        ({"gin_files": ["a/b/c"], "gin_bindings": []}, "b/c.gin"),
        ({"gin_files": ["x.gin", "y.gin"]}, "x.gin + y.gin"),
        ({"gin_files": []}, None),
        ({"gin_files": [7]}, None),
        ("text", "of/command.gin"),
    ],
)
def test_the_config_that_a_start_tells(make_run, tmp_path, told, config):
    directory = make_run("run")
    provenance = json.loads((directory / "provenance.json").read_text())
    command = "dopamine-lite train --gin_files of/command.gin"
    provenance["started"] |= {"command": command, "config": told}
    (directory / "provenance.json").write_text(json.dumps(provenance))
    assert analysis.load_runs(tmp_path).runs["config"][0] == config


def test_callbacks_that_only_watch_make_no_group(make_run, tmp_path):
    config = {
        "watched": ("[@KeepBest, @my/WandB]", "KeepBest.keep_every = 2\nmy/WandB.project = 'x'\n"),
        "stopped": ("[@KeepBest, @EarlyStopping]", "EarlyStopping.patience = 3\n"),
    }
    make_run("plain", seed=0)
    for seed, (name, (bound, settings)) in enumerate(config.items(), start=1):
        path = make_run(name, seed=seed) / "config.gin"
        path.write_text(f"{path.read_text()}Runner.callbacks = {bound}\n{settings}")
    table = analysis.load_runs(tmp_path).runs.set_index("seed")
    assert table["settings"][0] == table["settings"][1]
    assert table["settings"][2] == table["settings"][0] | {
        "Runner.callbacks": "[@EarlyStopping]",
        "EarlyStopping.patience": "3",
    }


@pytest.mark.parametrize("protocol", [[1], "text", 3])
def test_a_damaged_protocol_is_a_sentence(make_run, tmp_path, protocol):
    directory = make_run("run")
    provenance = json.loads((directory / "provenance.json").read_text())
    (directory / "provenance.json").write_text(json.dumps(provenance | {"protocol": protocol}))
    with pytest.raises(UserError, match="is damaged"):
        analysis.load_runs(tmp_path)


def test_names_of_others_are_written_out_and_are_no_mathematics(make_run, tmp_path):
    for seed, value in enumerate(("'$\\x1b[2K$'", "'b|c_%'")):
        make_run(f"run{seed}", seed, DQNAgent__name=value)
    found = summary.compare(analysis.load_runs(tmp_path), resamples=100)
    assert not any("\x1b" in group for group in found.scores["group"])
    for _, figure in summary.comparison_figures(found):
        figure.savefig(tmp_path / "picture.svg")


@pytest.mark.parametrize("length", [5, 60, 200])
def test_names_of_any_length_are_whole_and_leave_room_for_the_rows(length):
    groups = [f"{'a setting=0.1 ' * (length // 14)}{letter}" for letter in "xyz"]
    numbers = {"value": 0.5, "low": 0.2, "high": 1.0, "environments": 1}
    pairs = pd.DataFrame([{"group": a, "over": b} | numbers for a in groups for b in groups])
    rows = [
        {"environment": "X-v0", "group": group, "statistic": statistic, "seeds": 3} | numbers
        for group in groups
        for statistic in ("iqm", "mean", "median")
    ]
    for figure in (analysis.draw_improvement(pairs), analysis.draw_intervals(pd.DataFrame(rows))):
        figure.draw_without_rendering()
        whole = figure.bbox
        for axes in figure.axes:
            assert axes.bbox.width > figure.dpi * 1.2
            texts = [*axes.get_yticklabels(), axes.xaxis.label, axes.title]
            for box in (text.get_window_extent() for text in texts if text.get_text()):
                assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1
