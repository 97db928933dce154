"""Real against imagined on held-out action sequences: pixels by depth and verdicts (paper §4.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.config import Config, knob
from engine.data.episode_set import load_episodes
from engine.images import to_model, to_pixels
from engine.jobs.twins import imagine_twins
from engine.loading import load_normalization, load_reward_model, load_world_model
from engine.manifest import checkpoint_hash
from engine.metrics import psnr, repeat_first, ssim
from engine.protocols import Run
from engine.reward.classifier import VideoReward
from engine.reward.judge import outcome
from engine.seeding import numpy_generator, row_generators
from engine.statistics import Confusion
from engine.tasks import get_task
from engine.types import Trajectory
from engine.world_model.model import LatentWorldModel


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which world model is compared with which real episodes."""

    world_model: str = knob("", "World model checkpoint")
    reward_model: str = knob("", "Reward model checkpoint; without one only pixels are compared")
    episodes_from: tuple[str, ...] = knob((), "Run directories of held-out real episodes")
    episodes: int = knob(100, "Episodes compared", low=2)
    denoising_steps: int = knob(4, "Sampler evaluations per chunk", low=1)
    record_pairs: int = knob(200, "Judged pairs whose imagined video is stored", low=0)
    batch_size: int = knob(16, "Episodes imagined at once", low=1)
    seed: int = knob(0, "Root of randomness", low=0)


KINDS = ("imagined", "shuffled", "round_trip", "repeat")


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Imagine every episode from its first frame under its own and under another's actions."""
    if not config.world_model:
        raise ValueError("fidelity needs world_model=CHECKPOINT_DIRECTORY")
    model = load_world_model(Path(config.world_model))
    normalization = load_normalization(Path(config.world_model))
    judge = load_reward_model(Path(config.reward_model)) if config.reward_model else None
    sources = [
        (Path(name).name, episode)
        for name in config.episodes_from
        for episode in load_episodes([name])
    ][: config.episodes]
    episodes = [episode for _, episode in sources]
    others = numpy_generator(config.seed, "shuffle").permutation(len(episodes))
    others = np.where(others == np.arange(len(episodes)), (others + 1) % len(episodes), others)
    quality: dict[str, list[npt.NDArray[np.float64]]] = {kind: [] for kind in KINDS}
    likeness: dict[str, list[npt.NDArray[np.float64]]] = {kind: [] for kind in KINDS}
    verdicts: list[bool] = []
    sampler = {"seed": config.seed, "denoising_steps": config.denoising_steps}
    for first in range(0, len(episodes), config.batch_size):
        if run.stop_requested or run.pause_requested:
            return None
        run.give_way()
        index = range(first, min(first + config.batch_size, len(episodes)))
        batch = [episodes[i] for i in index]
        own = [normalization.normalize(e.actions) for e in batch]
        foreign = [normalization.normalize(episodes[others[i]].actions) for i in index]
        imagined = imagine_twins(model, batch, own, **sampler)
        videos = {
            "imagined": imagined,
            "shuffled": imagine_twins(model, batch, foreign, **sampler),
            "round_trip": [round_trip(model, e, config.seed) for e in batch],
            "repeat": [repeat_first(e.frames) for e in batch],
        }
        for kind, clips in videos.items():
            for clip, episode in zip(clips, batch, strict=True):
                depth = min(len(clip), len(episode.frames))
                quality[kind].append(psnr(clip[1:depth], episode.frames[1:depth]))
                likeness[kind].append(ssim(clip[1:depth], episode.frames[1:depth]))
        if judge is not None:
            for i, clip in zip(index, imagined, strict=True):
                pair = judged_pair(judge, clip, sources[i], i, config)
                verdicts.append(pair.outcome.success)
                if i < config.record_pairs:
                    run.record(pair)
        run.progress(index[-1] + 1, len(episodes))
    metrics = by_depth(run, quality, likeness)
    if judge is not None:
        metrics |= agreement(verdicts, [episode.outcome.success for episode in episodes])
    run.log(0, metrics)
    return metrics


@torch.no_grad()
def round_trip(model: LatentWorldModel, episode: Trajectory, seed: int) -> npt.NDArray[np.uint8]:
    """The episode through the autoencoder: the best the world model could do."""
    frames = to_model(torch.from_numpy(episode.frames))
    rows = [(episode.start_id, index) for index in range(len(frames))]
    latents = model.encode(frames, row_generators(seed, "round trip", rows=rows))
    return to_pixels(model.decode(latents)).numpy()


def judged_pair(
    judge: VideoReward,
    video: npt.NDArray[np.uint8],
    source: tuple[str, Trajectory],
    number: int,
    config: JobConfig,
) -> Trajectory:
    """An imagined video as an episode of its own, with the verdict of the reward model.

    Args:
        source: the real episode, and the name of the run directory it is from; both are named in
            the lineage, so that the studio can show the two side by side.
        number: of the pair, for its id.
    """
    origin, real = source
    rules = get_task(real.task).judge
    ends, probabilities = judge.probabilities(torch.from_numpy(video)[None], rules)
    values = probabilities[0].numpy()
    found = outcome(ends.numpy(), values, judge.success_threshold, rules, len(video))
    return Trajectory(
        id=f"pair-{number:04d}-{real.id}"[:128],
        task=real.task,
        start_id=real.start_id,
        instruction=real.instruction,
        imagined=True,
        outcome=found,
        frames=video,
        actions=real.actions[: len(video) - 1],
        arrays={"window_ends": ends.numpy(), "window_probabilities": values},
        lineage={
            "source": "fidelity",
            "real": real.id,
            "real_run": origin,
            "real_success": real.outcome.success,
            "world_model": checkpoint_hash(Path(config.world_model)),
            "reward_model": checkpoint_hash(Path(config.reward_model)),
            "threshold": judge.success_threshold,
        },
    )


def by_depth(
    run: Run,
    quality: dict[str, list[npt.NDArray[np.float64]]],
    likeness: dict[str, list[npt.NDArray[np.float64]]],
) -> dict[str, float]:
    """Log PSNR (dB) and SSIM of each kind by frame depth; return their means over all frames."""
    depths = max(len(values) for values in quality["imagined"])
    for depth in range(depths):
        point = {}
        for name, table in (("psnr", quality), ("ssim", likeness)):
            for kind in KINDS:
                at_depth = [values[depth] for values in table[kind] if len(values) > depth]
                if at_depth:
                    point[f"fidelity/{kind}_{name}"] = float(np.mean(at_depth))
        run.log(depth + 1, point)
    return {
        f"fidelity/mean_{kind}_{name}": float(np.mean(np.concatenate(table[kind])))
        for name, table in (("psnr", quality), ("ssim", likeness))
        for kind in KINDS
    }


def agreement(imagined: Sequence[bool], real: Sequence[bool]) -> dict[str, float]:
    """Confusion matrix and balanced accuracy of the imagined verdicts, with its interval."""
    found = Confusion.count(np.array(imagined, dtype=bool), np.array(real, dtype=bool))
    metrics = {
        "fidelity/true_success": found.true_positives,
        "fidelity/false_success": found.false_positives,
        "fidelity/false_failure": found.false_negatives,
        "fidelity/true_failure": found.true_negatives,
    }
    if not found.positives or not found.negatives:
        return {name: float(count) for name, count in metrics.items()}
    low, high = found.balanced_accuracy_interval()
    return {name: float(count) for name, count in metrics.items()} | {
        "fidelity/balanced_accuracy": found.balanced_accuracy,
        "fidelity/balanced_accuracy_low": low,
        "fidelity/balanced_accuracy_high": high,
    }
