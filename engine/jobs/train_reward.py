"""Train the reward model on real and labelled episodes, choose its threshold (method.md §3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.crew.learners import learners_knob, together
from engine.data.episode_set import EpisodeSet, episode_set, load_episodes
from engine.data.labelled import key_of, load_labelled, split_gold
from engine.device import Placement
from engine.images import to_model, to_pixels
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import load_autoencoder, load_reward_model
from engine.protocols import Run
from engine.ranks import deal
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.gold_test import GoldTest
from engine.reward.learning import Windows, cut_windows, draw_batch
from engine.reward.scores import choose_threshold, judge_all, scores
from engine.runs.tracker import logger_knob
from engine.seeding import initialisation, numpy_generator, row_generators


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the reward model learns from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes are learnt from")
    label_set: str = knob("", "Frozen labels that are learnt from as well; a directory")
    labelled_from: tuple[str, ...] = knob((), "Directories that hold the labelled episodes")
    labelled_share: float = knob(
        0.5, "Share of the clips that are of labelled episodes, however few", low=0.0, high=1.0
    )
    gold_share: float = knob(
        0.25, "Share of labelled starts never learnt from: the regression test", low=0.0, high=0.9
    )
    held_out_from: tuple[str, ...] = knob((), "Run directories of held-out episodes, for the F1")
    held_out_share: float = knob(
        0.15, "Share of the episodes kept aside to choose the threshold", low=0.01, high=0.5
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
    logger: str = logger_knob()
    batch_size: int = knob(32, "Clips in a step, half of them successes", low=2)
    learners: int = learners_knob()
    model: RewardConfig = knob(help="Sizes", factory=RewardConfig)
    fit: FitConfig = knob(
        help="Optimisation",
        factory=lambda: FitConfig(
            steps=2000, learning_rate=1e-3, weight_decay=0.05, checkpoint_every=500
        ),
    )


@dataclass(frozen=True)
class Lessons:
    """Episodes by what they are for.

    Attributes:
        episodes: real ones, as the simulator or their recording judged them.
        labelled: ones that people judged, gold ones not among them.
        gold: labelled ones that are tested on.
        choosing: kept aside of the first two, to choose the threshold on.
    """

    episodes: list[Trajectory]
    labelled: list[Trajectory]
    gold: list[Trajectory]
    choosing: list[Trajectory]

    @property
    def used(self) -> list[Trajectory]:
        """All that the checkpoint was made from."""
        return [*self.choosing, *self.episodes, *self.labelled]


def lessons(config: JobConfig) -> Lessons:
    """Load the episodes; none that begins where a gold clip does is learnt from.

    Raises:
        ValueError: nothing to learn from, or files that are not what they were.
    """
    labelled = (
        load_labelled(Path(config.label_set), config.labelled_from) if config.label_set else []
    )
    gold, taught = split_gold(labelled, config.gold_share)
    aside = {key_of(episode) for episode in gold}
    real = load_episodes(config.episodes_from)
    episodes = [e for e in real if e.judged and key_of(e) not in aside]
    if real and not episodes and not taught:
        raise ValueError(
            "nobody has said yet which of these episodes succeeded: label some, then train"
        )
    if not episodes and not taught:
        raise ValueError("train_reward needs episodes_from=RUN_DIRECTORIES or a label_set")
    choosing, episodes = keep_aside(episodes, config)
    chosen, taught = keep_aside(taught, config)
    return Lessons(episodes, taught, gold, choosing + chosen)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Fit by softmax cross-entropy; choose τ by trajectory-level F1 on episodes kept aside."""
    return together(_run, config, run, config.learners)


def _run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    learnt = lessons(config)
    rules = get_task(learnt.used[0].task).judge
    model = _model(config, run.placement)
    gold_test = GoldTest(learnt.gold, rules)
    if config.reward_model:
        gold_test.before(model)
    windows = _windows(learnt, model, config, run.placement)
    held_out = load_episodes(config.held_out_from)
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "reward batch", step)
        pixels, labels = draw_batch(
            windows,
            model,
            random,
            batch_size=config.batch_size,
            largest_shift=config.largest_shift,
            blurred_share=config.blurred_share,
        )
        rows, counts = deal(torch.arange(len(labels)))
        logits = model(pixels[rows.to(pixels.device)])
        wanted, counts = labels[rows].to(logits.device), counts.to(logits.device)
        right = ((logits.argmax(dim=1) == wanted) * counts).sum() / len(labels)
        losses = F.cross_entropy(logits, wanted, reduction="none") * counts
        return losses.sum() / len(labels), {"accuracy": right}

    def save(directory: Path) -> None:
        model.eval()
        judged = judge_all(model, learnt.choosing, rules)
        threshold, chosen = choose_threshold(judged, learnt.choosing, rules)
        model.config = model.config.replace(success_threshold=threshold)
        metrics.clear()
        metrics.update({f"reward/choosing_{name}": value for name, value in chosen.items()})
        metrics["reward/success_threshold"] = threshold
        if held_out:
            found = scores(judge_all(model, held_out, rules), held_out, threshold, rules)
            metrics.update({f"reward/held_out_{name}": value for name, value in found.items()})
        if config.label_set:
            metrics.update(gold_test.after(model))
        values = {"role": "reward_model", **model.config.to_dict()}
        checkpoint.write_model(directory, model, values, _card(config, metrics, learnt))
        model.train()

    if not fit(model, batch_loss, run, config.fit, prefix="reward", save=save):
        return None
    if config.label_set:
        gold_test.compare(run, model, learnt.labelled)
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


@torch.no_grad()
def blurred(directory: Path, placement: Placement, episodes: EpisodeSet, seed: int) -> Tensor:
    """The flat frames after a round trip through an autoencoder checkpoint, uint8, on the CPU."""
    autoencoder = load_autoencoder(directory, placement)
    parts = []
    for index, part in enumerate(torch.from_numpy(episodes.frames).split(256)):
        rows = [(index, row) for row in range(len(part))]
        frames = to_model(part.to(placement.where))
        latents = autoencoder.encode(frames, row_generators(seed, "blur", rows=rows))
        parts.append(to_pixels(autoencoder.decode(latents)).cpu())
    return torch.cat(parts)


def _windows(
    learnt: Lessons, model: VideoReward, config: JobConfig, placement: Placement
) -> Windows:
    training = episode_set([*learnt.episodes, *learnt.labelled])
    copies: tuple[Tensor, ...] = (torch.from_numpy(training.frames),)
    if config.autoencoder:
        copies += (blurred(Path(config.autoencoder), placement, training, config.seed),)
    return cut_windows(
        training,
        copies,
        model.window,
        late=config.late_windows,
        gap=config.gap,
        favoured=np.arange(len(training)) >= len(learnt.episodes),
        favoured_share=config.labelled_share,
    )


def _card(config: JobConfig, metrics: dict[str, Any], learnt: Lessons) -> dict[str, Any]:
    """The card; a label set is named as a parent is."""
    parents = {"autoencoder": config.autoencoder, "reward_model": config.reward_model}
    document = card(config, metrics, episodes=learnt.used, parents=parents)
    if not config.label_set:
        return document
    name = Path(config.label_set).name
    document["lineage"]["label_set"] = name
    num = len(learnt.labelled) + len(learnt.gold)
    return document | {"labels": f"{num} labelled clips, {len(learnt.gold)} of them gold"}


def _model(config: JobConfig, placement: Placement) -> VideoReward:
    if config.reward_model:
        return load_reward_model(Path(config.reward_model), placement, trained=True)
    with initialisation(config.seed, "reward model"):
        return VideoReward(config.model).to(placement.where)
