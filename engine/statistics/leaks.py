"""Which starts a checkpoint has learnt from, and the refusal to be tested on them.

A card's `starts` holds inclusive ranges of start ids, of everything up its lineage: a world model
that saw a test start leaks it to the policy that is trained inside.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.records.tasks import POOLS, pool_of

Ranges = list[list[int]]


def to_ranges(start_ids: Iterable[int]) -> Ranges:
    """Start ids as inclusive ranges, increasing; uploads (negative ids) are no starts."""
    ranges: Ranges = []
    for start_id in sorted({start_id for start_id in start_ids if start_id >= 0}):
        if ranges and ranges[-1][1] + 1 == start_id:
            ranges[-1][1] = start_id
        else:
            ranges.append([start_id, start_id])
    return ranges


def merge(*several: Sequence[Sequence[int]]) -> Ranges:
    """The union of ranges, as increasing ranges that do not touch."""
    merged: Ranges = []
    for low, high in sorted((low, high) for ranges in several for low, high in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    return merged


def overlap(ranges: Sequence[Sequence[int]], starts: range) -> int:
    """How many of the starts lie in the ranges."""
    return sum(max(0, min(high + 1, starts.stop) - max(low, starts.start)) for low, high in ranges)


def check_apart(who: str, ranges: Sequence[Sequence[int]], starts: range) -> None:
    """Refuse to test on what was learnt from.

    Raises:
        ValueError: some of the starts were learnt from.
    """
    shared = overlap(ranges, starts)
    if shared:
        raise ValueError(
            f"{who} learnt from {shared} of the {len(starts)} starts it would be tested on (pool "
            f"{pool_of(starts.start)}): choose another pool or other starts"
        )


def learnt_from(directory: Path) -> Ranges:
    """The starts a checkpoint's card names.

    A card older than that record names pools in its `data`, such as "coffee-push expert
    (demonstrations)": all of such a pool counts as learnt from, because any start may have been.
    """
    path = directory / "card.json"
    card: Mapping[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if "starts" in card:
        return merge(card["starts"])
    named = {pool for source in card.get("data", {}) for pool in re.findall(r"\((.+)\)", source)}
    return merge([[POOLS[pool].start, POOLS[pool].stop - 1] for pool in named & set(POOLS)])
