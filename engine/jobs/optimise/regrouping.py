"""Groups of a past iteration under new judgements: rewards, advantages, kept or dropped."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.learning.grpo import regrouped


def regroup(rows: Sequence[Mapping[str, Any]], *, low: float, high: float) -> list[dict[str, Any]]:
    """What GRPO would make of judged episodes that were imagined in groups.

    A group is *changed* if a member's outcome is, and *flipped* if it would be kept where it was
    dropped, or dropped where it was kept.

    Args:
        rows: judgements, as the job `rejudge` writes them; those without a group are left out.
        low, high: success rates between which a group is kept, inclusive.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["group"] is not None:
            groups.setdefault((row["run"], row["iteration"], row["group"]), []).append(row)
    return [_group(key, members, low=low, high=high) for key, members in groups.items()]


def _group(
    key: tuple[Any, ...], members: Sequence[Mapping[str, Any]], *, low: float, high: float
) -> dict[str, Any]:
    run, iteration, group = key
    was = members[0]["was_fate"]
    again = regrouped([row["success"] for row in members], low=low, high=high)
    return {
        "run": run,
        "iteration": iteration,
        "group": group,
        "was_fate": was,
        "fate": again.fate,
        "changed": any(row["success"] != row["was_success"] for row in members),
        "flipped": was is not None and (was == "kept") != (again.fate == "kept"),
        "members": [
            {
                "episode": row["episode"],
                "was_success": row["was_success"],
                "success": row["success"],
                "was_advantage": row["was_advantage"],
                "advantage": round(advantage, 4),
                "probability": max(row["probabilities"], default=None),
            }
            for row, advantage in zip(members, again.advantages, strict=True)
        ],
    }
