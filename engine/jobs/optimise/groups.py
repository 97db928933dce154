"""Groups of episodes from the same start, for GRPO: imagined, or played in the simulator."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from engine.crew.portable import Portable
from engine.data.starts import Starts
from engine.dream.fit import check_together
from engine.dream.imagine import imagine
from engine.dream.replay import USUAL, Origin, rollout_record
from engine.dream.rollout import Rollout, to_trajectory
from engine.dream.tree import decode_video
from engine.envs.actors import PolicyActor
from engine.envs.episode import play, record_episode
from engine.protocols import Env, Policy, RewardModel, WorldModel
from engine.records.episodes import latent_drift
from engine.records.tasks import Task
from engine.records.types import DreamContext, Outcome, Trajectory
from engine.seeding import member_seed, numpy_generator

GiveWay = Callable[[], None]
Places = Sequence[tuple[int, int]]  # (index of a start, member): what a row of an iteration is
Play = Callable[[int, Places], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the episodes of a group are drawn.

    `horizon` is the most actions of an imagined episode; the simulator plays the task's.
    `threshold` is the success probability that counts, None the reward model's own. `context` is
    what dreams show the world model of their past.
    """

    group_size: int
    horizon: int
    temperature: float
    denoising_steps: int
    seed: int
    threshold: float | None = None
    context: DreamContext = USUAL

    def iteration_seed(self, iteration: int) -> int:
        """A seed of its own for each iteration, so that the same start is played anew."""
        return int(numpy_generator(self.seed, "iteration", iteration).integers(2**31))


@runtime_checkable
class Attempt(Protocol):
    """One episode of a group, as the update sees it."""

    @property
    def start_id(self) -> int: ...
    @property
    def member(self) -> int: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def policy_frames(self) -> UInt8[Tensor, "chunks h w 3"]: ...
    @property
    def tokens(self) -> Int64[Tensor, "chunks l"]: ...
    @property
    def log_probs(self) -> Float[Tensor, "chunks l"]: ...
    @property
    def entropy(self) -> Float[Tensor, "..."]: ...


@runtime_checkable
class Groups(Protocol):
    """Where groups come from.

    `give_way` is called between chunks or episodes. `play` does what `attempts` does, here or on
    other processes.
    """

    verb: str
    give_way: GiveWay
    play: Play

    def __len__(self) -> int:
        """Starts to choose from."""
        ...

    def sample(self, iteration: int, chosen: Sequence[int]) -> Sequence[Attempt]:
        """`group_size` attempts from each chosen start (indices), in order."""
        ...

    def attempts(self, iteration: int, places: Places) -> list[Any]:
        """An attempt of each row, made here: the same alone and in any company."""
        ...

    def measures(self, attempts: Sequence[Any]) -> dict[str, float]:
        """Metrics of an iteration's attempts that only this kind of group has."""
        ...

    def trajectory(
        self,
        attempt: Any,
        iteration: int,
        lineage: Mapping[str, Any],
        hashes: Mapping[str, str | None],
    ) -> Trajectory:
        """The attempt as it is stored; `hashes` are of the checkpoints that acted, by role."""
        ...


class ImaginedGroups:
    """Groups dreamt in the world model and judged by the reward model (method.md §4.3).

    Args:
        most_rows: that advance together, as the memory of the device allows; None: all.
    """

    verb = "imagine"

    def __init__(
        self,
        task: Task,
        policy: Policy,
        world_model: WorldModel,
        reward_model: RewardModel,
        starts: Starts,
        sampling: Sampling,
        *,
        most_rows: int | None = None,
    ) -> None:
        self.give_way: GiveWay = lambda: None
        self.play: Play = self.attempts
        self._most_rows = most_rows
        check_together(policy, world_model, reward_model, task)
        self._task, self._policy, self._sampling = task, policy, sampling
        self._world_model = world_model.with_context(sampling.context)
        self._reward_model = reward_model
        own, chosen = reward_model.success_threshold, sampling.threshold
        self._threshold = own if chosen is None else chosen
        self._micro_batches = {
            "autoencoder": world_model.micro_batch,
            "reward_model": reward_model.micro_batch,
        }
        self._starts = starts
        self._origins = dict(zip(starts.start_ids.tolist(), starts.origins, strict=False))

    def __len__(self) -> int:
        """Starts to choose from."""
        return len(self._starts.start_ids)

    def sample(self, iteration: int, chosen: Sequence[int]) -> list[Rollout]:
        """Imagine all rows of all groups; what other processes left in latents is decoded here."""
        rollouts = self.play(iteration, _places(chosen, self._sampling.group_size))
        for rollout in rollouts:
            rollout.video.decode_with(partial(decode_video, self._world_model))
        return rollouts

    def attempts(self, iteration: int, places: Places) -> list[Rollout]:
        """Imagine rows, as many in one batch as fit the device."""
        seed = self._sampling.iteration_seed(iteration)
        return self._imagine(places, seed, self._sampling.temperature)

    def measures(self, attempts: Sequence[Rollout]) -> dict[str, float]:
        """Drift of the dreams' last frames, see `latent_drift`."""
        drifts = [latent_drift(attempt.latents.cpu().numpy())[-1] for attempt in attempts]
        return {"rollout/drift": float(np.mean(drifts))}

    def probes(
        self, iterations: int, count: int, hashes: Mapping[str, str | None]
    ) -> list[Trajectory]:
        """The first starts imagined greedily and with the same noise, whatever the iteration.

        Only the policy, after `iterations` updates, makes one differ from another.
        """
        places = _places(range(min(count, len(self))), 1)
        dreams = self._imagine(places, self._sampling.seed, 0.0)
        return [
            self._trajectory(
                dream,
                f"probe-{iterations:04d}-{dream.start_id}",
                {"iteration": iterations, "probe": True, **hashes},
                hashes,
                seed=self._sampling.seed,
                temperature=0.0,
            )
            for dream in dreams
        ]

    def _imagine(self, places: Places, seed: int, temperature: float) -> list[Rollout]:
        most = self._most_rows or max(1, len(places))
        return [
            rollout
            for first in range(0, len(places), most)
            for rollout in self._imagine_together(places[first : first + most], seed, temperature)
        ]

    def _imagine_together(self, places: Places, seed: int, temperature: float) -> list[Rollout]:
        indices = [index for index, _ in places]
        return imagine(
            self._world_model,
            self._policy,
            self._reward_model,
            torch.from_numpy(self._starts.frames[indices]),
            [self._task.instruction] * len(places),
            rows=[(int(self._starts.start_ids[index]), member) for index, member in places],
            horizon=self._sampling.horizon,
            seed=seed,
            temperature=temperature,
            denoising_steps=self._sampling.denoising_steps,
            rules=self._task.judge,
            on_chunk=self.give_way,
            threshold=self._threshold,
        )

    def trajectory(
        self,
        attempt: Rollout,
        iteration: int,
        lineage: Mapping[str, Any],
        hashes: Mapping[str, str | None],
    ) -> Trajectory:
        """The rollout with what is needed to dream it again."""
        return self._trajectory(
            attempt,
            _episode_id(iteration, attempt),
            lineage,
            hashes,
            seed=self._sampling.iteration_seed(iteration),
            temperature=self._sampling.temperature,
        )

    def _trajectory(
        self,
        attempt: Rollout,
        episode_id: str,
        lineage: Mapping[str, Any],
        hashes: Mapping[str, str | None],
        *,
        seed: int,
        temperature: float,
    ) -> Trajectory:
        sampling, threshold = self._sampling, self._threshold
        known: dict[str, Any] = {"threshold": threshold}
        origin = None
        if attempt.start_id in self._origins:
            known["key_frame"] = self._origins[attempt.start_id]
            episode, _, frame = known["key_frame"].rpartition("@")
            origin = Origin(episode, int(frame))
        return to_trajectory(
            attempt,
            self._task,
            self._task.instruction,
            self._policy.normalization,
            id=episode_id,
            lineage={**lineage, **known},
            replay=rollout_record(
                attempt,
                hashes=hashes,
                task=self._task,
                seed=seed,
                temperature=temperature,
                denoising_steps=sampling.denoising_steps,
                horizon=sampling.horizon,
                threshold=threshold,
                micro_batches=self._micro_batches,
                origin=origin,
                context=sampling.context,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class RealAttempt(Portable):
    """An episode played in the simulator; `episode` only if it was recorded."""

    start_id: int
    member: int
    outcome: Outcome
    episode: Trajectory | None
    policy_frames: UInt8[Tensor, "chunks h w 3"]
    tokens: Int64[Tensor, "chunks l"]
    log_probs: Float[Tensor, "chunks l"]
    entropy: Float[Tensor, " chunks"]


class RealGroups:
    """Groups played in the simulator until the budget of real episodes is spent.

    The last group is as large as the budget allows. `spent` is what a resumed run restores; an
    interrupted iteration is played again to the same episodes, which the ledger counts once.
    """

    verb = "play"

    def __init__(
        self,
        env: Env,
        policy: Policy,
        start_ids: Sequence[int],
        sampling: Sampling,
        *,
        budget: int,
        recorded: bool = True,
    ) -> None:
        self.give_way: GiveWay = lambda: None
        self.play: Play = self.attempts
        self.spent, self.budget, self.recorded = 0, budget, recorded
        self._env, self._policy, self._sampling = env, policy, sampling
        self._start_ids = list(start_ids)

    def __len__(self) -> int:
        """Starts to choose from."""
        return len(self._start_ids)

    @property
    def task(self) -> Task:
        """The task that is played."""
        return self._env.task

    def sample(self, iteration: int, chosen: Sequence[int]) -> list[RealAttempt]:
        """Play the groups; fewer, or none, at the budget's end."""
        places = _places(chosen, self._sampling.group_size)[: self.budget - self.spent]
        self.spent += len(places)
        return self.play(iteration, places)

    def attempts(self, iteration: int, places: Places) -> list[RealAttempt]:
        """Play one episode after the other."""
        return [self._play(iteration, self._start_ids[index], member) for index, member in places]

    def measures(self, attempts: Sequence[RealAttempt]) -> dict[str, float]:
        """How much of the budget is spent."""
        return {"real/episodes_spent": float(self.spent)}

    def _play(self, iteration: int, start_id: int, member: int) -> RealAttempt:
        self.give_way()
        actor = PolicyActor(
            self._policy, self._env.task.instruction, temperature=self._sampling.temperature
        )
        seed = member_seed(self._sampling.iteration_seed(iteration), member)
        episode = None
        if self.recorded:
            episode = record_episode(
                self._env,
                actor,
                episode_id=f"played-{iteration}-{start_id}-{member}",
                start_id=start_id,
                seed=seed,
                steps_after_success=0,
                lineage={"use": "policy", "source": "policy", "policy": f"iteration {iteration}"},
            )
            looked_at = range(0, len(episode.actions), self._policy.chunk_size)
            outcome, seen = episode.outcome, episode.frames[list(looked_at)]
        else:
            played = play(self._env, actor, start_id=start_id, seed=seed)
            outcome, seen = played.outcome, played.seen
        arrays = {name: torch.from_numpy(array) for name, array in actor.arrays().items()}
        return RealAttempt(
            start_id=start_id,
            member=member,
            outcome=outcome,
            episode=episode,
            policy_frames=torch.from_numpy(seen),
            tokens=arrays["tokens"],
            log_probs=arrays["log_probs"],
            entropy=arrays["entropy"],
        )

    def trajectory(
        self,
        attempt: RealAttempt,
        iteration: int,
        lineage: Mapping[str, Any],
        hashes: Mapping[str, str | None],
    ) -> Trajectory:
        """The episode with its place in the run."""
        assert attempt.episode is not None
        return replace(
            attempt.episode,
            id=_episode_id(iteration, attempt),
            lineage={**attempt.episode.lineage, **lineage},
        )


def _places(chosen: Sequence[int], members: int) -> list[tuple[int, int]]:
    return [(index, member) for index in chosen for member in range(members)]


def _episode_id(iteration: int, attempt: Attempt) -> str:
    return f"iteration-{iteration + 1:04d}-{attempt.start_id}-{attempt.member}"
