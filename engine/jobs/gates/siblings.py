"""Sibling ranking: which of several actions from one frame moves the object how far?"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.data.states import OBJECT, states_of
from engine.dream.tree import next_context
from engine.jobs.gates.report import spearman
from engine.records.types import Normalization, Trajectory
from engine.reward.states import StateReward
from engine.seeding import numpy_generator, row_generators
from engine.statistics.intervals import bootstrap_interval
from engine.world_model.latents import encode_moments
from engine.world_model.model import LatentWorldModel

STIRRED = 0.01  # metres by which real motions of siblings must differ to be ranked
FEWEST = 3


def rank_siblings(
    model: LatentWorldModel,
    judge: StateReward,
    episodes: Sequence[Trajectory],
    statistics: Normalization,
    *,
    chunks: int,
    denoising_steps: int,
    seed: int,
) -> dict[str, Any]:
    """Spearman's rank correlation of dreamt and real object motion, mean over the groups.

    A group are episodes equal up to their `branch_step`; each is dreamt on from that frame, with
    the true frames before it as context. Groups in which the object is hardly stirred are left
    out.
    """
    groups: dict[int, list[Trajectory]] = defaultdict(list)
    for episode in episodes:
        branch = int(episode.arrays["branch_step"]) if "branch_step" in episode.arrays else -1
        if branch >= 0 and len(episode.actions) >= branch + chunks * model.chunk_size:
            groups[episode.start_id].append(episode)
    correlations = []
    for group in groups.values():
        if len(group) < FEWEST:
            continue
        real = _moved(group, chunks * model.chunk_size)
        if np.ptp(real) < STIRRED:
            continue
        dreamt = _dreamt(model, judge, group, statistics, chunks, denoising_steps, seed)
        found = spearman(dreamt, real)
        correlations.append(0.0 if np.isnan(found) else found)
    values = np.array(correlations)
    if not len(values):
        return {"value": None, "of": 0, "low": -1.0, "high": 1.0}
    low, high = bootstrap_interval(
        values, lambda part: float(part.mean()), numpy_generator(seed, "siblings")
    )
    return {"value": float(values.mean()), "of": len(values), "low": low, "high": high}


def _moved(group: Sequence[Trajectory], steps: int) -> np.ndarray:
    found = []
    for episode in group:
        places = states_of([episode])[:, OBJECT]
        branch = int(episode.arrays["branch_step"])
        found.append(np.linalg.norm(places[branch + steps] - places[branch]))
    return np.array(found, np.float64)


@torch.no_grad()
def _dreamt(
    model: LatentWorldModel,
    judge: StateReward,
    group: Sequence[Trajectory],
    statistics: Normalization,
    chunks: int,
    denoising_steps: int,
    seed: int,
) -> np.ndarray:
    context, led, known, actions = [], [], [], []
    for episode in group:
        branch = int(episode.arrays["branch_step"])
        frames = branch + np.arange(1 - model.context_frames, 1)
        mean, _ = encode_moments(model.autoencoder, episode.frames[np.maximum(frames, 0)])
        context.append(mean)
        own = torch.from_numpy(statistics.normalize(episode.actions)).float()
        led.append(own[torch.from_numpy(np.maximum(frames - 1, 0))])
        known.append(torch.from_numpy((frames > 0).astype(np.float32)))
        actions.append(own[branch : branch + chunks * model.chunk_size])
    latents, acted = torch.stack(context), torch.stack(actions)
    memory = model.recall(latents, torch.stack(led), torch.stack(known))
    latents = latents.to(memory.device)
    first, rows = latents[:, -1:], [(e.start_id, i) for i, e in enumerate(group)]
    for number, chunk in enumerate(acted.split(model.chunk_size, dim=1)):
        generators = row_generators(seed, "siblings", number, rows=rows)
        future = model.predict(latents, chunk, generators, denoising_steps, memory)
        latents = next_context(latents, future, anchored=model.anchored)
        memory = model.remember(memory, chunk)
    return _apart(judge.read(first), judge.read(latents[:, -1:]))


def _apart(before: Tensor, after: Tensor) -> np.ndarray:
    moved = (after[:, -1, OBJECT] - before[:, -1, OBJECT]).norm(dim=1)
    return moved.double().cpu().numpy()
