"""Does it pay to label the most uncertain episodes first? Measured, with reality as the annotator.

A reward model is trained on a few labelled real episodes; then labels are added in steps, chosen at
random or where its probability is closest to its threshold, and it is fine-tuned and measured on
held-out episodes. An episode is "labelled" by looking up the simulator's verdict.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.config import Config, knob
from engine.data.episode_set import episode_set, load_episodes
from engine.jobs.learning_curve_report import Curves, summary
from engine.protocols import Run
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.learning import cut_windows, draw_batch
from engine.reward.scores import choose_threshold, judge_all, peaks, truths, verdicts
from engine.seeding import initialisation, numpy_generator
from engine.tasks import get_task
from engine.training import FitConfig, refine
from engine.types import JudgeRules, Trajectory

ORDERS = ("random", "uncertainty")


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which episodes are labelled, in what steps, and how the model learns from them."""

    episodes_from: tuple[str, ...] = knob((), "Run directories of real episodes to be labelled")
    held_out_from: tuple[str, ...] = knob((), "Run directories of real episodes to measure on")
    sizes: tuple[int, ...] = knob((16, 32, 64, 128), "Numbers of labels, increasing", low=2)
    seeds: int = knob(5, "Repetitions: other first labels, other weights, other draws", low=1)
    seed: int = knob(0, "Root of randomness", low=0)
    stride: int = knob(4, "Frames between two judged windows; the task's own is 1", low=1)
    batch_size: int = knob(16, "Clips in a step, half of them successes", low=2)
    largest_shift: int = knob(3, "Clips are moved by up to this many pixels", low=0)
    late_windows: int = knob(4, "Windows after the first successful one that count too", low=0)
    gap: int = knob(1, "Windows just before the first successful one are not shown", low=0)
    model: RewardConfig = knob(
        help="Sizes: smaller than the shipped model, so that dozens of trainings are affordable",
        factory=lambda: RewardConfig(
            hidden_size=64, num_hidden_layers=3, intermediate_size=192, micro_batch=32
        ),
    )
    first: FitConfig = knob(
        help="Optimisation on the first labels",
        factory=lambda: FitConfig(steps=200, weight_decay=0.05),
    )
    further: FitConfig = knob(
        help="Fine-tuning after each step",
        factory=lambda: FitConfig(steps=80, warmup_steps=10, learning_rate=5e-4, weight_decay=0.05),
    )


@dataclass
class _Learner:
    """A model, what it was taught (`labelled` are indices of the pool), and how it did."""

    model: VideoReward
    labelled: list[int]
    threshold: float = 0.5
    points: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class _Study:
    config: JobConfig
    seed: int
    pool: Sequence[Trajectory]
    held_out: Sequence[Trajectory]
    rules: JudgeRules

    def begin(self) -> _Learner:
        """A model trained on the first labels, drawn at random with both outcomes among them."""
        with initialisation(self.config.seed, "learning curve", self.seed):
            model = VideoReward(self.config.model)
        learner = _Learner(model, self._first())
        self._learn(learner, self.config.first)
        return learner

    def add(self, learner: _Learner, order: str, size: int) -> None:
        """Label up to `size` episodes in an order, and fine-tune on all labels."""
        rest = sorted(set(range(len(self.pool))) - set(learner.labelled))
        num = size - len(learner.labelled)
        if order == "random":
            random = numpy_generator(self.config.seed, "labels", self.seed, size)
            chosen = random.permutation(rest)[:num].tolist()
        else:
            judged = judge_all(learner.model, [self.pool[i] for i in rest], self.rules)
            distance = np.abs(peaks(judged) - learner.threshold)
            chosen = [rest[i] for i in np.argsort(distance, kind="stable")[:num]]
        learner.labelled += chosen
        self._learn(learner, self.config.further)

    def _first(self) -> list[int]:
        for attempt in range(1_000):
            random = numpy_generator(self.config.seed, "first labels", self.seed, attempt)
            chosen: list[int] = random.permutation(len(self.pool))[: self.config.sizes[0]].tolist()
            if len({self.pool[i].outcome.success for i in chosen}) == 2:
                return chosen
        raise ValueError("the episodes to be labelled need successes and failures among them")

    def _learn(self, learner: _Learner, fit: FitConfig) -> None:
        config, model = self.config, learner.model
        taught = [self.pool[i] for i in learner.labelled]
        episodes = episode_set(taught)
        frames = (torch.from_numpy(episodes.frames),)
        windows = cut_windows(
            episodes, frames, model.window, late=config.late_windows, gap=config.gap
        )

        def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
            random = numpy_generator(config.seed, "batch", self.seed, len(taught), step)
            pixels, labels = draw_batch(
                windows,
                model,
                random,
                batch_size=config.batch_size,
                largest_shift=config.largest_shift,
            )
            return F.cross_entropy(model(pixels), labels), {}

        refine(model, batch_loss, fit)
        judged = judge_all(model, taught, self.rules)
        learner.threshold, _ = choose_threshold(judged, taught, self.rules)
        judged = judge_all(model, self.held_out, self.rules)
        found = verdicts(judged, self.held_out, learner.threshold, self.rules)
        point = {"labels": len(taught), "threshold": learner.threshold}
        learner.points += ({**point, "successes": found.astype(int).tolist()},)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Every seed and order in turn; what is finished is kept and not done again."""
    if not config.episodes_from or not config.held_out_from:
        raise ValueError("learning_curve needs episodes_from and held_out_from: run directories")
    pool, held_out = load_episodes(config.episodes_from), load_episodes(config.held_out_from)
    if list(config.sizes) != sorted(set(config.sizes)) or config.sizes[-1] > len(pool):
        raise ValueError(f"sizes must increase, up to at most the {len(pool)} episodes there are")
    rules = replace(get_task(pool[0].task).judge, stride=config.stride)
    total = config.seeds * len(ORDERS)
    for seed in range(config.seeds):
        study = _Study(config, seed, pool, held_out, rules)
        begun: _Learner | None = None
        for order in ORDERS:
            name = f"curve-{seed}-{order}"
            if name in run.documents("curve"):
                continue
            if run.stop_requested or run.pause_requested:
                return None
            begun = begun or study.begin()
            learner = replace(begun, model=deepcopy(begun.model), labelled=list(begun.labelled))
            for size in config.sizes[1:]:
                study.add(learner, order, size)
            run.write_document(name, {"points": learner.points})
            run.progress(len(run.documents("curve")), total)
    found = summary(_curves(config, run, truths(held_out)), config.seed)
    for size, metrics in zip(config.sizes, found, strict=True):
        run.log(size, metrics)
    return {
        f"{name}_{size}": value
        for size, metrics in zip(config.sizes, found, strict=True)
        for name, value in metrics.items()
    }


def _curves(config: JobConfig, run: Run, truth: npt.NDArray[np.bool_]) -> Curves:
    kept = run.documents("curve")
    successes = [
        [
            [point["successes"] for point in kept[f"curve-{seed}-{order}"]["points"]]
            for seed in range(config.seeds)
        ]
        for order in ORDERS
    ]
    return Curves(config.sizes, ORDERS, np.array(successes, dtype=bool), truth)
