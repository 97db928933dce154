"""Strokes: what a person said with one key each, in a batch, in order."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.studio import Studio


def judge_strokes(
    studio: "Studio", question: dict[str, Any], *, actor: str = "local"
) -> dict[str, Any]:
    """Store a batch of strokes in order: a label, or {event_id, undo: event id of the label}.

    With `pair`, a stroke is a preference or the undo of one. It may name its own `actor`. One
    that cannot be stored is answered {event_id, refused} and does not stop the others.
    """
    return {"acks": [_stroke(studio, dict(stroke), actor) for stroke in question["strokes"]]}


def _stroke(studio: "Studio", stroke: dict[str, Any], actor: str) -> dict[str, Any]:
    actor = str(stroke.pop("actor", actor))
    pair = stroke.pop("pair", False)
    pairs = studio.preferences
    add, undo = (pairs.add, pairs.undo) if pair else (studio.label, studio.undo_label)
    try:
        if "undo" in stroke:
            return undo(str(stroke["undo"]), new_event_id=str(stroke["event_id"]), actor=actor)
        return add(stroke, actor=actor)
    except (ValueError, LookupError) as error:
        return {"event_id": stroke.get("event_id"), "refused": str(error)}
