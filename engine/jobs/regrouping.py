"""Groups of a past iteration under new judgements: rewards, advantages, kept or dropped."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from engine import grpo


def regroup(rows: Sequence[Mapping[str, Any]], *, low: float, high: float) -> list[dict[str, Any]]:
    """What GRPO would make of judged episodes that were imagined in groups.

    A group is *changed* if a member's outcome is, and *flipped* if it would be kept where it was
    dropped, or dropped where it was kept.

    Args:
        rows: judgements, as the job `rejudge` writes them; those without a group are left out.
        low, high: success rates between which a group is kept, inclusive.
    """
    members = [row for row in rows if row["group"] is not None]
    keys = [(row["run"], row["iteration"], row["group"]) for row in members]
    success = torch.tensor([bool(row["success"]) for row in members], dtype=torch.bool)
    fates = grpo.group_fates(success, keys, low=low, high=high)
    advantages = grpo.group_advantages(grpo.success_returns(success), keys).tolist()
    return [
        _group(key, [members[i] for i in index], [advantages[i] for i in index], fates[key])
        for key, index in grpo.group_rows(keys, len(keys)).items()
    ]


def _group(
    key: Any, members: Sequence[Mapping[str, Any]], advantages: Sequence[float], fate: str
) -> dict[str, Any]:
    run, iteration, group = key
    was = members[0]["was_fate"]
    return {
        "run": run,
        "iteration": iteration,
        "group": group,
        "was_fate": was,
        "fate": fate,
        "changed": any(row["success"] != row["was_success"] for row in members),
        "flipped": was is not None and (was == "kept") != (fate == "kept"),
        "members": [
            {
                "episode": row["episode"],
                "was_success": row["was_success"],
                "success": row["success"],
                "was_advantage": row["was_advantage"],
                "advantage": round(advantage, 4),
                "probability": max(row["probabilities"], default=None),
            }
            for row, advantage in zip(members, advantages, strict=True)
        ],
    }
