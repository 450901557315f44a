"""Atari 2600 games in ale_py's own vector environment; a protocol sets every option."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.metadata
import re

import ale_py
import ale_py.roms
import ale_py.vector_env
import gin
import gymnasium
import numpy as np

from dopamine_lite.common.checks import check_flag, check_fraction, check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.machine import usable_cores
from dopamine_lite.environments.action_names import in_words
from dopamine_lite.environments.environment import EnvironmentSpec, Step
from dopamine_lite.environments.gymnasium_environment import environment_seeds
from dopamine_lite.environments.vector_environment import VectorEnvironment

_MOST_FRAMES = 2**31 - 1  # of a game: ale_py counts them in 32 bits
_DEFAULT_MAX_STEPS = 27_000  # agent steps: half an hour of play


@gin.configurable
class AtariEnvironment(VectorEnvironment):
    """N environments of one Atari 2600 game: stacks of gray 84 x 84 frames, raw rewards.

    The defaults are the protocol of Machado et al. (2018), `atari/sticky.gin`.

    Args:
      num_envs: N, the number of environments.
      seed: the seed from which each environment gets its own.
      max_steps_per_episode: agent steps after which a game is truncated; None: 27,000.
      render: keep a second emulator that draws the first environment's game in color.
      evaluate: play whole games, even if `episodic_life` is set.
      game: the game, such as "Pong", "SpaceInvaders" or "ALE/Pong-v5", of which only the game's name
        counts.
      repeat_action_probability: the probability, in each frame, that the previous action is executed
        again ("sticky actions").
      noop_max: the most frames without action at the start of a game. Their number is drawn uniformly
        from 0 to this.
      episodic_life: in training, tell the agent that a lost life is a terminal step. The game continues,
        and its whole score is counted.
      fire_reset: press fire at the start of a game.
      full_action_space: offer all 18 actions instead of only those that the game uses.
      frame_skip: the number of frames that an action lasts. The last two are max-pooled.
      stack_size: the number of frames in an observation.

    Raises:
      UserError: there is no such game, or a number is out of range.
    """

    def __init__(
        self,
        num_envs: int = 1,
        seed: int = 0,
        max_steps_per_episode: int | None = None,
        render: bool = False,
        evaluate: bool = False,
        *,
        game: str = gin.REQUIRED,
        repeat_action_probability: float = 0.25,
        noop_max: int = 0,
        episodic_life: bool = False,
        fire_reset: bool = False,
        full_action_space: bool = False,
        frame_skip: int = 4,
        stack_size: int = 4,
    ):
        rom = find_rom(game)
        # ale_py accepts such numbers silently, or hangs.
        check_fraction("AtariEnvironment", repeat_action_probability=repeat_action_probability)
        check_whole("AtariEnvironment", num_envs=num_envs)
        check_whole("AtariEnvironment", most=1_000, frame_skip=frame_skip, stack_size=stack_size)
        check_whole("AtariEnvironment", least=0, most=10_000, noop_max=noop_max)
        check_flag(
            "AtariEnvironment",
            episodic_life=episodic_life,
            fire_reset=fire_reset,
            full_action_space=full_action_space,
        )
        max_steps = max_steps_per_episode or _DEFAULT_MAX_STEPS
        if max_steps * frame_skip > _MOST_FRAMES:
            raise UserError(
                f"Runner.max_steps_per_episode is {max_steps:,}, but with frame_skip = {frame_skip} "
                f"ale_py counts no further than {_MOST_FRAMES // frame_skip:,} steps: give that or less."
            )
        options = {
            "repeat_action_probability": repeat_action_probability,
            "noop_max": noop_max + 1,  # ale_py draws from 0 to one less than this
            "use_fire_reset": fire_reset,
            "full_action_space": full_action_space,
            "frameskip": frame_skip,
            "max_num_frames_per_episode": max_steps * frame_skip,
            "maxpool": True,
            # Returns must be sums of raw rewards, and in same-step mode the emulator would start a new
            # game at each lost life (measured with ale_py 0.12). So this class does both itself.
            "reward_clipping": False,
            "episodic_life": False,
            "life_loss_info": False,
            "continuous": False,
            "continuous_action_threshold": 0.5,  # no effect on discrete actions
            "thread_affinity_offset": -1,
            "autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP,
        }
        envs = ale_py.vector_env.AtariVectorEnv(
            rom,
            num_envs,
            batch_size=num_envs,  # wait for all: no run would repeat in order of arrival
            img_height=84,
            img_width=84,
            grayscale=True,
            stack_num=stack_size,
            num_threads=min(num_envs, usable_cores()),  # affects only the speed
            **options,
        )
        spec = EnvironmentSpec(
            id=game_name(rom),
            observation_space=envs.single_observation_space,
            action_space=envs.single_action_space,
            num_envs=num_envs,
            stack_size=stack_size,
            frame_skip=frame_skip,
            max_steps_per_episode=max_steps,
            protocol={
                "environment": f"Atari {game_name(rom)}",
                "repeat_action_probability": repeat_action_probability,
                "noop_max": noop_max,
                "episodic_life": "in training" if episodic_life else False,
                "fire_reset": fire_reset,
                "full_action_space": full_action_space,
                "frame_skip": frame_skip,
                "max_pooled_frames": min(2, frame_skip),
                "stack_size": stack_size,
                "max_steps_per_episode": max_steps,
                "max_frames_per_episode": max_steps * frame_skip,
                "ale_py": importlib.metadata.version("ale-py"),
                "rom_sha256": rom_digest(rom),
            },
            action_names=tuple(
                in_words(ale_py.Action(action).name) for action in envs.ale.get_action_set()
            ),
        )
        seeds = environment_seeds(seed, num_envs)
        super().__init__(envs, spec, seeds)
        self._num_actions = int(envs.single_action_space.n)
        self._lives = _Lives(num_envs, stack_size) if episodic_life and not evaluate else None
        self._twin = _Twin(rom, int(seeds[0]), options) if render else None

    def reset(self) -> np.ndarray:
        observations = super().reset()
        if self._lives:
            self._lives.begin(self._info["lives"])
        if self._twin:
            self._twin.reset()
        return observations

    def step(self, actions: np.ndarray) -> Step:
        if actions.min() < 0 or actions.max() >= self._num_actions:
            # With such an action, the emulators would wait forever (ale_py 0.12).
            raise ValueError(f"{actions} are not all in {self.spec.action_space}.")
        result = super().step(actions)
        if self._lives:
            result = self._lives.end_with_lives(result, self._info["lives"])
        if self._twin:
            self._twin.step(actions)
        return result

    def render(self) -> np.ndarray:
        if self._twin is None:
            raise ValueError("Built without render=True.")
        return self._twin.frame

    def close(self) -> None:
        super().close()
        if self._twin:
            self._twin.close()


class _Lives:
    """Makes a lost life a terminal step, after which the agent does not see earlier frames."""

    def __init__(self, num_envs: int, stack_size: int):
        self._stack = stack_size
        self._age = np.full(num_envs, stack_size)  # frames seen of this life, up to the stack

    def begin(self, lives: np.ndarray) -> None:
        self._before = lives.copy()

    def end_with_lives(self, result: Step, lives: np.ndarray) -> Step:
        over = result.terminated | result.truncated
        lost = (lives < self._before) & (lives > 0) & ~over
        self._before = lives.copy()
        if not lost.any() and self._age.min() == self._stack:
            return result._replace(game_over=over)
        self._age = np.minimum(self._age + 1, self._stack)
        following = self._without_former_life(result.next_observations)
        self._age[over] = self._stack  # the emulator has already emptied the stack
        self._age[lost] = 1
        observations = self._without_former_life(result.observations)
        return result._replace(
            observations=observations,
            next_observations=following,
            terminated=result.terminated | lost,
            game_over=over,
        )

    def _without_former_life(self, observations: np.ndarray) -> np.ndarray:
        """The stacks, with zeros for frames older than the present life, as at a game's start."""
        kept = np.arange(self._stack) >= self._stack - self._age[:, None]  # [N, stack]
        return observations * kept[:, :, None, None].astype(observations.dtype)


class _Twin:
    """A copy of the first environment's game in color and full size: same seed, same actions."""

    def __init__(self, rom: str, seed: int, options: dict):
        self._seed = seed
        self._envs = ale_py.vector_env.AtariVectorEnv(
            rom,
            1,
            batch_size=1,
            img_height=210,
            img_width=160,
            grayscale=False,
            stack_num=1,
            num_threads=1,
            **options,
        )

    def reset(self) -> None:
        observations, _ = self._envs.reset(seed=np.array([self._seed], np.int32))
        self.frame = observations[0, 0]

    def step(self, actions: np.ndarray) -> None:
        observations, self.rewards, terminated, truncated, _ = self._envs.step(actions[:1])
        self.frame = observations[0, 0]
        self.ended = bool(terminated[0] or truncated[0])

    def close(self) -> None:
        self._envs.close()


def find_rom(game: str) -> str:
    """ale_py's name for a game, from any usual name.

    Raises:
      UserError: there is no such game; the message has the nearest names.
    """
    by_name = {name.lower(): name for name in games()}
    bare = re.sub(r"^ALE/|(NoFrameskip|Deterministic)?-v\d+$", "", str(game))
    key = re.sub("[_ ]", "", bare).lower()
    if key in by_name:
        return games()[by_name[key]]
    near = [by_name[name] for name in difflib.get_close_matches(key, by_name, n=3)]
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "`list` shows them with the option `games`."
    )
    raise UserError(f"There is no Atari game {game!r}: {hint}")


def game_name(rom: str) -> str:
    """ "space_invaders" -> "SpaceInvaders"."""
    return next(name for name, known in games().items() if known == rom)


def rom_digest(rom: str) -> str:
    """SHA-256 of the game's ROM."""
    path = ale_py.roms.get_rom_path(rom)
    if path is None:
        raise UserError(f"ale_py has no ROM for {game_name(rom)}: reinstall ale-py.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def games() -> dict[str, str]:
    """ "SpaceInvaders": "space_invaders" ... for every game of one player.

    ale_py also has ROMs of games for two. It would end the whole process if one were played here.
    """
    return {
        spec.name: spec.kwargs["game"]
        for spec in gymnasium.registry.values()
        if spec.namespace == "ALE"
    }
