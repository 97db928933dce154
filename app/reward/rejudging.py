"""A past iteration judged anew: outcomes, rewards, advantages and which groups would be kept."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.episodes.groups import bounds, by_group, group_words
from app.reward.cases import cut_short, rules, whole_frames, windows
from engine.config import Config, knob
from engine.learning.grpo import regrouped
from engine.records.states import Fate
from engine.reward.judge import outcome
from storage.cabinet import Cabinet
from storage.episodes.episode_filter import EpisodeFilter
from storage.episodes.trajectories import EpisodeRow
from storage.episodes.windows import ScoredEpisode

LOWEST = 0.001  # success threshold


@dataclass(frozen=True, kw_only=True)
class JudgeAnew(Config):
    """An iteration at another threshold."""

    run: str = knob(help="its id; empty: episodes without a run")
    iteration: int = knob(help="its number", low=0, high=2**31 - 1)
    threshold: float = knob(help="of success", low=LOWEST, high=1.0)
    reward_model: str | None = knob(None, "its hash; without one each episode's own")


def rejudge(cabinet: Cabinet, question: JudgeAnew) -> dict[str, Any]:
    """{groups, …} of an iteration: before and after, side by side.

    The probabilities are stored, so no model is needed. A member that the reward model did not
    judge keeps its outcome. A dream that was cut short at a success of that time and does not reach
    the new threshold counts as a failure: nobody imagined how it would have gone on.

    Raises:
        ValueError: nothing to judge there.
    """
    began = time.perf_counter()
    run, iteration, threshold = question.run, question.iteration, question.threshold
    wanted = EpisodeFilter(run=run or None, iteration=iteration, groups=True)
    rows = [
        row for row in cabinet.trajectories.episodes(wanted, order="by id") if run or not row.run
    ]
    if not rows:
        raise ValueError(f"no group of iteration {iteration} of {run or 'no run'} is stored")
    model = question.reward_model
    models = sorted({row.reward_model or "" for row in rows}) if model is None else [model]
    scored = {one.id: one for name in models for one in cabinet.windows.scored(name, wanted)}
    if not any(row.id in scored for row in rows):
        raise ValueError("no stored probability of that reward model: let it judge them first")
    low, high = bounds(cabinet.runs.get(run).config if run else {})
    shown = [
        _group(members, scored, threshold, low=low, high=high)
        for members in by_group(rows).values()
    ]
    return {
        "run": run,
        "iteration": iteration,
        "threshold": threshold,
        "before": rows[0].threshold,
        "groups": shown,
        "episodes": len(rows),
        "flipped_groups": sum(group["flips"] for group in shown),
        "flipped_episodes": sum(one["flips"] for group in shown for one in group["members"]),
        "cut": sum(one["cut"] for group in shown for one in group["members"]),
        "unjudged": sum(row.id not in scored for row in rows),
        "seconds": round(time.perf_counter() - began, 4),
    }


def _group(
    members: Sequence[EpisodeRow],
    scored: Mapping[str, ScoredEpisode],
    threshold: float,
    *,
    low: float,
    high: float,
) -> dict[str, Any]:
    found = [_judged(row, scored.get(row.id), threshold) for row in members]
    wins = sum(one["success"] for one in found)
    again = regrouped([one["success"] for one in found], low=low, high=high)
    before = group_words(members, low=low, high=high)
    after = {"kept": again.fate is Fate.KEPT, "successes": wins}
    return {
        "group": members[0].group_name,
        "start_id": members[0].start_id,
        "before": {"kept": before["kept"], "successes": sum(row.success for row in members)},
        "after": after,
        "flips": before["kept"] != after["kept"],
        "members": [
            {
                "episode": row.id,
                "probability": row.probability,
                "before": {
                    "success": row.success,
                    "end_step": row.end_step,
                    "reward": row.reward,
                    "advantage": row.advantage,
                },
                "after": {**one, "reward": reward, "advantage": round(advantage, 4)},
                "flips": row.success != one["success"],
                "cut": row.id in scored and cut_short(scored[row.id]) and not one["success"],
            }
            for row, one, reward, advantage in zip(
                members, found, again.rewards, again.advantages, strict=True
            )
        ],
    }


def _judged(row: EpisodeRow, scored: ScoredEpisode | None, threshold: float) -> dict[str, Any]:
    """{success, end_step} at a threshold; as stored where nothing was judged."""
    if scored is None:
        return {"success": row.success, "end_step": row.end_step}
    found = outcome(*windows(scored), threshold, rules(scored), whole_frames(scored))
    return {"success": found.success, "end_step": min(found.end_step, row.num_actions)}
