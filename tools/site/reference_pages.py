"""Which pages of the reference are generated, and what is on them. Nothing here needs the package."""

from __future__ import annotations

from typing import NamedTuple


class SettingsPage(NamedTuple):
    """A page with everything that can be set on some kinds of parts.

    Attributes:
      name: the page's file, without its suffix.
      title: its heading.
      introduction: what stands below the heading.
      kinds: the kinds of parts on it, by their titles in the package's catalogue.
      modules: where other parts on it come from: what the names of their modules begin with.
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
        "What a run is: its agent and environment, its length, its checkpoints, its actors; and what "
        "TensorFlow computes with.",
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
        "What `Runner.environment` can refer to. [Protocols](../protocols.md) compares their settings.",
        ("Environments",),
    ),
    SettingsPage(
        "wrappers",
        "Wrappers",
        "What changes the observations of an environment, if "
        "[`wrapped_environment`](environments.md#wrapped_environment) is given them.",
        ("Wrappers",),
    ),
    SettingsPage(
        "callbacks",
        "Callbacks",
        "What is called while a run goes on. [Callbacks](../../how_to/callbacks.md) shows how to use "
        "them and how to write your own.",
        ("Callbacks",),
    ),
)
COMMANDS, CONFIGS, SETTINGS_INDEX = "commands.md", "configs.md", "settings/index.md"
GENERATED = (  # below docs/reference
    *(COMMANDS, CONFIGS, SETTINGS_INDEX),
    *(f"settings/{page.name}.md" for page in SETTINGS),
)
