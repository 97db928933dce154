"""Does it pay to label the most uncertain episodes first? Measured, with reality as the annotator.

A reward model is trained on demonstrations and a few labelled episodes. Then, once per seed and
order, labels are added in steps, chosen at random or where its probability is closest to its
threshold, and it is fine-tuned and measured on held-out episodes. An episode is "labelled" by
looking up the simulator's verdict.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.checkpoints.checkpoint import write_model
from engine.config import Config, knob
from engine.data.episode_set import episode_set, load_episodes
from engine.learning.card import card
from engine.learning.training import FitConfig, refine
from engine.loading.models import load_reward_model
from engine.protocols import Run
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.learning import cut_windows, draw_batch
from engine.reward.scores import choose_threshold, judge_all, peaks, truths, verdicts
from engine.seeding import initialisation, numpy_generator
from studies.learning_curve.figure import to_svg, to_table
from studies.learning_curve.report import Curves, summary

ORDERS = ("random", "uncertainty")


@dataclass(frozen=True, kw_only=True)
class StudyConfig(Config):
    """Which episodes are labelled, in what steps, and how the model learns from them."""

    episodes_from: tuple[str, ...] = knob((), "Run directories of real episodes to be labelled")
    known_from: tuple[str, ...] = knob(
        (), "Run directories of episodes whose outcome needs no label, such as demonstrations"
    )
    held_out_from: tuple[str, ...] = knob((), "Run directories of real episodes to measure on")
    sizes: tuple[int, ...] = knob((16, 32, 64, 128), "Numbers of labels, increasing", low=2)
    seeds: int = knob(5, "Repetitions from the first model: other labels, other draws", low=1)
    seed: int = knob(0, "Root of randomness", low=0)
    stride: int = knob(4, "Frames between two judged windows; the task's own is 1", low=1)
    batch_size: int = knob(24, "Clips in a step, half of them successes", low=2)
    largest_shift: int = knob(3, "Clips are moved by up to this many pixels", low=0)
    late_windows: int = knob(4, "Windows after the first successful one that count too", low=0)
    gap: int = knob(1, "Windows just before the first successful one are not shown", low=0)
    model: RewardConfig = knob(
        help="Sizes: smaller than the shipped model, so that dozens of trainings are affordable",
        factory=lambda: RewardConfig(
            hidden_size=64, num_hidden_layers=3, intermediate_size=192, micro_batch=12
        ),
    )
    first: FitConfig = knob(
        help="Optimisation of the first model",
        factory=lambda: FitConfig(steps=600, weight_decay=0.05),
    )
    further: FitConfig = knob(
        help="Fine-tuning after each step",
        factory=lambda: FitConfig(
            steps=120, warmup_steps=10, learning_rate=5e-4, weight_decay=0.05
        ),
    )


@dataclass
class _Learner:
    """A model, what it was taught (`labelled` are indices of the pool), and how it did."""

    model: VideoReward
    labelled: list[int]
    threshold: float = 0.5
    points: tuple[dict[str, Any], ...] = ()


class _Study:
    """Episodes, and what is done to a learner with them."""

    def __init__(self, config: StudyConfig) -> None:
        if not config.episodes_from or not config.held_out_from:
            raise ValueError("learning_curve needs episodes_from and held_out_from")
        self._config = config
        self._pool = load_episodes(config.episodes_from)
        self._known = load_episodes(config.known_from)
        self._held_out = load_episodes(config.held_out_from)
        sizes = list(config.sizes)
        if sizes != sorted(set(sizes)) or sizes[-1] > len(self._pool):
            raise ValueError(
                f"sizes must increase, up to at most the {len(self._pool)} episodes there are"
            )
        self._rules = replace(get_task(self._pool[0].task).judge, stride=config.stride)

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """Which held-out episodes are successes."""
        return truths(self._held_out)

    def begin(self, run: Run) -> _Learner:
        """The first model, from the run's checkpoint where an earlier attempt trained it."""
        latest = run.latest_checkpoint()
        if latest is not None:
            model = load_reward_model(latest, run.placement, trained=True)
            learner = _Learner(model, self._first())
        else:
            with initialisation(self._config.seed, "learning curve"):
                model = VideoReward(self._config.model).to(run.placement.where)
            learner = _Learner(model, self._first())
            self._train(learner, self._config.first, 0)
            with run.checkpoint(0) as directory:
                values = {"role": "reward_model", **model.config.to_dict()}
                write_model(directory, model, values, card(self._config, {}, episodes=self._known))
        self._measure(learner)
        return learner

    def follow(self, begun: _Learner, order: str, seed: int) -> _Learner:
        """Label in an order, size after size, and fine-tune and measure after each."""
        learner = replace(begun, model=deepcopy(begun.model), labelled=list(begun.labelled))
        for size in self._config.sizes[1:]:
            learner.labelled += self._choose(learner, order, size, seed)
            self._train(learner, self._config.further, seed)
            self._measure(learner)
        return learner

    def _first(self) -> list[int]:
        num = self._config.sizes[0]
        for attempt in range(1_000):
            random = numpy_generator(self._config.seed, "first labels", attempt)
            chosen: list[int] = random.permutation(len(self._pool))[:num].tolist()
            if len({self._pool[i].outcome.success for i in chosen}) == 2:
                return chosen
        raise ValueError("the episodes to be labelled need successes and failures among them")

    def _choose(self, learner: _Learner, order: str, size: int, seed: int) -> list[int]:
        rest = sorted(set(range(len(self._pool))) - set(learner.labelled))
        num = size - len(learner.labelled)
        if order == "random":
            random = numpy_generator(self._config.seed, "labels", seed, size)
            chosen: list[int] = random.permutation(rest)[:num].tolist()
            return chosen
        judged = judge_all(learner.model, [self._pool[i] for i in rest], self._rules)
        distance = np.abs(peaks(judged) - learner.threshold)
        return [rest[i] for i in np.argsort(distance, kind="stable")[:num]]

    def _taught(self, learner: _Learner) -> list[Trajectory]:
        return [self._pool[i] for i in learner.labelled]

    def _train(self, learner: _Learner, fit: FitConfig, seed: int) -> None:
        config, model = self._config, learner.model
        episodes = episode_set([*self._known, *self._taught(learner)])
        windows = cut_windows(
            episodes,
            (torch.from_numpy(episodes.frames),),
            model.window,
            late=config.late_windows,
            gap=config.gap,
            favoured=np.arange(len(episodes)) >= len(self._known),
        )

        def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
            random = numpy_generator(config.seed, "batch", seed, len(learner.labelled), step)
            pixels, labels = draw_batch(
                windows,
                model,
                random,
                batch_size=config.batch_size,
                largest_shift=config.largest_shift,
            )
            logits = model(pixels)
            return F.cross_entropy(logits, labels.to(logits.device)), {}

        refine(model, batch_loss, fit)

    def _measure(self, learner: _Learner) -> None:
        """Choose the threshold on the labelled episodes, and judge the held-out ones."""
        taught, rules = self._taught(learner), self._rules
        judged = judge_all(learner.model, taught, rules)
        learner.threshold, _ = choose_threshold(judged, taught, rules)
        judged = judge_all(learner.model, self._held_out, rules)
        found = verdicts(judged, self._held_out, learner.threshold, rules)
        point = {"labels": len(taught), "threshold": learner.threshold}
        learner.points += ({**point, "successes": found.astype(int).tolist()},)


def run(config: StudyConfig, run: Run) -> dict[str, Any] | None:
    """Every seed and order in turn; what is finished is kept and not done again."""
    study = _Study(config)
    names = {
        (seed, order): f"curve-{seed}-{order}" for seed in range(config.seeds) for order in ORDERS
    }
    waiting = {key: name for key, name in names.items() if name not in run.documents("curve")}
    begun = study.begin(run) if waiting else None
    for (seed, order), name in waiting.items():
        if run.stop_requested or run.pause_requested:
            return None
        assert begun is not None
        run.write_document(name, {"points": study.follow(begun, order, seed).points})
        run.progress(len(run.documents("curve")), len(names))
    found = summary(_curves(config, run, study.truth), config.seed)
    for size, metrics in zip(config.sizes, found, strict=True):
        run.log(size, metrics)
    run.write_document(
        "report",
        {"markdown": to_table(config.sizes, found), "svg": to_svg(config.sizes, found)},
    )
    return {
        f"{name}_{size}": value
        for size, metrics in zip(config.sizes, found, strict=True)
        for name, value in metrics.items()
    }


def _curves(config: StudyConfig, run: Run, truth: npt.NDArray[np.bool_]) -> Curves:
    kept = run.documents("curve")
    successes = [
        [
            [point["successes"] for point in kept[f"curve-{seed}-{order}"]["points"]]
            for seed in range(config.seeds)
        ]
        for order in ORDERS
    ]
    return Curves(config.sizes, ORDERS, np.array(successes, dtype=bool), truth)
