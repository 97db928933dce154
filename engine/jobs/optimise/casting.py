"""Who makes the attempts of an iteration: this process, or a crew of workers like it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from engine.checkpoints.checkpoint import learnt_state, load_learnt
from engine.crew.crew import open_crew
from engine.crew.worker import Shared
from engine.data.episode_set import load_episodes
from engine.data.starts import Starts, key_frames, load_starts, render_starts
from engine.device import Placement
from engine.envs.factory import make_env
from engine.jobs.optimise.groups import Groups, ImaginedGroups, Places, Play, RealGroups, Sampling
from engine.jobs.optimise.optimise_plan import JobConfig
from engine.learning.spreading import ready_to_act
from engine.loading.learner import make_learner
from engine.loading.models import (
    check_same_actions,
    load_dreaming,
    load_judge,
    load_policy,
)
from engine.policy.model import OpenVLAPolicy
from engine.protocols import Env, Run, StatefulEnv
from engine.ranks import pooled, rank, ranks
from engine.records.tasks import Task, get_task, pool_starts
from engine.records.types import DreamContext

PARTS = 4  # parts a worker of a batch of rows: rows that leave early make some parts short


@dataclass(frozen=True, kw_only=True)
class Beginnings:
    """Where attempts begin.

    Attributes:
        start_ids: of the real starts.
        starts: frames that dreams begin from; None in the simulator.
        states: where things are at each of the starts, [n, s], if that is known.
    """

    start_ids: Sequence[int]
    starts: Starts | None
    states: npt.NDArray[np.float32] | None


def find_beginnings(config: JobConfig, task: Task, env: Env | None) -> Beginnings:
    """The starts that a config asks for, rendered where there is no file of them.

    Raises:
        ValueError: starts of another task, or none.
    """
    pool = list(pool_starts(config.pool, config.first_start, config.num_starts))
    if config.environment == "simulator":
        assert env is not None
        return Beginnings(start_ids=pool, starts=None, states=_states(env, pool))
    if config.key_frames_from:
        episodes = load_episodes(config.key_frames_from)
        starts = key_frames(episodes, config.num_starts, config.seed)
        start_ids = sorted({episode.start_id for episode in episodes})
    elif config.starts:
        starts = load_starts(Path(config.starts))
        start_ids = starts.start_ids.tolist()
    else:
        assert env is not None
        starts, start_ids = render_starts(env, pool), pool
    if starts.task != task.name:
        raise ValueError(f"the starts are of {starts.task}, not of {task.name}")
    if not len(starts.start_ids):
        raise ValueError("there are no starts to imagine from")
    return Beginnings(start_ids=start_ids, starts=starts, states=starts.states)


def make_groups(
    config: JobConfig,
    policy: OpenVLAPolicy,
    env: Env | None,
    beginnings: Beginnings,
    *,
    placement: Placement,
    most_rows: int | None,
) -> Groups:
    """Groups that are imagined, or played in `env`."""
    task = get_task(config.task)
    sampling = Sampling(
        group_size=config.group_size,
        horizon=config.horizon or task.horizon,
        temperature=config.temperature,
        denoising_steps=config.denoising_steps,
        seed=config.seed,
        threshold=config.success_threshold or None,
        context=DreamContext(anchored=config.anchored, noise=config.context_noise),
    )
    if beginnings.starts is None:
        assert env is not None
        return RealGroups(
            env,
            policy,
            beginnings.start_ids,
            sampling,
            budget=config.real_budget,
            recorded=config.record_played,
        )
    check_same_actions(Path(config.policy), Path(config.world_model))
    world_model = load_dreaming(Path(config.world_model), placement)
    reward_model = load_judge(Path(config.reward_model), placement)
    return ImaginedGroups(
        task, policy, world_model, reward_model, beginnings.starts, sampling, most_rows=most_rows
    )


@dataclass
class Seat:
    """What one worker makes attempts with: models, an environment, and the weights it has."""

    groups: Groups
    policy: OpenVLAPolicy
    env: Env | None
    weights: Mapping[str, Tensor] = field(default_factory=dict)

    def attempts(self, *, iteration: int, places: Places, weights: Shared) -> list[Any]:
        """Attempts of the rows by the policy as it is now."""
        now = weights.get()
        if now is not self.weights:
            load_learnt(self.policy, now)
            self.weights = now
        return self.groups.attempts(iteration, places)

    def close(self) -> None:
        """Close the environment."""
        if self.env is not None:
            self.env.close()


def load_acting(config: JobConfig, placement: Placement) -> OpenVLAPolicy:
    """The policy that a run improves, as it trains it: what acts is what learns."""

    def load(where: Placement, trained: bool) -> OpenVLAPolicy:
        return load_policy(Path(config.policy), where, trained=trained)

    return make_learner(load, config.economy, placement, seed=config.seed)


def among_learners(play: Play, policy: OpenVLAPolicy) -> Play:
    """`play` of many rows, by all processes that learn together; each gets all attempts."""

    def shared(iteration: int, places: Places) -> list[Any]:
        ready_to_act(policy)
        found = pooled(play(iteration, places[rank() :: ranks()]))
        return [found[row % ranks()][row // ranks()] for row in range(len(places))]

    return shared


def take_seat(
    config: JobConfig, placement: Placement, beginnings: Beginnings, most_rows: int | None
) -> tuple[Seat]:
    """The stage of a worker: models like those of the run itself."""
    policy = load_acting(config, placement)
    env = None if beginnings.starts is not None else make_env(get_task(config.task))
    groups = make_groups(config, policy, env, beginnings, placement=placement, most_rows=most_rows)
    return (Seat(groups, policy, env),)


class Workers:
    """The attempts of an iteration, made by a crew; the policy's weights travel once an update.

    Args:
        most_rows: that a worker may advance together; None: any number.

    Raises:
        ValueError: as `open_crew`.
    """

    def __init__(
        self,
        config: JobConfig,
        policy: OpenVLAPolicy,
        beginnings: Beginnings,
        run: Run,
        *,
        most_rows: int | None,
    ) -> None:
        cast = partial(take_seat, config, run.placement, beginnings, most_rows)
        self._crew = open_crew(config.workers, config.ray, cast, told=run.alarm)
        self._policy, self._run = policy, run
        self._most = most_rows
        self._parts = PARTS * config.workers

    def play(self, iteration: int, places: Places) -> list[Any]:
        """What `Groups.attempts` gives of the rows, in their order."""
        state = learnt_state(self._policy)
        weights = self._crew.share(
            {name: tensor.cpu().contiguous() for name, tensor in state.items()}
        )
        size = max(1, min(self._most or len(places), ceil(len(places) / self._parts)))
        parts = [
            partial(
                Seat.attempts,
                iteration=iteration,
                places=places[first : first + size],
                weights=weights,
            )
            for first in range(0, len(places), size)
        ]
        found = []
        for attempts in self._crew.play(parts, waiting=self._run.give_way):
            found += attempts
        return found

    def close(self) -> None:
        """Let the workers go."""
        self._crew.close()


def _states(env: Env, start_ids: Sequence[int]) -> npt.NDArray[np.float32] | None:
    if not isinstance(env, StatefulEnv):
        return None
    states = []
    for start_id in start_ids:
        env.reset(start_id)
        states.append(env.state())
    return np.stack(states)
