"""The generated pages of the reference and their contents. Nothing here needs the package."""

from __future__ import annotations

from typing import NamedTuple


class SettingsPage(NamedTuple):
    """A page with everything that can be set on some kinds of parts.

    Attributes:
      name: the page's file, without its suffix.
      title: its heading.
      introduction: the text below the heading.
      kinds: the kinds of parts on it, by their titles in the package's catalogue.
      modules: the beginnings of the names of the modules with the other parts on it.
    """

    name: str
    title: str
    introduction: str
    kinds: tuple[str, ...]
    modules: tuple[str, ...] = ()


SETTINGS = (
    SettingsPage(
        "runner",
        "Runner",
        "The settings of a run: its agent and environment, its length, its checkpoints and its actors; "
        "and the devices and threads that TensorFlow uses.",
        (),
        ("dopamine_lite.runner.", "dopamine_lite.configuration."),
    ),
    SettingsPage(
        "agents",
        "Agents",
        "Each agent with all of its own settings. [Agents](../../agents/index.md) explains the "
        "algorithms and shows results.",
        ("Agents", "Agents in Dopamine's style"),
        ("dopamine_lite.agents.",),
    ),
    SettingsPage(
        "networks",
        "Networks",
        "Torsos turn observations into features, heads turn features into the outputs of a value-based "
        "agent, and policies are the heads of policy agents. Augmentations change the images that an "
        "update learns from.",
        ("Torsos", "Heads", "Policies", "Augmentations"),
    ),
    SettingsPage(
        "replay",
        "Replays",
        "The memories of DQN, C51, QR-DQN, IQN, Rainbow and SAC. "
        "[The memory of a replay](../../explanation/replay_memory.md) says how much they take.",
        ("Replay",),
    ),
    SettingsPage(
        "exploration",
        "Exploration",
        "How an agent with action values chooses its actions.",
        ("Exploration",),
    ),
    SettingsPage(
        "optimizers",
        "Optimizers",
        "Optimizers, and schedules of their learning rates. "
        "[Learning rates](../../how_to/learning_rates.md) shows how to use them.",
        ("Optimizers", "Schedules"),
    ),
    SettingsPage(
        "environments",
        "Environments",
        "Everything that `Runner.environment` can refer to. [Protocols](../protocols.md) compares the "
        "settings.",
        ("Environments",),
    ),
    SettingsPage(
        "wrappers",
        "Wrappers",
        "Wrappers change the observations of an environment. Give them to "
        "[`wrapped_environment`](environments.md#wrapped_environment).",
        ("Wrappers",),
    ),
    SettingsPage(
        "callbacks",
        "Callbacks",
        "Parts that the Runner calls during a run. [Callbacks](../../how_to/callbacks.md) shows how to "
        "use them and how to write your own.",
        ("Callbacks",),
    ),
)
COMMANDS, CONFIGS, SETTINGS_INDEX = "commands.md", "configs.md", "settings/index.md"
GENERATED = (  # below docs/reference
    *(COMMANDS, CONFIGS, SETTINGS_INDEX),
    *(f"settings/{page.name}.md" for page in SETTINGS),
)
