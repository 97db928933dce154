"""In which order a queue asks for judgements, and what each clip of a sample stands for.

Pure functions of candidates. The model's verdict of one is `success`; where a person has judged
it, that judgement takes its place.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Key = tuple[object, ...]

BINS = (0.0, 0.2, 0.4, 0.6, 0.8)  # lower edges of the probability bins of strata
LOW, HIGH = 0.1, 0.9  # paper: groups whose share of successes lies between these are trained on
SAMPLES = ("random", "stratified")  # orders whose judgements estimate the whole population


class Candidate(NamedTuple):
    """What an order has to know of an episode, and no more: there may be 100,000 of them.

    Attributes:
        outcome, failure_mode: of the label that stands, where there is one.
        the rest: as in `storage.episodes.trajectories.EpisodeRow`.
    """

    id: str
    task: str
    start_id: int
    imagined: bool
    success: bool
    probability: float | None
    threshold: float | None
    run: str | None
    iteration: int | None
    group_name: str | None
    policy: str | None
    world_model: str | None
    outcome: str | None = None
    failure_mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """An episode in a queue.

    Attributes:
        stratum: the part of the population from which it was drawn at random.
        weight: how many episodes of the population it stands for; 1 where nothing was drawn.
        gold: the known answer of a calibration clip, `success` or `fail`.
    """

    episode_id: str
    stratum: str = ""
    weight: float = 1.0
    gold: str | None = None


def rank(
    order: str,
    rows: Sequence[Candidate],
    *,
    relatives: Sequence[Candidate],
    limit: int,
    seed: int,
) -> list[Place]:
    """The first `limit` episodes in an order of `ORDERS`; the same rows and seed, the same places.

    Args:
        relatives: every episode that may share a start or a group with one of the rows.

    Raises:
        ValueError: another order.
    """
    if order not in ORDERS and order not in SAMPLES:
        raise ValueError(f"order must be one of {', '.join((*SAMPLES, *ORDERS))}, not {order!r}")
    if order in SAMPLES:
        rows = sorted(rows, key=lambda row: row.id)
        strata = [_stratum(row) if order == "stratified" else "all" for row in rows]
        return draw([row.id for row in rows], strata, limit=limit, seed=seed)
    keys = ORDERS[order](rows, relatives)
    numbered = ((*key, row.id) for key, row in zip(keys, rows, strict=True))
    return [Place(episode_id=str(key[-1])) for key in heapq.nsmallest(limit, numbered)]


def draw(ids: Sequence[str], strata: Sequence[str], *, limit: int, seed: int) -> list[Place]:
    """A stratified random sample: as many of each stratum as there can be, in turn.

    Every beginning of the result is such a sample too, so that judging may stop at any time.
    """
    generator = np.random.default_rng(seed)
    members: dict[str, list[str]] = {}
    for index in generator.permutation(len(ids)):
        members.setdefault(strata[index], []).append(ids[index])
    turns = sorted(
        (place, stratum) for stratum, names in members.items() for place in range(len(names))
    )[:limit]
    drawn = {stratum: sum(name == stratum for _, name in turns) for stratum in members}
    return [
        Place(
            episode_id=members[stratum][place],
            stratum=stratum,
            weight=len(members[stratum]) / drawn[stratum],
        )
        for place, stratum in turns
    ]


def advantages(success: Bools) -> Numbers:
    """GRPO's advantages [g] of one group; zeros where the group is dropped (method.md §4.2)."""
    if len(success) < 2 or not LOW <= success.mean() <= HIGH:
        return np.zeros(len(success))
    returns = success.astype(np.float64)
    # paper: Algorithm 1 divides by g; the released code by g - 1. The scale of returns cancels.
    return (returns - returns.mean()) / (returns.std(ddof=1) + 1e-6)


@lru_cache(maxsize=4096)
def leverage(size: int, successes: int) -> tuple[float, float]:
    """How far the flip of a failure, and of a success, moves its group's advantages.

    The sum of all members' changes; members of one verdict are alike.
    """
    verdicts = np.arange(size) < successes
    before = advantages(verdicts)

    def moved(member: int) -> float:
        flipped = np.where(np.arange(size) == member, ~verdicts, verdicts)
        return float(np.abs(advantages(flipped) - before).sum())

    flips = moved(size - 1) if successes < size else 0.0, moved(0) if successes else 0.0
    return round(flips[0], 9), round(flips[1], 9)


def _uncertainty(row: Candidate) -> float:
    """Distance from the threshold; infinite where no probability is known."""
    if row.probability is None or row.threshold is None:
        return np.inf
    return abs(row.probability - row.threshold)


def _said(row: Candidate) -> bool | None:
    """What a person said of success, if anything."""
    return None if row.outcome not in ("success", "fail") else row.outcome == "success"


def _believed(row: Candidate) -> bool:
    said = _said(row)
    return row.success if said is None else said


def _by_uncertainty(rows: Sequence[Candidate], _: Sequence[Candidate]) -> list[Key]:
    return [(_uncertainty(row),) for row in rows]


def _by_disagreement(rows: Sequence[Candidate], _: Sequence[Candidate]) -> list[Key]:
    """Contradicted verdicts first, the most confident of them foremost; unjudged clips last."""

    def key(row: Candidate) -> Key:
        said = _said(row)
        if said is None:
            return (2, 0.0)
        probability = float(row.success) if row.probability is None else row.probability
        return (int(said == row.success), -abs(probability - said))

    return [key(row) for row in rows]


def _by_seed(rows: Sequence[Candidate], relatives: Sequence[Candidate]) -> list[Key]:
    """Starts whose futures differ most in their verdicts first; futures of one start together."""

    def start(row: Candidate) -> Key:
        # An uploaded picture of no number is a start of its own.
        own = row.id if row.start_id == -1 else ""
        return (row.task, row.start_id, row.imagined, row.policy, row.world_model, own)

    verdicts: dict[Key, list[bool]] = {}
    for row in relatives:
        verdicts.setdefault(start(row), []).append(row.success)
    share = {key: float(np.mean(values)) for key, values in verdicts.items()}
    return [
        (-share[start(row)] * (1 - share[start(row)]), str(start(row)), _uncertainty(row))
        for row in rows
    ]


def _by_leverage(rows: Sequence[Candidate], relatives: Sequence[Candidate]) -> list[Key]:
    """Members whose flip moves their group's advantages most; judged ones can move nothing."""

    def group(row: Candidate) -> Key:
        return row.run, row.iteration, row.group_name

    sizes = Counter(group(row) for row in relatives)
    successes = Counter(group(row) for row in relatives if _believed(row))

    def moved(row: Candidate) -> float:
        if row.group_name is None or _said(row) is not None:
            return 0.0
        own = group(row)
        return leverage(sizes[own], successes[own])[row.success]

    return [(-moved(row), _uncertainty(row)) for row in rows]


def _by_failure_mode(rows: Sequence[Candidate], _: Sequence[Candidate]) -> list[Key]:
    """Clips of one failure mode together, the rarest mode first; those without one last."""
    modes = [row.failure_mode for row in rows]
    counts = Counter(modes)
    return [(mode is None, counts[mode], mode or "") for mode in modes]


def _stratum(row: Candidate) -> str:
    verdict = "success" if row.success else "fail"
    if row.probability is None:
        return f"{verdict}, no probability"
    return f"{verdict}, from {max(edge for edge in BINS if edge <= row.probability):.1f}"


ORDERS: dict[str, Callable[[Sequence[Candidate], Sequence[Candidate]], list[Key]]] = {
    "uncertainty": _by_uncertainty,
    "human-model disagreement": _by_disagreement,
    "seed disagreement": _by_seed,
    "GRPO leverage": _by_leverage,
    "failure mode": _by_failure_mode,
}
