"""Dreams of real action sequences, as latents: from the first frame on, nothing decoded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from engine.data.states import states_of
from engine.dream.tree import next_context
from engine.images import to_model
from engine.protocols import WorldModel
from engine.records.types import Normalization, Trajectory
from engine.reward.states import StateReward, nearest
from engine.seeding import row_generators

ROWS = 32


@dataclass(frozen=True)
class Dreamt:
    """Real episodes and what was dreamt of them, padded to the longest.

    Attributes:
        states: read of the dreams' latents, [n, f, s]; chained: those of each chain.
        true: simulator states, [n, f, s].
        lengths: actions of each episode.
        successes: in reality.
    """

    states: Float[Tensor, "n f s"]
    chained: Sequence[Float[Tensor, "n f s"]]
    true: Float[Tensor, "n f s"]
    lengths: Sequence[int]
    successes: Sequence[bool]

    def distances(self) -> tuple[Tensor, list[Tensor]]:
        """Nearest distance at each episode's end: (in the dreams, in each chain)."""
        return self._last(self.states), [self._last(states) for states in self.chained]

    def _last(self, states: Tensor) -> Tensor:
        return nearest(states)[torch.arange(len(states)), torch.tensor(self.lengths)]


@torch.no_grad()
def open_loop(
    model: WorldModel,
    episodes: Sequence[Trajectory],
    actions: Float[Tensor, "b t a"],
    *,
    rows: Sequence[tuple[int, int]],
    seed: int,
    denoising_steps: int,
) -> Iterator[Float[Tensor, "b k z y x"]]:
    """Latents from each episode's first frame on: its own, then those of each chunk.

    Args:
        actions: normalised, of whole chunks.
        rows: (start id, member), by which each episode's noise is drawn.
    """
    starts = torch.from_numpy(np.stack([episode.frames[0] for episode in episodes]))
    latents = model.encode(to_model(starts), row_generators(seed, "encode", 0, rows=rows))
    context = repeat(latents, "b z y x -> b t z y x", t=model.context_frames)
    memory = model.begin(latents)
    yield latents[:, None]
    for number, chunk in enumerate(actions.split(model.chunk_size, dim=1)):
        generators = row_generators(seed, "world model", number, rows=rows)
        future = model.predict(context, chunk, generators, denoising_steps, memory)
        memory = model.remember(memory, chunk)
        context = next_context(context, future, anchored=model.anchored)
        yield future


def dream_latents(
    model: WorldModel,
    episodes: Sequence[Trajectory],
    actions: Float[Tensor, "b t a"],
    *,
    seed: int,
    denoising_steps: int,
) -> Float[Tensor, "b f z y x"]:
    """Latents from each episode's first frame on under normalised actions of whole chunks."""
    rows = [(episode.start_id, index) for index, episode in enumerate(episodes)]
    sampler = {"seed": seed, "denoising_steps": denoising_steps}
    return torch.cat([*open_loop(model, episodes, actions, rows=rows, **sampler)], dim=1)


def held(
    actions: Sequence[npt.NDArray[Any]], longest: int, chunk_size: int
) -> Float[Tensor, "b t a"]:
    """Action sequences in as many whole chunks as the longest takes, each held at its last one."""
    steps = np.arange(-(-longest // chunk_size) * chunk_size)
    return torch.from_numpy(np.stack([a[np.minimum(steps, len(a) - 1)] for a in actions])).float()


def held_actions(
    episodes: Sequence[Trajectory], statistics: Normalization, chunk_size: int
) -> Float[Tensor, "b t a"]:
    """Normalised actions of episodes in whole chunks, each held at its last one."""
    longest = max(len(episode.actions) for episode in episodes)
    return held([statistics.normalize(e.actions) for e in episodes], longest, chunk_size)


@torch.no_grad()
def dream_episodes(
    model: WorldModel,
    judge: StateReward,
    episodes: Sequence[Trajectory],
    statistics: Normalization,
    *,
    seed: int,
    denoising_steps: int,
) -> Dreamt:
    """Dream real episodes under their own actions and read what happens."""
    actions = held_actions(episodes, statistics, model.chunk_size)
    states, chained = [], []
    for index in torch.arange(len(episodes)).split(ROWS):
        own, acted = [episodes[i] for i in index.tolist()], actions[index]
        latents = dream_latents(model, own, acted, seed=seed, denoising_steps=denoising_steps)
        states.append(judge.read(latents).cpu())
        chains = judge.chains(states[-1][:, 0], acted, judge.config.states.members)
        chained.append([chain.cpu() for chain in chains])
    frames = np.arange(states[0].shape[1])
    true = []
    for episode in episodes:
        own_states = states_of([episode])
        true.append(own_states[np.minimum(frames, len(own_states) - 1)])
    return Dreamt(
        torch.cat(states),
        [torch.cat(parts) for parts in zip(*chained, strict=True)],
        torch.from_numpy(np.stack(true)),
        [len(episode.actions) for episode in episodes],
        [episode.outcome.success for episode in episodes],
    )
