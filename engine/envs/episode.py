"""Play one episode in an `Env` with an `Actor` and record it."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from engine.protocols import Env
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


@runtime_checkable
class StatefulEnv(Env, Protocol):
    """An environment that can say where things are."""

    def state(self) -> npt.NDArray[np.float32]:
        """Hand xyz, gripper opening, object xyz, goal xyz [10], in metres.

        Privileged: for training models and for measuring them, never for acting.
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


def play_outcome(env: Env, actor: Actor, *, start_id: int, seed: int) -> Outcome:
    """Play one episode for its outcome alone: only the frames the actor looks at are rendered."""
    env.reset(start_id)
    actor.begin(start_id, seed)
    for step in range(env.task.horizon):
        frame = env.render() if actor.needs_frame(step) else None
        if env.step(actor.act(frame, step)):
            return Outcome(True, step + 1)
    return Outcome(False, env.task.horizon)
