"""What one iteration of `optimise` imagined, and how it is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.jobs.optimise.groups import Attempt, Groups, RealGroups
from engine.jobs.optimise.update import Credit, PolicyUpdate
from engine.protocols import Run
from engine.records.states import Fate
from engine.records.types import Trajectory


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """Attempts with what they are worth, before the update.

    Attributes:
        returns, advantages: of the attempts, [b].
        fates: why each group (a start) is kept or dropped.
        kept: rows that the update learns from.
        weights: hash of the policy that acted.
    """

    number: int
    attempts: Sequence[Attempt]
    returns: Tensor
    advantages: Tensor
    fates: Mapping[Any, Fate]
    kept: Sequence[int]
    weights: str | None

    def told_fates(self) -> dict[Any, Fate]:
        """`fates`, but `surplus` for a group that was fit to be kept when there were enough."""
        used = {self.attempts[row].start_id for row in self.kept}
        return {
            group: Fate.SURPLUS if fate is Fate.KEPT and group not in used else fate
            for group, fate in self.fates.items()
        }


def nothing_learnt(rewarded: Sequence[bool], starts: Sequence[Any], kept: Sequence[int]) -> str:
    """Why no update came of an iteration, and what to do; empty where one did.

    Groups whose members ended alike have no advantages, however many of them are kept.
    """
    endings: dict[Any, set[bool]] = {}
    for start, success in zip(starts, rewarded, strict=True):
        endings.setdefault(start, set()).add(bool(success))
    if any(len(seen) > 1 for seen in endings.values()):
        return "" if kept else "every group was dropped, nothing was learnt"
    every = set().union(*endings.values())
    alike = "whatever started alike ended alike"
    what = "raise the temperature or the size of a group"
    if every == {True}:
        alike = f"all {len(starts)} were judged successes"
        what = "label more failures and retrain the judge, or raise its threshold on Reward"
    elif every == {False}:
        alike = f"all {len(starts)} were judged failures"
        what = "train the policy or the judge for longer, or lower the threshold on Reward"
    return f"nothing was learnt, for {alike}: {what}"


def record(
    done: Iteration,
    groups: Groups,
    update: PolicyUpdate,
    run: Run,
    *,
    hashes: Mapping[str, str],
    most: int,
) -> None:
    """Store episodes: every real one, for the ledger; of `most` imagined groups, kept ones first.

    Called after the update, so that an episode can tell of each chunk how much likelier it has
    become; where nothing was learnt, there is nothing to tell.
    """
    fates = done.told_fates()
    stored = list(fates)
    if not isinstance(groups, RealGroups):
        stored = sorted(fates, key=lambda group: fates[group] != "kept")[:most]
    if isinstance(groups, RealGroups) and not groups.recorded:
        _count(done, groups, run)
        return
    chosen = [row for row, attempt in enumerate(done.attempts) if attempt.start_id in stored]
    for row, credit in zip(chosen, _credits(done, update, chosen), strict=True):
        attempt = done.attempts[row]
        lineage = {
            "iteration": done.number + 1,
            "group": attempt.start_id,
            "member": attempt.member,
            "reward": done.returns[row].item(),
            "advantage": done.advantages[row].item(),
            "fate": fates[attempt.start_id],
            **hashes,
        }
        acted = {**hashes, "policy": done.weights}
        episode = groups.trajectory(attempt, done.number, lineage, acted)
        run.record(episode if credit is None else _add_credit(episode, credit))


def _count(done: Iteration, groups: RealGroups, run: Run) -> None:
    """Enter episodes that were played and not recorded in the ledger, each once."""
    for attempt in done.attempts:
        run.count_real(
            task=groups.task.name,
            start_id=attempt.start_id,
            use="policy",
            policy=f"iteration {done.number}, member {attempt.member}",
            success=attempt.outcome.success,
        )


def _credits(
    done: Iteration, update: PolicyUpdate, chosen: Sequence[int]
) -> Sequence[Credit | None]:
    if not done.kept or not chosen:
        return [None] * len(chosen)
    seen = torch.zeros_like(done.advantages)
    seen[list(done.kept)] = done.advantages[list(done.kept)]
    return update.credit([done.attempts[row] for row in chosen], seen[list(chosen)])


def _add_credit(episode: Trajectory, credit: Credit) -> Trajectory:
    arrays = {"log_ratio": credit.log_ratio, "clipped": credit.clipped}
    return replace(episode, arrays={**episode.arrays, **arrays})
