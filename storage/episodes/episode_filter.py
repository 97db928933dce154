"""Which episodes, and in which order: conditions over the index, never text from a user."""

import dataclasses
from dataclasses import dataclass
from typing import Any

LABELS = ("success", "fail", "unsure", "any", "none")

# Orders a caller may ask for. `outcome` is that of the label that stands, `queued` the time at
# which an episode was put into the label queue.
ORDERS = {
    "newest first": "created desc, id",
    "oldest first": "created, id",
    "by id": "id",
    "unlabelled first": "(label is not null), created desc, id",
    "most uncertain first": "(label is not null), abs(probability - threshold) nulls last, id",
    "closest to the threshold": "abs(probability - threshold) nulls last, id",
    "most disagreement": "abs(probability - (outcome = 'success')::integer) desc nulls last, id",
    "largest drift": "drift desc nulls last, id",
    "queue first": "(label is not null), queued nulls last, created desc, id",
}

# The label, and whatever else is known of an episode outside its row, of one pool of labels.
JOINED = (
    "from episodes left join (select episode_id, event, outcome, dream_broke"
    " from current_labels where guest = ?) as current on current.episode_id = episodes.id"
    " left join label_queue on label_queue.episode_id = episodes.id"
)
JUDGED = "not coalesce(json_extract_string(lineage, 'unjudged')::boolean, false)"
_CLAUSES = {
    "task": "task = ?",
    "imagined": "imagined = ?",
    "run": "run = ?",
    "iteration": "iteration = ?",
    "policy": "policy = ?",
    "world_model": "world_model = ?",
    "reward_model": "reward_model = ?",
    "success": "success = ?",
    "probability_from": "probability >= ?",
    "probability_to": "probability <= ?",
    "created_from": "created >= ?",
    "created_to": "created < ?",
    "real_success": "json_extract_string(lineage, 'real_success')::boolean = ?",
    "failure_mode": "json_extract_string(event, 'failure_mode') = ?",
    "dream_broke": "coalesce(dream_broke, false) = ?",
}
_DISAGREEMENT = "outcome in ('success', 'fail') and (outcome = 'success') <> success"

_ASIDE = (
    "coalesce(json_extract_string(lineage, 'real_success'), json_extract_string(lineage, 'probe'))"
    " is not null"
)


@dataclass(frozen=True, kw_only=True)
class EpisodeFilter:
    """Which episodes; None means any. `guest` says whose labels count.

    Attributes:
        success: the verdict of the reward model, or of the simulator for a real episode.
        real_success: whether its real twin succeeded, of pairs that fidelity stored.
        probability_from, probability_to: bounds of the largest success probability, inclusive.
        created_from, created_to: seconds since the epoch, the latter exclusive.
        label: one of `LABELS`: what a person said.
        disagreement: whether a person's success or failure contradicts the verdict.
        judged: whether a model, a simulator or its recording said how it ended.
        queued: whether it was put into the label queue.
        groups: only members of a group, or only others.
        aside: only what a measurement put beside others, such as a dream with a real twin or a
            probe of a checkpoint, or only the rest.
    """

    task: str | None = None
    imagined: bool | None = None
    run: str | None = None
    iteration: int | None = None
    policy: str | None = None
    world_model: str | None = None
    reward_model: str | None = None
    success: bool | None = None
    real_success: bool | None = None
    probability_from: float | None = None
    probability_to: float | None = None
    created_from: float | None = None
    created_to: float | None = None
    failure_mode: str | None = None
    dream_broke: bool | None = None
    labelled: bool | None = None
    label: str | None = None
    disagreement: bool | None = None
    judged: bool | None = None
    queued: bool | None = None
    groups: bool | None = None
    aside: bool | None = None
    guest: bool = False

    def __post_init__(self) -> None:
        if self.label is not None and self.label not in LABELS:
            raise ValueError(f"label must be one of {', '.join(LABELS)}, not {self.label!r}")

    def where(self) -> tuple[str, list[Any]]:
        """A `where` clause over `JOINED` (or nothing), and its values."""
        asked = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values = [asked[name] for name in _CLAUSES if asked[name] is not None]
        clauses = [clause for name, clause in _CLAUSES.items() if asked[name] is not None]
        for wanted, clause in (
            (self.labelled, "event is not null"),
            (self.disagreement, f"coalesce({_DISAGREEMENT}, false)"),
            (self.queued, "queued is not null"),
            (self.judged, JUDGED),
            (self.groups, "group_name is not null"),
            (self.aside, _ASIDE),
        ):
            if wanted is not None:
                clauses.append(clause if wanted else f"not ({clause})")
        match self.label:
            case None:
                pass
            case "any" | "none":
                clauses.append(f"event is {'not ' if self.label == 'any' else ''}null")
            case outcome:
                clauses.append("outcome = ?")
                values.append(outcome)
        return (f"where {' and '.join(clauses)}" if clauses else ""), values


def order_clause(order: str) -> str:
    """The `order by` of one of `ORDERS`.

    Raises:
        ValueError: another order.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    return f"order by {ORDERS[order]}"
