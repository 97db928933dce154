"""Records of episodes and their labels, as lists and players read them; plain JSON values."""

from typing import Any, TypedDict

from engine.records.types import Label
from storage.episodes.trajectories import EpisodeRow


class LabelRecord(TypedDict):
    """What a label says of its episode, and its name: all that a correction keeps."""

    event_id: str
    outcome: str | None
    dream_broke: bool | None
    end_step: int | None
    span_first: int | None
    span_last: int | None
    failure_mode: str | None
    note: str


class EpisodeRecord(TypedDict):
    """An episode as lists show it."""

    id: str
    task: str
    start_id: int
    imagined: bool
    success: bool
    judged: bool
    end_step: int
    num_actions: int
    probability: float | None
    threshold: float | None
    label: LabelRecord | None
    reward_model: str | None
    drift: float | None
    run: str | None
    iteration: int | None
    group: str | None
    member: int | None
    advantage: float | None
    reward: float | None
    created: float


class Clip(EpisodeRecord):
    """Everything about an episode that a player needs."""

    frames: list[str]
    actions: list[list[float]]
    chunk: int
    human: list[bool] | None
    lines: Any
    ends: list[int]
    probabilities: list[float]
    real_probabilities: list[float]
    instruction: str
    run_name: str | None
    lineage: dict[str, Any]
    replay: dict[str, Any]
    decisive: list[int]


class Members(TypedDict):
    """The episodes of a group."""

    members: list[EpisodeRecord]


def episode_record(row: EpisodeRow) -> EpisodeRecord:
    """An episode as lists show it."""
    return {
        "id": row.id,
        "task": row.task,
        "start_id": row.start_id,
        "imagined": row.imagined,
        "success": row.success,
        "judged": row.judged,
        "end_step": row.end_step,
        "num_actions": row.num_actions,
        "probability": row.probability,
        "threshold": row.threshold,
        "label": None if row.label is None else label_record(row.label),
        "reward_model": row.reward_model,
        "drift": row.drift,
        "run": row.run,
        "iteration": row.iteration,
        "group": row.group_name,
        "member": row.member,
        "advantage": row.advantage,
        "reward": row.reward,
        "created": row.created,
    }


def label_record(label: Label) -> LabelRecord:
    """What a label says of its episode."""
    return {
        "event_id": label.event_id,
        "outcome": label.outcome,
        "dream_broke": label.dream_broke,
        "end_step": label.end_step,
        "span_first": label.span_first,
        "span_last": label.span_last,
        "failure_mode": label.failure_mode,
        "note": label.note,
    }
