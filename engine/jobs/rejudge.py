"""Judge stored episodes anew, with another reward model or another threshold.

The episodes stay as they are: what was found is kept beside the run, a batch at a time, so that a
killed run goes on where it was. Of episodes that were imagined in groups it also says how GRPO
would have seen them: outcome, advantage, and whether the group would have been kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from engine.config import Config, knob
from engine.device import Placement
from engine.jobs.optimise.regrouping import regroup
from engine.loading.models import load_judge
from engine.protocols import Run
from engine.records.episodes import index_id, list_episodes, read_episode, read_record, read_windows
from engine.records.tasks import get_task
from engine.reward.classifier import VideoReward
from engine.reward.judge import outcome
from engine.reward.scores import Windowed, judge_clip
from engine.reward.states import StateReward
from engine.runs.names import GROUPS

BATCHES = "judgements"
DREAMT = ("latents", "normalized_actions")  # what a judge of states reads of a dream, if it is kept


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which episodes are judged, and by what."""

    reward_model: str = knob("", "Reward model checkpoint; empty: the stored probabilities")
    threshold: float = knob(
        0.0, "Probability counted as success; 0: the reward model's own", low=0.0, high=1.0
    )
    episodes_from: tuple[str, ...] = knob((), "Run directories whose episodes are judged")
    iteration: int = knob(0, "Only episodes of this iteration; 0: of all", low=0)
    keep_low: float = knob(0.1, "Groups below this success rate are dropped", low=0.0, high=1.0)
    keep_high: float = knob(0.9, "Groups above this success rate are dropped", low=0.0, high=1.0)
    batch_size: int = knob(16, "Episodes whose judgements are kept together", low=1)


@dataclass(frozen=True)
class _Stored:
    """An episode on disk.

    Attributes:
        id: its studio-wide name.
        run: name of its run directory.
        windows: as they were judged, where the stored probabilities are used.
    """

    id: str
    run: str | None
    directory: Path
    record: Mapping[str, Any]
    windows: Windowed | None


class _Judge:
    """Judges one stored episode after the other."""

    def __init__(self, config: JobConfig, placement: Placement) -> None:
        self._model: VideoReward | StateReward | None = None
        self.threshold = config.threshold
        if config.reward_model:
            self._model = load_judge(Path(config.reward_model), placement)
            self.threshold = config.threshold or self._model.success_threshold
        elif not config.threshold:
            raise ValueError("rejudge needs a reward_model, a threshold, or both")

    def judge(self, stored: _Stored) -> dict[str, Any]:
        """The judgement of an episode, and what had been said of it before."""
        record = stored.record
        ends, probabilities = self._windows(stored)
        found = outcome(
            ends,
            probabilities,
            self.threshold,
            get_task(record["task"]).judge,
            record["num_actions"] + 1,
        )
        lineage = record["lineage"]
        return {
            "episode": stored.id,
            "run": stored.run or lineage.get("run"),
            "imagined": record["imagined"],
            "success": found.success,
            "end_step": found.end_step,
            "was_success": record["success"],
            "was_end_step": record["end_step"],
            "was_advantage": lineage.get("advantage"),
            "was_fate": lineage.get("fate"),
            "iteration": lineage.get("iteration"),
            "group": lineage.get("group"),
            "ends": ends.tolist(),
            "probabilities": [round(float(value), 6) for value in probabilities],
        }

    def _windows(self, stored: _Stored) -> Windowed:
        if self._model is None:
            assert stored.windows is not None
            return stored.windows
        episode = read_episode(stored.directory)
        dream = None
        if all(name in episode.arrays for name in DREAMT):
            latents, actions = (torch.from_numpy(episode.arrays[name]) for name in DREAMT)
            dream = latents, actions
        return judge_clip(self._model, episode.frames, get_task(episode.task).judge, dream)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Judge what is not judged yet; then regroup."""
    judge = _Judge(config, run.placement)
    episodes = list(_read_stored(config))
    if not episodes:
        raise ValueError("there are no episodes to judge")
    kept = run.documents(BATCHES)
    done = {row["episode"] for batch in kept.values() for row in batch["rows"]}
    waiting = [stored for stored in episodes if stored.id not in done]
    clock, windows = monotonic(), 0
    for number, first in enumerate(range(0, len(waiting), config.batch_size), start=len(kept)):
        if run.stop_requested or run.pause_requested:
            return None
        rows = [judge.judge(stored) for stored in waiting[first : first + config.batch_size]]
        run.write_document(f"{BATCHES}-{number:06d}", {"rows": rows})
        windows += sum(len(row["ends"]) for row in rows)
        done |= {row["episode"] for row in rows}
        run.progress(len(done), len(episodes))
    seconds = monotonic() - clock
    rows = [row for batch in run.documents(BATCHES).values() for row in batch["rows"]]
    groups = regroup(rows, low=config.keep_low, high=config.keep_high)
    run.write_document(GROUPS, {"groups": groups})
    metrics = _counts(rows, groups) | {"rejudge/success_threshold": judge.threshold}
    if waiting:
        metrics["rejudge/episodes_per_second"] = len(waiting) / seconds
        metrics["rejudge/windows_per_second"] = windows / seconds
    run.log(len(rows), metrics)
    return metrics


def _read_stored(config: JobConfig) -> Iterator[_Stored]:
    """The episodes to be judged, by directory and id; those never judged have no probabilities to
    apply a threshold to, and are left out without a model."""
    for name in config.episodes_from:
        root = Path(name)
        inside = root / "episodes"
        run = root.name if inside.is_dir() else None
        for directory in list_episodes(inside if run else root):
            record = read_record(directory)
            if config.iteration and record["lineage"].get("iteration") != config.iteration:
                continue
            windows = None if config.reward_model else read_windows(directory)
            if config.reward_model or windows is not None:
                yield _Stored(index_id(run, directory.name), run, directory, record, windows)


def _counts(
    rows: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    return {
        "rejudge/episodes": float(len(rows)),
        "rejudge/to_success": float(sum(r["success"] and not r["was_success"] for r in rows)),
        "rejudge/to_failure": float(sum(r["was_success"] and not r["success"] for r in rows)),
        "rejudge/groups": float(len(groups)),
        "rejudge/groups_changed": float(sum(group["changed"] for group in groups)),
        "rejudge/groups_flipped": float(sum(group["flipped"] for group in groups)),
    }
