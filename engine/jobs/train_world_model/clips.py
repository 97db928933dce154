"""Clips of encoded episodes for world-model training, and which of them a batch holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange
from torch import Tensor

from engine.data.episode_set import EpisodeSet
from engine.data.windows import clip_actions, clip_frames, clip_starts
from engine.records.types import Normalization, Trajectory
from engine.world_model.latents import encode_videos
from engine.world_model.memory import Memory, MemorySizes
from engine.world_model.model import LatentWorldModel

Rows = npt.NDArray[np.int64]
Batch = tuple[Tensor, Tensor, Tensor]

# Shares of a balanced batch by (who acted, success); what is absent is left out.
BALANCE: Mapping[tuple[str, bool], float] = {
    ("policy", True): 0.27,
    ("policy", False): 0.27,
    ("play", False): 0.23,
    ("play", True): 0.08,
    ("expert", True): 0.15,
    ("expert", False): 0.0,
}


@dataclass(frozen=True)
class Clips:
    """Posterior moments of every frame and the index of every clip.

    Attributes:
        mean, std: [frames, z, y, x], scaled.
        actions: normalised actions of all episodes end to end, [sum t, a].
        frame_rows: int64 [clips, t]; action_rows: int64 [clips, k].
        kinds: (who acted, success) of each clip's episode.
        seen: float32 [clips, m]: what the world model remembers, read from each clip's context.
        carried: the same as a dream has it, foreseen from the episode's first chunk on.
    """

    mean: Tensor
    std: Tensor
    actions: Tensor
    frame_rows: Rows
    action_rows: Rows
    kinds: Sequence[tuple[str, bool]] = field(default_factory=tuple)
    seen: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    carried: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def __len__(self) -> int:
        return len(self.frame_rows)

    def batch(self, clips: Rows, random: np.random.Generator, carried_share: float = 0.0) -> Batch:
        """(latents [b z t y x] sampled from the posterior, actions [b k a], memory [b m]).

        Args:
            carried_share: of the clips whose memory is carried instead of seen.
        """
        rows = torch.from_numpy(self.frame_rows[clips])
        mean, std = self.mean[rows], self.std[rows]
        noise = torch.from_numpy(random.standard_normal(mean.shape, dtype=np.float32))
        latents = rearrange(mean + std * noise, "b t z y x -> b z t y x")
        memory = mean.new_zeros(len(clips), 0)
        if self.seen.shape[1]:
            index = torch.from_numpy(clips)
            carry = torch.from_numpy(random.random(len(clips)) < carried_share)
            memory = torch.where(carry[:, None], self.carried[index], self.seen[index])
        return latents, self.actions[torch.from_numpy(self.action_rows[clips])], memory


@torch.no_grad()
def cut_clips(
    model: LatentWorldModel,
    episodes: EpisodeSet,
    normalization: Normalization,
    *,
    first_clips: int = 0,
    cache: str = "",
) -> Clips:
    """Encode every frame once and index every clip.

    # paper: the official loader ends at the end step; frames recorded beyond it are used here too,
    # because an imagined episode goes on to the end of the chunk in which it succeeds.

    Args:
        first_clips: further copies of each episode's first clip: every dream begins there.
        cache: directory of encoded frames; none encodes anew.

    Raises:
        ValueError: no episode is as long as a chunk.
    """
    mean, std = encode_videos(model.autoencoder, [e.frames for e in episodes.episodes], cache)
    first_action = np.concatenate([[0], np.cumsum(episodes.lengths)[:-1]])
    actions = np.concatenate([normalization.normalize(e.actions) for e in episodes.episodes])
    starts = _starts(episodes, model.chunk_size, first_clips)
    sizes = {"context_frames": model.context_frames, "chunk_size": model.chunk_size}
    frame_rows = np.concatenate(
        [
            episodes.first_frame[i] + clip_frames(own, **sizes, anchored=model.anchored)
            for i, own in enumerate(starts)
        ]
    )
    if not len(frame_rows):
        raise ValueError(f"no episode has {model.chunk_size} actions, one chunk")
    action_rows = [
        first_action[i] + clip_actions(own, chunk_size=model.chunk_size)
        for i, own in enumerate(starts)
    ]
    kinds = [_kind(e) for e, own in zip(episodes.episodes, starts, strict=True) for _ in own]
    clips = Clips(
        mean, std, torch.from_numpy(actions), frame_rows, np.concatenate(action_rows), kinds
    )
    if model.config.memory_sizes is None:
        return clips
    table = _memories(model, clips, episodes, model.config.memory_sizes)
    index = np.concatenate([episodes.first_frame[i] + own for i, own in enumerate(starts)])
    seen, carried = (part[torch.from_numpy(index)] for part in table)
    return Clips(**{**vars(clips), "seen": seen, "carried": carried})


def _starts(episodes: EpisodeSet, chunk_size: int, first_clips: int) -> list[Rows]:
    """Starts of each episode's clips; what siblings share is taken from the first of them."""
    met: set[tuple[str, int]] = set()
    found = []
    for episode, length in zip(episodes.episodes, episodes.lengths, strict=True):
        starts = clip_starts(int(length), chunk_size)
        branch = int(episode.arrays["branch_step"]) if "branch_step" in episode.arrays else -1
        if branch >= 0 and (episode.task, episode.start_id) in met:
            starts = starts[starts + chunk_size > branch]
        if branch >= 0:
            met.add((episode.task, episode.start_id))
        if first_clips and len(starts) and starts[0] == 0:
            starts = np.concatenate([starts, np.zeros(first_clips, np.int64)])
        found.append(starts)
    return found


def _kind(episode: Trajectory) -> tuple[str, bool]:
    source = str(episode.lineage.get("source"))
    return source if source in ("expert", "play") else "policy", episode.outcome.success


def _memories(
    model: LatentWorldModel, clips: Clips, episodes: EpisodeSet, sizes: MemorySizes
) -> tuple[Tensor, Tensor]:
    """(memory read at each frame, memory carried there from the episode's first chunk on)."""
    moving = sizes.moving
    states = clips.mean.new_zeros(len(clips.mean), moving + sizes.fixed)
    if model.state_model is not None:
        device = model.state_model.mean.device
        parts = clips.mean.split(1024)
        states = torch.cat([model.state_model.read(part.to(device)).cpu() for part in parts])
    offsets = np.arange(1 - sizes.context_frames, 1)
    seen, carried, first = [], [], 0
    for begin, length in zip(episodes.first_frame, episodes.lengths, strict=True):
        frames = np.arange(length + 1)[:, None] + offsets
        known = torch.from_numpy((frames > 0).astype(np.float32))
        rows = torch.from_numpy(begin + np.maximum(frames, 0))
        led = torch.from_numpy(first + np.maximum(frames - 1, 0))
        own = Memory(
            states[rows][..., :moving],
            states[rows[:, -1], moving:],
            clips.actions[led] * known[..., None],
            known,
        ).pack()
        seen.append(own)
        carried.append(_carry(model, own, clips.actions[first : first + int(length)]))
        first += int(length)
    return torch.cat(seen), torch.cat(carried)


def _carry(model: LatentWorldModel, seen: Tensor, actions: Tensor) -> Tensor:
    """The memory at each frame as a dream carries it from a frame of the first chunk."""
    k, carried = model.chunk_size, seen.clone()
    for begin in range(k, len(seen), k):
        before = carried[begin - k : begin][: len(seen) - begin]
        rows = torch.arange(begin - k, begin - k + len(before))[:, None] + torch.arange(k)
        carried[begin : begin + len(before)] = model.remember(before, actions[rows]).cpu()
    return carried


def balanced(sources: Sequence[Clips]) -> list[tuple[int, Rows, float]]:
    """(source, its clips of one kind, their share of a batch) by `BALANCE`; shares sum to 1."""
    found = []
    for number, clips in enumerate(sources):
        for kind in sorted(set(clips.kinds)):
            rows = np.flatnonzero([own == kind for own in clips.kinds])
            if BALANCE[kind]:
                found.append((number, kind, rows))
    counts: dict[tuple[str, bool], int] = {}
    for _, kind, rows in found:
        counts[kind] = counts.get(kind, 0) + len(rows)
    total = sum(BALANCE[kind] for kind in counts)
    return [
        (number, rows, BALANCE[kind] / total * len(rows) / counts[kind])
        for number, kind, rows in found
    ]


def join(parts: Sequence[Batch]) -> Batch:
    """Batches of several sources as one."""
    latents, actions, memory = zip(*parts, strict=True)
    return torch.cat(latents), torch.cat(actions), torch.cat(memory)
