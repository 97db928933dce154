"""Play one episode in an `Env` with an `Actor` and record it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from engine.protocols import Env, StatefulEnv
from engine.records.types import Outcome, Trajectory

Frame = npt.NDArray[np.uint8]
Action = npt.NDArray[np.float32]


@runtime_checkable
class Actor(Protocol):
    """Who chooses raw actions in reality; everything random comes from (seed, start id)."""

    @property
    def policy_hash(self) -> str | None:
        """Hash of the policy checkpoint, None for scripts."""
        ...

    def begin(self, start_id: int, seed: int) -> None:
        """Get ready for an episode."""
        ...

    def needs_frame(self, step: int) -> bool:
        """Whether the actor looks at the frame before this step."""
        ...

    def act(self, frame: npt.NDArray[np.uint8] | None, step: int) -> npt.NDArray[np.float32]:
        """The raw action [a] of this step."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What else is worth storing about the episode."""
        ...


@runtime_checkable
class ScriptedEnv(Env, Protocol):
    """An environment that comes with a scripted expert."""

    def expert_action(self, mistake: npt.NDArray[np.float64] | None = None) -> Action:
        """What the expert would do now: raw action [a].

        Args:
            mistake: metres [6] by which it takes the object and the goal to be elsewhere.
        """
        ...


def as_scripted(env: Env) -> ScriptedEnv:
    """The environment itself.

    Raises:
        ValueError: it has no scripted expert.
    """
    if not isinstance(env, ScriptedEnv):
        raise ValueError(f"{env.task.name} has no scripted expert")
    return env


def record_episode(
    env: Env,
    actor: Actor,
    *,
    episode_id: str,
    start_id: int,
    seed: int,
    steps_after_success: int,
    lineage: Mapping[str, Any],
) -> Trajectory:
    """Play from a start to the horizon, or `steps_after_success` steps beyond the success.

    Where the environment can tell its state, the state of every frame is stored as `states`.
    """
    env.reset(start_id)
    actor.begin(start_id, seed)
    frames, actions = [env.render()], []
    states = [env.state()] if isinstance(env, StatefulEnv) else []
    end_step: int | None = None
    for step in range(env.task.horizon):
        action = actor.act(frames[-1], step)
        actions.append(np.clip(action, env.task.action_low, env.task.action_high))
        success = env.step(action)
        frames.append(env.render())
        if isinstance(env, StatefulEnv):
            states.append(env.state())
        if success and end_step is None:
            end_step = step + 1
        if end_step is not None and step + 1 >= end_step + steps_after_success:
            break
    return Trajectory(
        id=episode_id,
        task=env.task.name,
        start_id=start_id,
        instruction=env.task.instruction,
        imagined=False,
        outcome=Outcome(end_step is not None, len(actions) if end_step is None else end_step),
        frames=np.stack(frames),
        actions=np.stack(actions).astype(np.float32),
        arrays={**actor.arrays(), **({"states": np.stack(states)} if states else {})},
        lineage=dict(lineage) | {"seed": seed},
    )


@dataclass(frozen=True)
class Played:
    """An episode of which only the frames that the actor looked at were rendered.

    Attributes:
        seen: uint8 [looks, h, w, 3].
    """

    outcome: Outcome
    seen: npt.NDArray[np.uint8]


def play(env: Env, actor: Actor, *, start_id: int, seed: int) -> Played:
    """Play one episode, up to three times faster than recording it."""
    env.reset(start_id)
    actor.begin(start_id, seed)
    seen = []
    outcome = Outcome(False, env.task.horizon)
    for step in range(env.task.horizon):
        frame = env.render() if actor.needs_frame(step) else None
        if frame is not None:
            seen.append(frame)
        if env.step(actor.act(frame, step)):
            outcome = Outcome(True, step + 1)
            break
    size = env.task.image_size
    return Played(outcome, np.stack(seen) if seen else np.zeros((0, size, size, 3), np.uint8))


def play_outcome(env: Env, actor: Actor, *, start_id: int, seed: int) -> Outcome:
    """Play one episode for its outcome alone."""
    return play(env, actor, start_id=start_id, seed=seed).outcome
