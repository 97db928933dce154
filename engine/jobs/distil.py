"""A few-step student: it dreams in one or two steps what its teacher dreams in many.

The student starts from the teacher's weights and learns, at the few times at which it will be
asked, the straight way from a noise to where the teacher's sampler ends from that very noise
(rectified flow distilled on its own couplings, arXiv 2209.03003 §2.2 and 2309.06380 §3). It is
accepted only where its verdicts are no worse than the teacher's in `ACCEPTANCE_STEPS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints.checkpoint import read_json
from engine.config import Config, knob
from engine.crew.learners import learners_knob, together
from engine.data.episode_set import episode_set, load_episodes, set_aside
from engine.jobs.fidelity.twins import imagine_twins
from engine.jobs.train_world_model.clips import Batch, Clips, cut_clips
from engine.jobs.train_world_model.job import run_step, write_world_model
from engine.learning.card import card
from engine.learning.training import FitConfig, fit
from engine.loading.models import load_normalization, load_reward_model, load_world_model
from engine.protocols import Run
from engine.ranks import deal
from engine.records.tasks import get_task
from engine.records.types import Normalization, Trajectory
from engine.reward.classifier import VideoReward
from engine.reward.judge import outcome
from engine.reward.scores import judge_clip
from engine.runs.job import Job
from engine.runs.tracker import logger_knob
from engine.seeding import numpy_generator
from engine.world_model.flow import sample, sampling_timesteps, training_loss
from engine.world_model.model import LatentWorldModel

ACCEPTANCE_STEPS = 4  # the teacher's, when the verdicts are compared
TWINS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Who is distilled, into how many steps, on what."""

    world_model: str = knob("", "World model checkpoint that teaches")
    reward_model: str = knob("", "Reward model whose verdicts decide whether it is accepted")
    episodes_from: tuple[str, ...] = knob((), "Run directories whose frames dreams begin from")
    steps: int = knob(1, "Denoising steps of the student", low=1, high=4)
    teacher_steps: int = knob(8, "Denoising steps in which the teacher shows the way", low=2)
    held_out: int = knob(
        32, "Episodes kept aside: the verdicts on their dreams are compared", low=2
    )
    seed: int = knob(0, "Root of randomness", low=0)
    logger: str = logger_knob()
    batch_size: int = knob(32, "Clips in a step", low=1)
    learners: int = learners_knob()
    fit: FitConfig = knob(
        help="Optimisation", factory=lambda: FitConfig(steps=2000, learning_rate=2e-4)
    )


JOB = Job(needs=lambda config: ("world_model", "reward_model"), learns=True)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Train the student's transformer; everything else is the teacher's."""
    return together(_run, config, run, config.learners)


def _run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    if not (config.world_model and config.reward_model):
        raise ValueError("distil needs world_model=DIRECTORY and reward_model=DIRECTORY")
    path = Path(config.world_model)
    teacher = load_world_model(path, run.placement)
    if teacher.config.deterministic:
        raise ValueError(f"{path.name} is deterministic: it dreams in one step already")
    student = load_world_model(path, run.placement, trained=True)
    statistics = load_normalization(path)
    episodes = load_episodes(config.episodes_from)
    kept, taught = set_aside(episodes, config.held_out, config.seed)
    clips = cut_clips(teacher, episode_set(taught), statistics)
    aside = cut_clips(teacher, episode_set(kept), statistics)
    metrics: dict[str, Any] = {}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        random = numpy_generator(config.seed, "distillation batch", step)
        batch = clips.batch(random.integers(0, len(clips), config.batch_size), random)
        rows, counts = deal(torch.arange(config.batch_size))
        losses = _losses(teacher, student, batch, random, rows, config)
        return (losses * counts.to(losses.device)).sum() / config.batch_size, {}

    def save(directory: Path) -> None:
        step = run_step(directory)
        metrics["distil/held_out_error"] = held_out_error(teacher, student, aside, config)
        if step == config.fit.steps:
            run.phase("comparing verdicts")
            judge = load_reward_model(Path(config.reward_model), run.placement)
            metrics.update(compared(teacher, student, judge, kept, statistics, config))
        run.log(step, dict(metrics))
        parents = {"world_model": config.world_model, "reward_model": config.reward_model}
        document = card(config, metrics, episodes=episodes, parents=parents)
        write_world_model(directory, student, statistics, document)

    if not fit(student.transformer, batch_loss, run, config.fit, prefix="distil", save=save):
        return None
    latest = run.latest_checkpoint()
    assert latest is not None
    found: dict[str, Any] = read_json(latest / "card.json")["metrics"]
    return found


def _losses(
    teacher: LatentWorldModel,
    student: LatentWorldModel,
    batch: Batch,
    random: np.random.Generator,
    rows: Tensor,
    config: JobConfig,
) -> Tensor:
    """Of some rows of a batch, each with the noise and time it has in the whole batch."""
    latents, actions, memory = batch
    noise = torch.from_numpy(random.standard_normal(latents.shape, dtype=np.float32))
    asked = torch.from_numpy(random.integers(0, config.steps, len(latents)))
    times = _times(student, config.steps, latents.shape[2])[asked]
    device = student.transformer.rope.freqs.device
    latents, actions, memory, noise, times = (
        values[rows].to(device) for values in (latents, actions, memory, noise, times)
    )
    past, side = student.context_frames, student.config.image_size
    future = dreamt(teacher, (latents, actions, memory), noise, config.teacher_steps)
    return training_loss(
        student.transformer,
        torch.cat([latents[:, :, :past], future], dim=2),
        actions,
        noise,
        times,
        side,
        side,
        noisy_context=False,  # as it is in a dream
        conditions=student.conditions(memory, actions),
    )


@torch.no_grad()
def dreamt(model: LatentWorldModel, batch: Batch, noise: Tensor, steps: int) -> Tensor:
    """What a model makes of the noise [b, z, t, y, x] of clips' futures, [b, z, k, y, x]."""
    latents, actions, memory = batch
    past, side = model.context_frames, model.config.image_size
    return sample(
        model.transformer,
        latents[:, :, :past],
        noise[:, :, past:],
        actions,
        steps,
        side,
        side,
        ratio=model.config.timestep_ratio,
        conditions=model.conditions(memory, actions),
    )


def _times(model: LatentWorldModel, steps: int, frames: int) -> Tensor:
    side, sizes = model.config.image_size, model.config.transformer
    times = sampling_timesteps(
        steps,
        side,
        side,
        frames,
        reference_size=sizes.input_sq_size,
        ratio=model.config.timestep_ratio,
    )
    return times[:-1]


def held_out_error(
    teacher: LatentWorldModel, student: LatentWorldModel, clips: Clips, config: JobConfig
) -> float:
    """Mean squared distance of both ends of 64 noises, in variances of the teacher's."""
    random = numpy_generator(config.seed, "distillation held out")
    chosen = random.permutation(len(clips))[:64]
    device = student.transformer.rope.freqs.device
    latents, actions, memory = (values.to(device) for values in clips.batch(chosen, random))
    noise = torch.from_numpy(random.standard_normal(latents.shape, dtype=np.float32)).to(device)
    wanted = dreamt(teacher, (latents, actions, memory), noise, config.teacher_steps)
    found = dreamt(student, (latents, actions, memory), noise, config.steps)
    return float(((found - wanted).square().mean() / wanted.var()).item())


def compared(
    teacher: LatentWorldModel,
    student: LatentWorldModel,
    judge: VideoReward,
    episodes: Sequence[Trajectory],
    statistics: Normalization,
    config: JobConfig,
) -> dict[str, float]:
    """How often the verdicts on dreams of real episodes' actions are what really happened.

    The student is accepted where it agrees as often as the teacher in `ACCEPTANCE_STEPS` and tells
    no more failures as successes.

    Raises:
        ValueError: nobody has said of any of the episodes how it ended.
    """
    known = [episode for episode in episodes if episode.judged]
    if not known:
        raise ValueError("nobody has said of the held-out episodes how they ended")
    real = np.array([episode.outcome.success for episode in known])
    found: dict[str, float] = {"distil/compared": float(len(known))}
    for name, model, steps in (
        ("student", student, config.steps),
        ("teacher", teacher, ACCEPTANCE_STEPS),
    ):
        said = np.array(_verdicts(model, judge, known, statistics, steps, config.seed))
        found[f"distil/{name}_agreement"] = float((said == real).mean())
        found[f"distil/{name}_false_successes"] = float((said & ~real).sum())
    accepted = (
        found["distil/student_agreement"] >= found["distil/teacher_agreement"]
        and found["distil/student_false_successes"] <= found["distil/teacher_false_successes"]
    )
    return found | {"distil/accepted": float(accepted)}


def _verdicts(
    model: LatentWorldModel,
    judge: VideoReward,
    episodes: Sequence[Trajectory],
    statistics: Normalization,
    steps: int,
    seed: int,
) -> list[bool]:
    verdicts = []
    for first in range(0, len(episodes), TWINS_AT_ONCE):
        part = episodes[first : first + TWINS_AT_ONCE]
        actions = [statistics.normalize(episode.actions) for episode in part]
        twins = imagine_twins(model, part, actions, seed=seed, denoising_steps=steps)
        for episode, twin in zip(part, twins, strict=True):
            rules = get_task(episode.task).judge
            told = judge_clip(judge, twin.frames, rules)
            found = outcome(*told, judge.success_threshold, rules, len(twin.frames))
            verdicts.append(found.success)
    return verdicts
