"""Strokes: what a person said with one key each, in a batch, in order."""

from dataclasses import dataclass
from typing import Any

from app.judging.labelling import Labelling
from app.judging.preferences import Preferences


@dataclass(frozen=True)
class Judging:
    """The door of every label: what is said of one clip, and of two."""

    labels: Labelling
    pairs: Preferences


def judge_strokes(
    judging: Judging, question: dict[str, Any], *, actor: str = "local"
) -> dict[str, Any]:
    """Store a batch of strokes in order: a label, or {event_id, undo: event id of the label}.

    With `pair`, a stroke is a preference or the undo of one. It may name its own `actor`. One
    that cannot be stored is answered {event_id, refused} and does not stop the others.
    """
    return {"acks": [_stroke(judging, dict(stroke), actor) for stroke in question["strokes"]]}


def _stroke(judging: Judging, stroke: dict[str, Any], actor: str) -> dict[str, Any]:
    actor = str(stroke.pop("actor", actor))
    said = judging.pairs if stroke.pop("pair", False) else judging.labels
    try:
        if "undo" in stroke:
            undone, new = str(stroke["undo"]), str(stroke["event_id"])
            return said.undo(undone, new_event_id=new, actor=actor)
        return said.add(stroke, actor=actor)
    except (ValueError, LookupError) as error:
        return {"event_id": stroke.get("event_id"), "refused": str(error)}
