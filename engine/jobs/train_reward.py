"""Train the reward model on real episodes and choose its threshold (method.md §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from engine import checkpoint
from engine.config import Config, knob
from engine.data.episode_set import EpisodeSet, episode_set, load_episodes
from engine.images import to_model, to_pixels
from engine.jobs.cards import card
from engine.loading import load_autoencoder, load_reward_model
from engine.protocols import Run
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.judge import outcome
from engine.seeding import initialisation, numpy_generator, row_generators
from engine.statistics import Confusion, wilson_interval
from engine.tasks import get_task
from engine.training import FitConfig, fit
from engine.types import JudgeRules, Trajectory


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the reward model learns from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes are learnt from")
    held_out_from: tuple[str, ...] = knob((), "Run directories of held-out episodes, for the F1")
    held_out_share: float = knob(
        0.15, "Share of episodes_from kept aside to choose the threshold", low=0.01, high=0.5
    )
    choose_on: str = knob(
        "policy", "Source of the episodes kept aside (what is judged later); empty: all of them"
    )
    autoencoder: str = knob("", "Autoencoder that blurs half of the clips; optional")
    blurred_share: float = knob(0.5, "Share of clips that went through it", low=0.0, high=1.0)
    reward_model: str = knob("", "Reward model checkpoint to start from; empty starts afresh")
    largest_shift: int = knob(3, "Clips are moved by up to this many pixels", low=0)
    late_windows: int = knob(
        4, "Windows after the first successful one that count as success", low=0
    )
    gap: int = knob(1, "Windows just before the first successful one are not shown", low=0)
    seed: int = knob(0, "Root of randomness", low=0)
    batch_size: int = knob(32, "Clips in a step, half of them successes", low=2)
    model: RewardConfig = knob(help="Sizes", factory=RewardConfig)
    fit: FitConfig = knob(
        help="Optimisation",
        factory=lambda: FitConfig(
            steps=2000, learning_rate=1e-3, weight_decay=0.05, checkpoint_every=500
        ),
    )


@dataclass(frozen=True)
class Windows:
    """Exclusive ends of the windows of a set of episodes, as rows of its flat frames.

    Attributes:
        successes, early, failures: first frame row of each window [m], by kind.
        copies: the flat frames, and where there is one, the frames an autoencoder blurred.
    """

    successes: npt.NDArray[np.int64]
    early: npt.NDArray[np.int64]
    failures: npt.NDArray[np.int64]
    copies: tuple[Tensor, ...]


def cut_windows(
    episodes: EpisodeSet, copies: tuple[Tensor, ...], window: int, *, late: int, gap: int
) -> Windows:
    """Sort every window of every episode into success, early (before it) and failure.

    # paper: one positive slot (the last clip) and one random earlier negative an episode; here all
    # windows are used, balanced in the batch, and those just before the success are left out.

    Raises:
        ValueError: no success or no failure to learn from.
    """
    kinds: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index in range(len(episodes)):
        first, frames = int(episodes.first_frame[index]), int(episodes.lengths[index]) + 1
        success_end = int(episodes.end_steps[index]) + 1
        for end in range(window, frames + 1):
            row = first + end - window
            if not episodes.successes[index]:
                kinds[2].append(row)
            elif success_end <= end <= success_end + late:
                kinds[0].append(row)
            elif end < success_end - gap:
                kinds[1].append(row)
    successes, early, failures = (np.array(rows, dtype=np.int64) for rows in kinds)
    if not len(successes) or not len(failures):
        raise ValueError("the reward model needs both successful and failed episodes to learn from")
    return Windows(successes, early if len(early) else failures, failures, copies)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Fit by softmax cross-entropy; choose τ by trajectory-level F1 on episodes kept aside."""
    episodes = load_episodes(config.episodes_from)
    rules = get_task(episodes[0].task).judge
    choosing, others = keep_aside(episodes, config)
    training = episode_set(others)
    model = _model(config)
    copies: tuple[Tensor, ...] = (torch.from_numpy(training.frames),)
    if config.autoencoder:
        copies += (blurred(Path(config.autoencoder), training, config.seed),)
    windows = cut_windows(training, copies, model.window, late=config.late_windows, gap=config.gap)
    held_out = load_episodes(config.held_out_from) if config.held_out_from else []
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "reward batch", step)
        pixels, labels = _batch(windows, model, config, random)
        logits = model(pixels)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return F.cross_entropy(logits, labels), {"accuracy": accuracy.detach()}

    def save(directory: Path) -> None:
        model.eval()
        threshold, chosen = choose_threshold(model, choosing, rules)
        model.config = model.config.replace(success_threshold=threshold)
        metrics.clear()
        metrics.update({f"reward/choosing_{name}": value for name, value in chosen.items()})
        metrics["reward/success_threshold"] = threshold
        if held_out:
            found = judge_all(model, held_out, rules)
            metrics.update(
                {
                    f"reward/held_out_{name}": value
                    for name, value in scores(found, held_out, threshold, rules).items()
                }
            )
        values = {"role": "reward_model", **model.config.to_dict()}
        parents = {"autoencoder": config.autoencoder, "reward_model": config.reward_model}
        document = card(config, metrics, episodes=episodes, parents=parents)
        checkpoint.write_model(directory, model, values, document)
        model.train()

    if not fit(model, batch_loss, run, config.fit, prefix="reward", save=save):
        return None
    latest = run.latest_checkpoint()
    assert latest is not None
    # Of the card: a run that was killed after its last checkpoint measured nothing in this process.
    return dict(checkpoint.read_json(latest / "card.json")["metrics"])


def keep_aside(
    episodes: Sequence[Trajectory], config: JobConfig
) -> tuple[list[Trajectory], list[Trajectory]]:
    """(episodes to choose the threshold on, the others): a share of those of one source."""
    order = numpy_generator(config.seed, "held out").permutation(len(episodes))
    eligible = [
        i for i in order if config.choose_on in ("", episodes[i].lineage.get("source", "policy"))
    ] or list(order)
    aside = set(eligible[: max(2, round(config.held_out_share * len(eligible)))])
    return (
        [episodes[i] for i in order if i in aside],
        [episodes[i] for i in order if i not in aside],
    )


Judged = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]


def judge_all(model: VideoReward, episodes: Sequence[Trajectory], rules: JudgeRules) -> Judged:
    """(window ends, probabilities) of each episode, stride 1."""
    judged = []
    for episode in episodes:
        ends, probabilities = model.probabilities(torch.from_numpy(episode.frames)[None], rules)
        judged.append((ends.numpy(), probabilities[0].numpy()))
    return judged


def scores(
    judged: Judged, episodes: Sequence[Trajectory], threshold: float, rules: JudgeRules
) -> dict[str, float]:
    """Trajectory-level precision, recall and F1 of a threshold, with counts and the accuracy's
    Wilson interval."""
    predicted = np.array(
        [
            outcome(ends, probabilities, threshold, rules, len(episode.frames)).success
            for (ends, probabilities), episode in zip(judged, episodes, strict=True)
        ]
    )
    actual = np.array([episode.outcome.success for episode in episodes])
    found = Confusion.count(predicted, actual)
    correct = found.true_positives + found.true_negatives
    low, high = wilson_interval(correct, len(actual))
    return {
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "accuracy": correct / len(actual),
        "accuracy_low": low,
        "accuracy_high": high,
        "successes": float(found.positives),
        "failures": float(found.negatives),
    }


def choose_threshold(
    model: VideoReward, episodes: Sequence[Trajectory], rules: JudgeRules
) -> tuple[float, dict[str, float]]:
    """The best of 36 thresholds in [0.3, 1) by F1 (ties: the middle one), and its scores."""
    judged = judge_all(model, episodes, rules)
    candidates = np.linspace(0.3, 0.99, 36)
    found = [scores(judged, episodes, float(t), rules) for t in candidates]
    f1 = np.array([score["f1"] for score in found])
    best = np.flatnonzero(f1 == f1.max())
    index = int(best[len(best) // 2])
    return round(float(candidates[index]), 3), found[index]


@torch.no_grad()
def blurred(directory: Path, episodes: EpisodeSet, seed: int) -> Tensor:
    """The flat frames after a round trip through an autoencoder checkpoint, uint8."""
    autoencoder = load_autoencoder(directory)
    parts = []
    for index, part in enumerate(torch.from_numpy(episodes.frames).split(256)):
        rows = [(index, row) for row in range(len(part))]
        latents = autoencoder.encode(to_model(part), row_generators(seed, "blur", rows=rows))
        parts.append(to_pixels(autoencoder.decode(latents)))
    return torch.cat(parts)


def shifted(frames: Tensor, largest: int, random: np.random.Generator) -> Tensor:
    """Move each clip [b, t, h, w, 3] by its own whole pixels; the border repeats its edge."""
    if not largest:
        return frames
    height, width = frames.shape[2:4]
    moves = random.integers(-largest, largest + 1, (len(frames), 2))
    rows = (np.arange(height) + moves[:, :1]).clip(0, height - 1)
    columns = (np.arange(width) + moves[:, 1:]).clip(0, width - 1)
    return torch.stack(
        [
            clip[:, torch.from_numpy(r)][:, :, torch.from_numpy(c)]
            for clip, r, c in zip(frames, rows, columns, strict=True)
        ]
    )


def _model(config: JobConfig) -> VideoReward:
    if config.reward_model:
        return load_reward_model(Path(config.reward_model))
    with initialisation(config.seed, "reward model"):
        return VideoReward(config.model)


def _batch(
    windows: Windows, model: VideoReward, config: JobConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    half, quarter = config.batch_size // 2, config.batch_size // 4
    first = np.concatenate(
        [
            random.choice(windows.successes, half),
            random.choice(windows.early, quarter),
            random.choice(windows.failures, config.batch_size - half - quarter),
        ]
    )
    rows = torch.from_numpy(first[:, None] + np.arange(model.window))
    frames = windows.copies[0][rows]
    if len(windows.copies) > 1:
        blur = torch.from_numpy(random.uniform(size=len(rows)) < config.blurred_share)
        frames = torch.where(blur[:, None, None, None, None], windows.copies[1][rows], frames)
    gain = torch.from_numpy(random.uniform(0.9, 1.1, (len(rows), 1, 1, 1, 1)).astype(np.float32))
    pixels = model.preprocess(shifted(frames, config.largest_shift, random)) * gain
    labels = torch.zeros(config.batch_size, dtype=torch.int64)
    labels[:half] = 1
    return pixels, labels
