"""In which order a queue asks for judgements, and what each clip of a sample stands for.

Pure functions of index rows. The model's verdict of a row is `success`; where a person has judged
it, that judgement takes its place.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from storage.episodes.trajectories import EpisodeRow

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
Key = tuple[object, ...]

BINS = (0.0, 0.2, 0.4, 0.6, 0.8)  # lower edges of the probability bins of strata
LOW, HIGH = 0.1, 0.9  # paper: groups whose share of successes lies between these are trained on
SAMPLES = ("random", "stratified")  # orders whose judgements estimate the whole population


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
    rows: Sequence[EpisodeRow],
    *,
    relatives: Sequence[EpisodeRow],
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
    rows = sorted(rows, key=lambda row: row.id)
    if order in SAMPLES:
        strata = [_stratum(row) if order == "stratified" else "all" for row in rows]
        return draw([row.id for row in rows], strata, limit=limit, seed=seed)
    keys = ORDERS[order](rows, relatives)
    chosen = sorted(range(len(rows)), key=lambda index: (*keys[index], rows[index].id))
    return [Place(episode_id=rows[index].id) for index in chosen[:limit]]


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


def leverage(success: Bools) -> Numbers:
    """How far [g] each member's flip would move the advantages of its group: sum of changes."""
    failure, won = _moves(len(success), int(success.sum()))
    return np.where(success, won, failure)


@lru_cache(maxsize=4096)
def _moves(size: int, successes: int) -> tuple[float, float]:
    """What the flip of a failure moves, and of a success: members of one verdict are alike."""
    verdicts = np.arange(size) < successes
    before = advantages(verdicts)

    def moved(member: int) -> float:
        flipped = np.where(np.arange(size) == member, ~verdicts, verdicts)
        return float(np.abs(advantages(flipped) - before).sum())

    return moved(size - 1) if successes < size else 0.0, moved(0) if successes else 0.0


def _uncertainty(row: EpisodeRow) -> float:
    """Distance from the threshold; infinite where no probability is known."""
    if row.probability is None or row.threshold is None:
        return np.inf
    return abs(row.probability - row.threshold)


def _said(row: EpisodeRow) -> bool | None:
    """What a person said of success, if anything."""
    outcome = row.label.outcome if row.label else None
    return None if outcome not in ("success", "fail") else outcome == "success"


def _believed(row: EpisodeRow) -> bool:
    said = _said(row)
    return row.success if said is None else said


def _by_uncertainty(rows: Sequence[EpisodeRow], _: Sequence[EpisodeRow]) -> list[Key]:
    return [(_uncertainty(row),) for row in rows]


def _by_disagreement(rows: Sequence[EpisodeRow], _: Sequence[EpisodeRow]) -> list[Key]:
    """Contradicted verdicts first, the most confident of them foremost; unjudged clips last."""

    def key(row: EpisodeRow) -> Key:
        said = _said(row)
        if said is None:
            return (2, 0.0)
        probability = float(row.success) if row.probability is None else row.probability
        return (int(said == row.success), -abs(probability - said))

    return [key(row) for row in rows]


def _by_seed(rows: Sequence[EpisodeRow], relatives: Sequence[EpisodeRow]) -> list[Key]:
    """Starts whose futures differ most in their verdicts first; futures of one start together."""

    def start(row: EpisodeRow) -> Key:
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


def _by_leverage(rows: Sequence[EpisodeRow], relatives: Sequence[EpisodeRow]) -> list[Key]:
    """Members whose flip moves their group's advantages most; judged ones can move nothing."""
    groups: dict[Key, list[EpisodeRow]] = {}
    for row in relatives:
        if row.group_name is not None:
            groups.setdefault((row.run, row.iteration, row.group_name), []).append(row)
    moved: dict[str, float] = {}
    for members in groups.values():
        moves = leverage(np.array([_believed(row) for row in members]))
        moved |= {
            row.id: 0.0 if _said(row) is not None else round(float(move), 9)
            for row, move in zip(members, moves, strict=True)
        }
    return [(-moved.get(row.id, 0.0), _uncertainty(row)) for row in rows]


def _by_failure_mode(rows: Sequence[EpisodeRow], _: Sequence[EpisodeRow]) -> list[Key]:
    """Clips of one failure mode together, the rarest mode first; those without one last."""
    modes = [row.label.failure_mode if row.label else None for row in rows]
    counts = Counter(modes)
    return [(mode is None, counts[mode], mode or "") for mode in modes]


def _stratum(row: EpisodeRow) -> str:
    verdict = "success" if row.success else "fail"
    if row.probability is None:
        return f"{verdict}, no probability"
    return f"{verdict}, from {max(edge for edge in BINS if edge <= row.probability):.1f}"


ORDERS: dict[str, Callable[[Sequence[EpisodeRow], Sequence[EpisodeRow]], list[Key]]] = {
    "uncertainty": _by_uncertainty,
    "human-model disagreement": _by_disagreement,
    "seed disagreement": _by_seed,
    "GRPO leverage": _by_leverage,
    "failure mode": _by_failure_mode,
}
