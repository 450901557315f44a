"""Writes the tables of docs/results/speed.md and of README.md from the CSV files of benchmarks/.

python benchmarks/peers/page.py

A table stands between `<!-- speed: NAME -->` and `<!-- end of speed -->`, and is written anew. A test
fails where a document is not what this program makes of the files.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from growth import FLAGS
from measure import OURS, PEERS, SPEED, TRIAL
from measure_replays import REPLAYS
from measure_resume import RESUMES
from rows import FLOOR, GROWTH, UPDATES, read
from workloads import WORKLOADS, Replayed, Rollouts, Workload

ROOT = HERE.parents[1]
DOCUMENTS = (ROOT / "docs" / "results" / "speed.md", ROOT / "README.md")
FILES = {
    "speed": SPEED,
    "replays": REPLAYS,
    "resumes": RESUMES,
    "floor": FLOOR,
    "updates": UPDATES,
    "growth": GROWTH,
}
Rows = list[dict[str, str]]
NAMES = {
    "sb3": "Stable-Baselines3",
    "sbx": "SBX",
    "tianshou": "Tianshou",
    "tianshou_checked": "Tianshou, with its check of the replay",
    "cleanrl": "CleanRL",
    "dopamine": "Dopamine",
    "dopamine_same": "Dopamine, padding 'same'",
    OURS: "dopamine_lite",
}
AGENT_NAMES = {
    "dqn": "DQN",
    "c51": "C51",
    "qr_dqn": "QR-DQN",
    "iqn": "IQN",
    "rainbow": "Rainbow",
    "ppo": "PPO",
}
GAMES = {"cartpole": "CartPole", "pong": "Pong"}
_BLOCK = re.compile(r"(<!-- speed: (\w+) -->\n).*?(<!-- end of speed -->)", re.DOTALL)


def main() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(filled(text), encoding="utf-8")


def filled(text: str, **rows: Rows) -> str:
    """A document with its tables written anew, from the rows of `FILES` or others in their place."""
    rows = {name: read(path) for name, path in FILES.items()} | rows
    for name in ("floor", "updates", "growth"):
        _check_machine(rows[name], FILES[name].name)
    speed, replays, resumes = rows["speed"], rows["replays"], rows["resumes"]
    measured = [row for row in speed if row["round"] not in ("", str(TRIAL))]
    loops = {key: each for key, each in WORKLOADS.items() if each.settings}
    alone = {key: each for key, each in WORKLOADS.items() if not each.settings}
    blocks = {
        "measured": _when_and_where(measured),
        "loops": _markdown(_speeds(measured, loops)),
        "limits": _markdown(_limits(measured, loops)),
        "environments": _markdown(_speeds(measured, alone)),
        "failures": _failures(speed),
        "settings": _markdown(_settings(loops)),
        "starts": _markdown(_starts(measured)),
        "replays": _markdown(_replays(replays)),
        "resumes": _markdown(_resumes(resumes)),
        "comparison": _markdown(_comparison(measured, replays, resumes)),
        "floor": _markdown(_floor(rows["floor"])),
        "updates": _markdown(_updates(rows["updates"])),
        "environments_grow": _markdown(_growing(rows["growth"], "num_envs", "pong")),
        "units_grow": _markdown(_growing(rows["growth"], "hidden_units", "cartpole")),
        "replay_grows": _markdown(_growing(rows["growth"], "replay_capacity", "pong", "10000")),
    }
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", text)


def _check_machine(rows: Rows, file: str) -> None:
    """Ends the program if numbers that stand beside each other were measured on different machines."""
    machines = sorted({_machine(row) for row in rows})
    if len(machines) > 1:
        raise SystemExit(
            f"{file} has rows of {' and of '.join(machines)}: measure all of its cases on one machine."
        )


def _machine(row: dict[str, str]) -> str:
    return f"{row['processor']}, {row['cores']} cores"


def _when_and_where(measured: Rows) -> str:
    if not measured:
        return "**Nothing has been measured yet**, so the tables are empty.\n"
    machines = sorted({_machine(row) for row in measured})
    days = sorted({row["session"][:10] for row in measured})
    when = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    return f"Measured {when} on {' and '.join(machines)}.\n"


def _speeds(measured: Rows, workloads: dict[str, Workload]) -> Iterator[list[str]]:
    yield ["", "framework", "threads, its / ours", "its speed", "dopamine_lite", "ratio"]
    for key, workload in workloads.items():
        title = workload.title
        for name in workload.peers:
            theirs = [row for row in measured if (row["workload"], row["peer"]) == (key, name)]
            if not theirs:
                continue
            ours = [_ours_beside(row, measured) for row in theirs]
            in_processes = " in processes" if theirs[0]["variant"] == "processes" else ""
            yield [
                title,
                f"{NAMES[name]} {theirs[0]['version']}{in_processes}",
                f"{theirs[0]['threads']} / {ours[0]['threads']}",
                _median([_speed(row) for row in theirs]),
                _median([_speed(row) for row in ours]),
                _median(ratios(theirs, measured)),
            ]
            title = ""  # of the rows below, too


def ratios(theirs: Rows, measured: Rows) -> list[float]:
    """Our speed divided by a peer's, of each of its windows: ours is that of the same round."""
    return [_speed(_ours_beside(row, measured)) / _speed(row) for row in theirs]


def _limits(measured: Rows, workloads: dict[str, Workload]) -> Iterator[list[str]]:
    """What the matrix products of our updates alone would take at the processor's peak."""
    yield ["", "threads", "updates per second", "GFLOP an update", "GFLOP/s", "peak", "share"]
    for key, workload in workloads.items():
        title, billions = workload.title, (workload.operations or 0) / 1e9
        ours = [
            row
            for row in measured
            if (row["workload"], row["peer"]) == (key, OURS) and row["peak_gflops"] and billions
        ]
        for threads in sorted({row["threads"] for row in ours}):
            rows = [row for row in ours if row["threads"] == threads]
            updates = [float(row["updates"]) / float(row["seconds"]) for row in rows]
            peaks = [float(row["peak_gflops"]) for row in rows]
            shares = [billions * each / peak for each, peak in zip(updates, peaks, strict=True)]
            yield [
                *(title, threads, _median(updates), _number(billions)),
                *(_median([billions * each for each in updates]), _median(sorted(set(peaks)))),
                f"{statistics.median(shares):.0%}",
            ]
            title = ""  # of the row below, too


def _ours_beside(row: dict[str, str], measured: Rows) -> dict[str, str]:
    """Our window of the same round."""
    same = ("workload", "session", "round")
    return next(
        each
        for each in measured
        if each["peer"] == OURS and all(each[column] == row[column] for column in same)
    )


def _speed(row: dict[str, str]) -> float:
    return float(row["steps_per_second"])


def _failures(speed: Rows) -> str:
    failed = [row for row in speed if row["failure"]]
    if not failed:
        return "Nothing has failed so far; what is not in the tables has not been measured yet.\n"
    lines = [
        (WORKLOADS[row["workload"]].title, NAMES[row["peer"]], row["failure"]) for row in failed
    ]
    return "".join(f"* {title}: {name}: `{failure}`\n" for title, name, failure in lines)


def _settings(workloads: dict[str, Workload]) -> Iterator[list[str]]:
    yield ["", "`WORKLOADS=`", "our config", "environments", "network", "learning"]
    for key, workload in workloads.items():
        hidden = "-".join(map(str, workload.hidden_units))
        yield [
            workload.title,
            f"`{key}`",
            f"`{workload.config}`",
            str(workload.num_envs),
            hidden or "convolutions",
            _learning(workload.settings),
        ]


def _learning(settings: Replayed | Rollouts | None) -> str:
    if isinstance(settings, Rollouts):
        return (
            f"rollouts of {settings.rollout_length:,}, {settings.num_epochs} passes in "
            f"{settings.num_minibatches} minibatches"
        )
    assert settings is not None
    updates = "update" if settings.updates_per_period == 1 else "updates"
    return (
        f"{settings.updates_per_period} {updates} every {settings.update_period} steps, batch "
        f"{settings.batch_size}, replay {settings.replay_capacity:,}"
    )


def _starts(measured: Rows) -> Iterator[list[str]]:
    keys = ("cartpole_dqn_zoo", "pong_dqn")
    yield ["", *(f"{key}, {what}" for key in keys for what in ("first step", "updates"))]
    for name in (OURS, *PEERS):
        cells = []
        for key in keys:
            rows = [row for row in measured if (row["workload"], row["peer"]) == (key, name)]
            for column in ("first_step_seconds", "warm_seconds"):
                cells.append(_median(sorted({float(row[column]) for row in rows})))
        if any(cells):
            yield [NAMES[name], *cells]


def _replays(rows: Rows) -> Iterator[list[str]]:
    yield [
        *(
            "",
            "frames",
            "resident, GB",
            "a million, GB",
            "first save",
            "second save",
            "on disk, GB",
        ),
        "going on",
    ]
    for row in rows:
        if row["failure"]:
            yield [NAMES[row["peer"]], row["failure"], *[""] * 6]
            continue
        frames, resident = int(row["frames"]), float(row["resident"])
        saves = [row["first_save_seconds"], row["second_save_seconds"], row["resume_seconds"]]
        lacking = "not measured" if row["resume_seconds"] else "cannot"
        first, second, resumed = (f"{float(each):.1f} s" if each else lacking for each in saves)
        on_disk = f"{float(row['second_saved']) / 1e9:.2f}" if row["second_saved"] else ""
        cells = [
            f"{frames:,}",
            f"{resident / 1e9:.2f}",
            f"{_million(row) / 1e9:.1f}",
            first,
            second,
        ]
        yield [NAMES[row["peer"]], *cells, on_disk, resumed]


def _million(row: dict[str, str]) -> float:
    """Bytes of memory with a million frames, by the growth per frame."""
    before = float(row["resident_at_first"])
    return before + (float(row["resident"]) - before) / int(row["frames"]) * 1e6


def _floor(rows: Rows) -> Iterator[list[str]]:
    """Our training loops beside bare ones: medians, and the lowest and highest ratio of a round."""
    yield ["", "rounds", "bare loop", "dopamine_lite", "ratio"]
    cases = sorted({(row["agent"], row["game"], row["num_envs"]) for row in rows})
    for agent, game, num_envs in cases:
        rounds = [
            row
            for row in rows
            if (row["agent"], row["game"], row["num_envs"]) == (agent, game, num_envs)
        ]
        count = "1 environment" if num_envs == "1" else f"{num_envs} environments"
        bare, ours = ([float(row[column]) for row in rounds] for column in ("floor", "framework"))
        yield [
            f"{AGENT_NAMES[agent]}, {GAMES[game]}, {count}",
            str(len(rounds)),
            _number(statistics.median(bare)),
            _number(statistics.median(ours)),
            _median([one / other for one, other in zip(ours, bare, strict=True)]),
        ]


def _updates(rows: Rows) -> Iterator[list[str]]:
    """An update of each agent with the Atari network: beside its network alone, and beside DQN's."""
    yield ["", "update", "beside DQN's", "beside its network alone", "replay's share"]
    seconds = {row["agent"]: float(row["update"]) for row in rows}
    for row in rows:
        update = seconds[row["agent"]]
        yield [
            AGENT_NAMES[row["agent"]],
            f"{1_000 * update:.1f} ms",
            f"{update / seconds['dqn']:.2f}",
            f"{update / float(row['bare']):.2f}",
            f"{float(row['replay']) / update:.0%}",
        ]


def _growing(rows: Rows, what: str, game: str, fill: str = "") -> Iterator[list[str]]:
    """A row for each agent, a column for each value of what grows, and the share of the update.

    Cases with anything else that differs from the agent's config are left out.
    """
    usual = dict.fromkeys(FLAGS, "") | {"num_envs": "1", "game": game, "fill": fill, "device": ""}
    del usual[what]
    chosen = [
        row
        for row in rows
        if row[what] and all(row[name] == value for name, value in usual.items())
    ]
    values = sorted({int(row[what]) for row in chosen})
    if len(values) < 2:
        yield [""]
        return
    yield ["", *(f"{value:,}" for value in values)]
    for agent in dict.fromkeys(row["agent"] for row in chosen):
        by_value = {int(row[what]): row for row in chosen if row["agent"] == agent}
        found = [by_value.get(value) for value in values]
        speeds = [_number(float(row["steps_per_second"])) if row else "" for row in found]
        yield [AGENT_NAMES[agent], *speeds]
        yield [
            "share of its updates",
            *(f"{float(row['update']):.0%}" if row else "" for row in found),
        ]


def _resumes(rows: Rows) -> Iterator[list[str]]:
    yield ["", "version", "a seed repeats", "a resumed run is equal"]
    for row in rows:
        cells = [_YES[row[column]] for column in ("repeats", "resumes")]
        yield [NAMES[row["peer"]], row["version"], *(cells if not row["failure"] else ["", ""])]


_YES = {"True": "yes", "False": "no", "": ""}
_COMPARED = (OURS, "dopamine", "sb3", "cleanrl", "tianshou")


def _comparison(measured: Rows, replays: Rows, resumes: Rows) -> Iterator[list[str]]:
    """README's table: what was measured, and what the frameworks' documentation says."""
    yield ["", *(NAMES[name] for name in _COMPARED)]
    equal = {row["peer"]: _YES[row["resumes"]] for row in resumes}
    equal |= {"cleanrl": "saves weights only", "tianshou": "left to your program"}
    yield ["A killed run resumes with the same bits", *(equal.get(name, "") for name in _COMPARED)]
    sizes = {row["peer"]: f"{_million(row) / 1e9:.1f} GB" for row in replays if not row["failure"]}
    if sizes:
        cells = [sizes.get(name, "") for name in _COMPARED]
        yield ["Memory with a million frames of Pong", *cells]
    for key, title in (
        ("pong_dqn", "DQN on Pong, speed relative to ours"),
        ("pong_ppo", "PPO on Pong, 8 environments, relative"),
    ):
        yield [title, "1", *(_relative(measured, key, name) for name in _COMPARED[1:])]
    yield ["Seeds to intervals", *_SEEDS]
    yield ["Agents", *_AGENTS]


_SEEDS = (
    "`sweep`, `compare`",
    "runs by hand, a notebook",
    "rl-zoo's scripts, rliable",
    "W&B and openrlbenchmark",
    "an experiment builder, rliable",
)
_AGENTS = (
    "DQN to Rainbow, IQN, PQN, PPO, SAC, REINFORCE, tabular",
    "DQN to Rainbow, IQN, PPO, SAC",
    "DQN, PPO, SAC, TD3 and others; more in contrib",
    "many, a file each",
    "most, also offline and multi-agent",
)


def _relative(measured: Rows, key: str, name: str) -> str:
    theirs = [row for row in measured if (row["workload"], row["peer"]) == (key, name)]
    if not theirs:
        return ""
    shares = [_speed(row) / _speed(_ours_beside(row, measured)) for row in theirs]
    return f"{statistics.median(shares):.2f}"


def _median(values: Sequence[float]) -> str:
    """ "12.3 (11.9 to 12.8)", with three digits that count."""
    if not values:
        return ""
    middle = statistics.median(values)
    if len(values) == 1:
        return _number(middle)
    return f"{_number(middle)} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *lines = rows
    if not lines:
        return "Not measured yet.\n"
    lines = [[_SPAN.sub(_in_two_lines, cell) for cell in cells] for cells in lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *lines))


_SPAN = re.compile(r"([\d.,]+) (\([\d.,]+ to [\d.,]+\))")  # a whole cell


def _in_two_lines(found: re.Match[str]) -> str:
    """A median, and in the next line of its cell the lowest and the highest, which do not part."""
    return f"{found[1]}<br>{found[2].replace(' ', chr(0xA0))}"


if __name__ == "__main__":
    main()
