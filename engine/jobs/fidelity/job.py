"""Real against imagined on held-out action sequences: pixels, verdicts, features (paper §4.4)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.data.episode_set import load_episodes
from engine.data.labelled import with_label
from engine.images import to_model, to_pixels
from engine.jobs import collect
from engine.jobs.fidelity.fidelity_curves import agreement, curves
from engine.jobs.fidelity.fidelity_plan import NAMES, JobConfig, check_planned
from engine.jobs.fidelity.fidelity_scores import UNKNOWN, Scores, means, real_verdicts
from engine.jobs.fidelity.twins import Twin, imagine_twins
from engine.loading.models import load_dreaming, load_judge, load_normalization
from engine.protocols import Run, WorldModel
from engine.records.episodes import index_id
from engine.records.label_set import read_label_set
from engine.records.manifest import checkpoint_hash
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from engine.reward.classifier import VideoReward
from engine.reward.judge import outcome
from engine.reward.scores import judge_clip
from engine.reward.states import StateReward
from engine.runs.run_directory import RunDirectory
from engine.seeding import numpy_generator, row_generators
from engine.statistics.leaks import learnt_from, merge, overlap
from engine.statistics.metrics import repeat_first, verdict_onset
from engine.statistics.perceptual import MISSING, load_backbone

Array = npt.NDArray[Any]
Video = npt.NDArray[np.uint8]
ROLES = ("world_model", "baseline_world_model", "reward_model")
Sources = list[tuple[str, Trajectory]]  # (name of the run directory, real episode)
Clip = Video | Twin


@dataclass(frozen=True)
class Models:
    """Everything that looks at an episode."""

    world: WorldModel
    baseline: WorldModel | None
    judge: VideoReward | StateReward | None


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Imagine every episode from its first frame: under its own actions, another's, and none."""
    if not config.world_model:
        raise ValueError("fidelity needs world_model=CHECKPOINT_DIRECTORY")
    check_planned(config)
    there = real_episodes(config, run)
    if there is None:
        return None
    sources = held_out(config, there)
    run.phase("loading the models")
    models = Models(
        load_dreaming(Path(config.world_model), run.placement),
        load_dreaming(Path(config.baseline_world_model), run.placement)
        if config.baseline_world_model
        else None,
        load_judge(Path(config.reward_model), run.placement) if config.reward_model else None,
    )
    scores = measure(config, run, models, sources)
    if scores is None:
        return None
    found = report(run, scores, models, sources)
    if taught := len(there) - len(sources):
        found["notes"].append(f"{taught} of {len(there)} episodes were learnt from and left out")
    return found


def held_out(config: JobConfig, sources: Sources) -> Sources:
    """The episodes that no model has learnt from.

    Raises:
        ValueError: of fewer than two of them.
    """
    roles = {role: getattr(config, role) for role in ROLES}
    known = merge(*(learnt_from(Path(name)) for name in roles.values() if name))
    kept = [
        (name, episode)
        for name, episode in sources
        if not overlap(known, range(episode.start_id, episode.start_id + 1))
    ]
    if len(kept) < 2:
        for role, name in roles.items():
            check_held_out(role, name, [episode for _, episode in sources])
    return kept


def check_held_out(role: str, name: str, episodes: Sequence[Trajectory]) -> None:
    """Refuse real episodes whose starts a checkpoint has learnt from.

    Raises:
        ValueError: some of them are not held out.
    """
    known = learnt_from(Path(name)) if name else []
    shared = sum(overlap(known, range(e.start_id, e.start_id + 1)) for e in episodes)
    if shared:
        raise ValueError(
            f"the {role.replace('_', ' ')} learnt from the starts of {shared} of the "
            f"{len(episodes)} episodes: fidelity needs held-out ones"
        )


def real_episodes(config: JobConfig, run: Run) -> Sources | None:
    """The real episodes, played into this very run where none are given; None if it is to stop."""
    names = config.episodes_from
    if not names:
        assert isinstance(run, RunDirectory)
        options = collect.JobConfig(
            task=config.task,
            source="policy",
            policy=config.policy,
            pool=config.pool,
            first_start=config.first_start,
            episodes=config.episodes,
            temperature=config.temperature,
            seed=config.seed,
            use="calibration",
        )
        if collect.run(options, run) is None:
            return None
        names = (str(run.directory),)
    found = [(Path(n).resolve().name, e) for n in names for e in load_episodes([n])]
    real = [(name, e) for name, e in found if not e.imagined][: config.episodes]
    labels = read_label_set(Path(config.label_set)) if config.label_set else []
    said = {label.episode_id: label for label in labels}
    return [
        (name, with_label(e, said[known]) if (known := index_id(name, e.id)) in said else e)
        for name, e in real
    ]


def measure(config: JobConfig, run: Run, models: Models, sources: Sources) -> Scores | None:
    """Scores of every episode, kept after each batch; None where the run is to stop."""
    scores, network = room(models, sources), load_backbone()
    latest = run.latest_checkpoint()
    if latest is not None:
        scores.restore(latest)
    episodes = [episode for _, episode in sources]
    others = numpy_generator(config.seed, "shuffle").permutation(len(episodes))
    others = np.where(others == np.arange(len(episodes)), (others + 1) % len(episodes), others)
    run.phase("imagining and comparing")
    run.progress(scores.done, len(episodes))
    while scores.done < len(episodes):
        if run.stop_requested or run.pause_requested:
            return None
        run.give_way()
        index = range(scores.done, min(scores.done + config.batch_size, len(episodes)))
        batch = [episodes[i] for i in index]
        dreams = imagine_all(config, models, batch, [episodes[others[i]] for i in index])
        for place, row in enumerate(index):
            clips = {kind: dream[place] for kind, dream in dreams.items()}
            for kind, clip in clips.items():
                scores.compare(row, kind, frames_of(clip), batch[place].frames, network)
            if models.judge is not None:
                judge_row(config, run, models, scores, row, sources[row], clips)
        scores.done = index[-1] + 1
        with run.checkpoint(scores.done) as directory:
            scores.save(directory)
        run.progress(scores.done, len(episodes))
    return scores


def room(models: Models, sources: Sources) -> Scores:
    """Empty scores for everything that will be measured."""
    kinds = ["imagined", "shuffled", "zero", "round_trip", "repeat"]
    judged = ["real", "imagined", "round_trip"]
    if models.baseline is not None:
        kinds.append("baseline")
        judged.append("baseline")
    metrics = ["psnr", "ssim"] + (["lpips"] if load_backbone() is not None else [])
    depth = max(len(episode.actions) for _, episode in sources)
    return Scores.empty(
        len(sources),
        depth,
        pixels=[f"{kind}/{metric}" for kind in kinds for metric in metrics],
        judged=judged if models.judge is not None else [],
        chunks=depth // models.world.chunk_size,
        width=models.judge.config.hidden_size if isinstance(models.judge, VideoReward) else 0,
    )


def imagine_all(
    config: JobConfig,
    models: Models,
    batch: Sequence[Trajectory],
    others: Sequence[Trajectory],
) -> dict[str, Sequence[Clip]]:
    """A clip of each kind, one an episode: the dream, its controls and its bounds."""
    normalization = load_normalization(Path(config.world_model))
    own = [normalization.normalize(e.actions) for e in batch]
    foreign = [normalization.normalize(e.actions) for e in others]
    none = [normalization.normalize(np.zeros_like(e.actions)) for e in batch]
    sampler = {"seed": config.seed, "denoising_steps": config.denoising_steps}
    videos: dict[str, Sequence[Clip]] = {
        "imagined": imagine_twins(models.world, batch, own, **sampler),
        "shuffled": imagine_twins(models.world, batch, foreign, **sampler),
        "zero": imagine_twins(models.world, batch, none, **sampler),
        "round_trip": [round_trip(models.world, e, config.seed) for e in batch],
        "repeat": [repeat_first(e.frames) for e in batch],
    }
    if models.baseline is not None:
        statistics = load_normalization(Path(config.baseline_world_model))
        actions = [statistics.normalize(e.actions) for e in batch]
        videos["baseline"] = imagine_twins(models.baseline, batch, actions, **sampler)
    return videos


def frames_of(clip: Clip) -> Video:
    """The frames of a dream or of a video."""
    return clip.frames if isinstance(clip, Twin) else clip


@torch.no_grad()
def round_trip(model: WorldModel, episode: Trajectory, seed: int) -> Video:
    """The episode through the autoencoder: the best the world model could do."""
    frames = to_model(torch.from_numpy(episode.frames))
    rows = [(episode.start_id, index) for index in range(len(frames))]
    latents = model.encode(frames, row_generators(seed, "round trip", rows=rows))
    return to_pixels(model.decode(latents)).cpu().numpy()


def judge_row(
    config: JobConfig,
    run: Run,
    models: Models,
    scores: Scores,
    row: int,
    source: tuple[str, Trajectory],
    clips: dict[str, Clip],
) -> None:
    """Verdict and features of an episode's real and imagined videos; the dreams are stored."""
    assert models.judge is not None
    checkpoints = {"imagined": config.world_model, "baseline": config.baseline_world_model}
    known: dict[str, Clip] = {"real": source[1].frames, **clips}
    pairs = {
        name: judged_pair(models.judge, known[name], source, row, config)
        for name in scores.verdicts
    }
    for name, pair in pairs.items():
        scores.verdicts[name][row] = (pair.outcome.success, pair.outcome.end_step)
        if isinstance(models.judge, VideoReward):
            scores.describe(row, name, models.judge, pair.frames, models.world.chunk_size)
        if name in checkpoints and row < config.record_pairs:
            quality = scores.pixels[f"{name}/psnr"][row, : len(pair.actions)]
            run.record(named(pair, name, Path(checkpoints[name]), quality, pairs["real"]))


def judged_pair(
    judge: VideoReward | StateReward,
    clip: Clip,
    source: tuple[str, Trajectory],
    number: int,
    config: JobConfig,
) -> Trajectory:
    """A video of an episode as an episode of its own, with the verdict of the reward model.

    Args:
        source: the real episode, and the name of the run directory it is from; both are named in
            the lineage, so that the studio can show the two side by side.
        number: of the pair, for its id.
    """
    origin, real = source
    rules, video = get_task(real.task).judge, frames_of(clip)
    dream = (clip.latents, clip.actions) if isinstance(clip, Twin) else None
    ends, values = judge_clip(judge, video, rules, dream)
    found = outcome(ends, values, judge.success_threshold, rules, len(video))
    return Trajectory(
        id=f"{number:04d}-{real.id}",
        task=real.task,
        start_id=real.start_id,
        instruction=real.instruction,
        imagined=True,
        outcome=found,
        frames=video,
        actions=real.actions[: len(video) - 1],
        arrays={"window_ends": ends, "window_probabilities": values},
        lineage={
            "real": real.id,
            "real_run": origin,
            "real_success": real.outcome.success if real.judged else None,
            "real_end_step": real.outcome.end_step,
            "reward_model": checkpoint_hash(Path(config.reward_model)),
            "threshold": judge.success_threshold,
        },
    )


def named(
    pair: Trajectory, name: str, world_model: Path, quality: Array, real: Trajectory
) -> Trajectory:
    """A dream under the name of what imagined it, with its PSNR in dB by frame, from frame 1.

    Args:
        real: the real video as the same reward model judges it; `onset` is the frame from which
            it sees the two apart.
    """
    prefix, label = NAMES[name]
    ends, judged = pair.arrays["window_ends"], real.arrays["window_probabilities"]
    onset = verdict_onset(pair.arrays["window_probabilities"], judged)
    lineage = {
        "source": label,
        **pair.lineage,
        "world_model": checkpoint_hash(world_model),
        "psnr": quality.round(2).tolist(),
        "onset": None if onset is None else int(ends[onset]) - 1,
    }
    arrays = {**pair.arrays, "real_probabilities": judged}
    return dataclasses.replace(pair, id=f"{prefix}-{pair.id}"[:128], lineage=lineage, arrays=arrays)


def report(run: Run, scores: Scores, models: Models, sources: Sources) -> dict[str, Any]:
    """Log pixels by depth and all means; what the run returns, `curves` with all intervals."""
    for depth in range(scores.pixels["imagined/psnr"].shape[1]):
        columns = {name: values[:, depth] for name, values in scores.pixels.items()}
        there = {name: column[~np.isnan(column)] for name, column in columns.items()}
        point = {
            f"fidelity/{name.replace('/', '_')}": float(values.mean())
            for name, values in there.items()
            if len(values)
        }
        run.log(depth + 1, point)
    real = real_verdicts([episode for _, episode in sources])
    metrics = means(scores.pixels)
    judged = [name for name in ("imagined", "baseline") if name in scores.verdicts]
    for name in judged:
        prefix = "" if name == "imagined" else f"{name}_"
        metrics |= agreement(scores.verdicts[name], real, name=prefix)
    found = curves(scores, real, chunk_size=models.world.chunk_size, judged=judged)
    if "reward" in found:
        metrics["fidelity/reward_f1"] = found["reward"]["f1"]
        metrics["fidelity/false_success_rate"] = found["reward"]["false_success_rate"]
    run.log(0, metrics)
    notes = [] if load_backbone() is not None else [MISSING]
    if unknown := int((real[:, 0] == UNKNOWN).sum()):
        notes.append(
            f"of {unknown} of {len(real)} real episodes nobody has said how they ended: they count "
            "among all, and in no verdict"
        )
    return metrics | {"curves": found, "notes": notes}
