"""Behaviour cloning of the base policy on demonstrations (method.md §2.7)."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from engine.config import Config, knob
from engine.crew.learners import learners_knob, together
from engine.data.episode_set import load_episodes, set_aside
from engine.data.labelled import key_of, load_labelled
from engine.data.statistics import action_statistics
from engine.device import Placement
from engine.envs.factory import make_env
from engine.envs.gl import missing_rendering
from engine.jobs.optimise.real_checks import real_success
from engine.learning.card import card
from engine.learning.economy import Economy
from engine.learning.spreading import ready_to_act, ready_to_learn
from engine.learning.training import FitConfig, fit
from engine.loading.learner import make_learner
from engine.loading.models import load_policy
from engine.policy import tokens
from engine.policy.config import PolicyConfig, tiny_policy_config
from engine.policy.files import write_policy
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.protocols import Run
from engine.ranks import deal, leads
from engine.records.tasks import get_task
from engine.records.types import Normalization, Trajectory
from engine.runs.job import (
    CHOSEN_BY_STUDIO,
    OF_FITS,
    ROLLOUTS,
    Chart,
    Finding,
    Job,
    Lessons,
    Method,
    Trace,
)
from engine.runs.tracker import logger_knob
from engine.seeding import initialisation, numpy_generator


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What the policy is cloned from, and how."""

    episodes_from: tuple[str, ...] = knob((), "Run directories of demonstrations")
    play_from: tuple[str, ...] = knob((), "Play whose expert labels are mixed in (pre-training)")
    play_share: float = knob(0.5, "Share of each batch from play_from", low=0.0, high=1.0)
    label_set: str = knob("", "Frozen labels: what people say of demonstrations counts; optional")
    labelled_from: tuple[str, ...] = knob((), "Directories that hold the labelled episodes")
    limit: int = knob(0, "Demonstrations taken from each run; 0 takes all", low=0)
    policy: str = knob("", "Policy checkpoint to start from; empty starts afresh")
    targets: str = knob(
        "expert",
        "What is cloned: what the expert wanted or what was executed",
        choices=("expert", "executed"),
    )
    only_successes: bool = knob(True, "Learn from successful demonstrations only")
    smoothing: float = knob(0.0, "Width of the target around its bin, in bins; 0 is one-hot", low=0)
    held_out: int = knob(10, "Episodes kept aside for the validation loss", low=1)
    real_episodes: int = knob(
        0, "Episodes played in the simulator before and after, for the success; 0: none", low=0
    )
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    batch_size: int = knob(32, "Frames in a step", low=1)
    learners: int = learners_knob()
    economy: Economy = knob(help="What training may hold in memory", factory=Economy)
    model: PolicyConfig = knob(help="Sizes", factory=tiny_policy_config)
    fit: FitConfig = knob(
        help="Optimisation",
        factory=lambda: FitConfig(steps=2000, learning_rate=1e-3, weight_decay=0.01),
    )


def check(config: JobConfig) -> Iterator[Finding]:
    """Whether its success can be played here."""
    if config.real_episodes and (lacking := missing_rendering()):
        yield Finding("simulator", False, f"{lacking} Or set real_episodes to 0.")


def check_lessons(config: JobConfig, lessons: Lessons) -> Finding | None:
    """Whether enough episodes are left to clone from."""
    if not config.only_successes or lessons.successes > config.held_out:
        return None
    text = f"{lessons}: cloning needs at least {config.held_out + 1} successes"
    return Finding("episodes", False, text)


JOB = Job(
    methods=(
        Method(
            name="Filtered cloning",
            about="clone what was executed in the policy's own successes",
            values={"targets": "executed", "only_successes": True},
            sizes={
                "quick look": {
                    "held_out": 2,
                    "real_episodes": 8,
                    "fit": {"steps": 40, "log_every": 4},
                },
                "demo": {"real_episodes": 32, "fit": {"steps": 400, "learning_rate": 2e-4}},
                "long": {"real_episodes": 100, "fit": {"steps": 2000, "learning_rate": 2e-4}},
            },
            needs=ROLLOUTS,
        ),
    ),
    place=3,
    shown=("policy", "episodes_from"),
    hidden=(
        *(*CHOSEN_BY_STUDIO, *OF_FITS, "model", "play_from", "play_share", "limit"),
        *("targets", "only_successes", "smoothing", "labelled_from", "batch_size", "learners"),
        "economy",
    ),
    learns=True,
    check=check,
    charts=(
        Chart(
            name="cloned",
            title="success in the simulator",
            help="Of the same held-out starts, before the cloning and after it",
            traces=(Trace(metric="real/success_rate", name="real", colour="real", marks=True),),
            low=0.0,
            high=1.0,
        ),
        Chart(
            name="clone_loss",
            title="loss",
            help="Cross-entropy of the cloned actions; held out: of episodes kept aside",
            traces=(
                Trace(metric="policy/loss", name="training"),
                Trace(metric="policy/held_out_loss", name="held out", colour="ok", marks=True),
            ),
        ),
    ),
    check_lessons=check_lessons,
)


@dataclass(frozen=True)
class Pairs:
    """(frame, the chunk that follows it) for every frame of many demonstrations.

    Attributes:
        frames: uint8 [m, h, w, 3].
        tokens: int64 [m, l].
        instructions: m language commands.
    """

    frames: Tensor
    tokens: Tensor
    instructions: tuple[str, ...]


def cut_pairs(
    episodes: Sequence[Trajectory], normalization: Normalization, chunk_size: int, targets: str
) -> Pairs:
    """Every frame before the success with the k actions after it; the last action is repeated.

    Raises:
        ValueError: an episode lacks the expert's actions although they are to be cloned.
    """
    frames: list[npt.NDArray[np.uint8]] = []
    chunks: list[npt.NDArray[np.float32]] = []
    instructions: list[str] = []
    for episode in episodes:
        if targets == "expert" and "expert_actions" not in episode.arrays:
            raise ValueError(f"episode {episode.id} has no expert_actions; set targets=executed")
        actions = episode.arrays["expert_actions"] if targets == "expert" else episode.actions
        count = episode.outcome.end_step
        index = np.arange(count)[:, None] + np.arange(chunk_size)
        chunks.append(normalization.normalize(actions)[np.minimum(index, len(actions) - 1)])
        frames.append(episode.frames[:count])
        instructions += [episode.instruction] * count
    normalised = torch.from_numpy(np.concatenate(chunks)).clamp(-1.0, 1.0)
    return Pairs(
        torch.from_numpy(np.concatenate(frames)),
        tokens.encode_actions(normalised),
        tuple(instructions),
    )


def smoothed_cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy [b, l] to one-hot targets (the official loss) or to a Gaussian around them."""
    targets = targets.to(logits.device)
    if smoothing == 0.0:
        flat = F.cross_entropy(
            rearrange(logits, "b l n -> (b l) n"),
            rearrange(targets, "b l -> (b l)"),
            reduction="none",
        )
        return rearrange(flat, "(b l) -> b l", b=len(logits))
    bins = torch.arange(logits.shape[-1], dtype=logits.dtype, device=logits.device)
    distance = (bins - targets.unsqueeze(-1)) / smoothing
    weights = torch.softmax(-0.5 * distance.square(), dim=-1)
    return -(weights * F.log_softmax(logits, dim=-1)).sum(dim=-1)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Fit the policy by cross-entropy on all action tokens of a chunk at once."""
    return together(_run, config, run, config.learners)


def _run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    demonstrations = _keep(_demonstrations(config), config)
    mixed_in = load_episodes(config.play_from) if config.play_from else []
    policy = _policy(config, demonstrations, run.placement)
    aside, taught = set_aside(demonstrations, config.held_out, config.seed, noun="demonstrations")

    def pairs(episodes: Sequence[Trajectory], targets: str) -> Pairs:
        return cut_pairs(episodes, policy.normalization, policy.chunk_size, targets)

    held_out = pairs(aside, config.targets)
    sources = [pairs(taught, config.targets)]
    if mixed_in:
        sources.append(pairs(mixed_in, "expert"))
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "clone batch", step)
        from_play = round(config.play_share * config.batch_size) if mixed_in else 0
        losses = []
        for source, size in zip(sources, [config.batch_size - from_play, from_play], strict=False):
            drawn = torch.from_numpy(random.integers(0, len(source.frames), size))
            rows, counts = deal(drawn)
            logits = policy.logits(source.frames[rows], [source.instructions[r] for r in rows])
            found = smoothed_cross_entropy(logits, source.tokens[rows], config.smoothing)
            losses.append(found * counts.to(found.device)[:, None])
        return torch.cat(losses).sum() / (config.batch_size * source.tokens.shape[1]), {}

    def save(directory: Path) -> None:
        metrics.update(validation(policy, held_out))
        parents = {"policy": config.policy}
        document = card(config, metrics, episodes=demonstrations + mixed_in, parents=parents)
        write_policy(directory, policy, document)

    task = demonstrations[0].task
    if config.policy and run.latest_checkpoint() is None:
        ready_to_act(policy)
        _play(config, policy, task, run, step=0)
    ready_to_learn(policy)
    if not fit(policy, batch_loss, run, config.fit, prefix="policy", save=save):
        return None
    return validation(policy, held_out) | _play(config, policy, task, run, step=config.fit.steps)


def _play(
    config: JobConfig, policy: OpenVLAPolicy, task: str, run: Run, *, step: int
) -> dict[str, float]:
    """The policy's success in the simulator after so many steps, logged; empty where not asked."""
    if not config.real_episodes or not leads():
        return {}
    run.phase("playing in the simulator")
    with closing(make_env(get_task(task))) as env:
        found = real_success(
            policy,
            env,
            run,
            episodes=config.real_episodes,
            temperature=0.0,
            seed=config.seed,
            name=f"step {step}",
        )
    run.log(step, {"real/success_rate": found})
    return {"real/success_rate": found}


@torch.no_grad()
def validation(policy: OpenVLAPolicy, pairs: Pairs) -> dict[str, float]:
    """Held-out cross-entropy in nats a token and mean absolute error of the arg-max actions."""
    losses, errors = [], []
    for rows in torch.arange(len(pairs.frames)).split(32):
        logits = policy.logits(pairs.frames[rows], [pairs.instructions[r] for r in rows])
        losses.append(smoothed_cross_entropy(logits, pairs.tokens[rows], 0.0))
        wanted = tokens.decode_values(pairs.tokens[rows])
        errors.append((tokens.decode_values(logits.argmax(dim=-1).cpu()) - wanted).abs())
    return {
        "policy/held_out_loss": torch.cat(losses).mean().item(),
        "policy/held_out_error": torch.cat(errors).mean().item(),
    }


def _demonstrations(config: JobConfig) -> list[Trajectory]:
    """The episodes of the runs, those that people judged as they judged them."""
    episodes = load_episodes(config.episodes_from, limit=config.limit or None)
    if not config.label_set:
        return episodes
    tasks = {episode.task for episode in episodes}
    labelled = [
        episode
        for episode in load_labelled(Path(config.label_set), config.labelled_from)
        if not episode.imagined and episode.task in tasks
    ]
    said = {key_of(episode) for episode in labelled}
    return [*labelled, *(episode for episode in episodes if key_of(episode) not in said)]


def _keep(episodes: list[Trajectory], config: JobConfig) -> list[Trajectory]:
    kept = [e for e in episodes if e.outcome.success or not config.only_successes]
    if not kept and not any(episode.judged for episode in episodes):
        raise ValueError(
            "nobody has said which demonstrations succeeded: label them and give label_set, or "
            "learn from all with only_successes=false"
        )
    if not kept:
        raise ValueError("no demonstration succeeded")
    return kept


def _policy(
    config: JobConfig, demonstrations: Sequence[Trajectory], placement: Placement
) -> OpenVLAPolicy:

    def load(where: Placement, trained: bool) -> OpenVLAPolicy:
        if config.policy:
            return load_policy(Path(config.policy), where, trained=trained)
        return _new_policy(config, demonstrations).to(where.where)

    return make_learner(load, config.economy, placement, seed=config.seed)


def _new_policy(config: JobConfig, demonstrations: Sequence[Trajectory]) -> OpenVLAPolicy:
    action_dim = demonstrations[0].actions.shape[1]
    if config.model.action_dim != action_dim:
        raise ValueError(
            f"the demonstrations have {action_dim} action dimensions, "
            f"the policy {config.model.action_dim}"
        )
    statistics = action_statistics(
        [e.actions for e in demonstrations],
        passthrough=get_task(demonstrations[0].task).passthrough,
    )
    with initialisation(config.seed, "policy"):
        return OpenVLAPolicy(config.model, normalization=statistics, tokenizer=demo_tokenizer())
