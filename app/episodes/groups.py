"""Groups of an iteration: which were kept and why, and what other verdicts would make of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.records.states import Fate
from storage.episodes.trajectories import EpisodeRow

KEEP_LOW, KEEP_HIGH = 0.1, 0.9  # success rates of a kept group, where a run does not say


def bounds(config: Mapping[str, Any]) -> tuple[float, float]:
    """Success rates between which a run of this config keeps a group, inclusive."""
    return config.get("keep_low", KEEP_LOW), config.get("keep_high", KEEP_HIGH)


def by_group(rows: Sequence[EpisodeRow]) -> dict[str, list[EpisodeRow]]:
    """Group name -> its members in order; the groups by name."""
    groups: dict[str, list[EpisodeRow]] = {}
    for row in sorted(rows, key=lambda row: (str(row.group_name), row.member or 0, row.id)):
        groups.setdefault(str(row.group_name), []).append(row)
    return groups


def group_words(members: Sequence[EpisodeRow], *, low: float, high: float) -> dict[str, Any]:
    """{start_id, kept, reason} of a group; where it does not say its fate, the bounds decide."""
    wins = sum(row.success for row in members)
    told = members[0].lineage.get("fate")
    if told is None:
        rate = wins / len(members)
        told = Fate.TOO_FEW if rate < low else Fate.TOO_MANY if rate > high else Fate.KEPT
    return {"start_id": members[0].start_id, **fate_words(Fate(told), wins, len(members))}


def fate_words(fate: Fate, wins: int, total: int) -> dict[str, Any]:
    """{kept, reason} of a group of which so many succeed."""
    how = {0: "all fail", total: f"all {total} succeed"}
    words = how.get(wins, f"{wins} of {total} succeed")
    enough = ", but enough groups came first" if fate is Fate.SURPLUS else ""
    kept = fate is Fate.KEPT
    return {"kept": kept, "reason": f"{'kept' if kept else 'dropped'}, {words}{enough}"}
