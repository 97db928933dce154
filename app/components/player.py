"""The live dream: canvas player, readout, transport and strips in one component."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.components.calls import Answer, Question, server_function
from app.components.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def dream_player(studio: "Studio", *, defaults: Mapping[str, Any]) -> gr.HTML:
    """Shows one server-side dream by id, pulled with a cursor; sends `judge` events.

    Its value is the last acknowledgement of a judgement: {acks: […]}. `defaults` are the settings
    of a dream until an input reports a change.
    """
    return live_panel(
        "mountDream",
        defaults=dict(defaults),
        server_functions=[
            server_function("open_dream", lambda q: {"dream": studio.open_dream(q)}),
            server_function(
                "control_dream", lambda q: studio.control_dream(str(q["dream"]), str(q["action"]))
            ),
            server_function("pull_dream", studio.pull_dream),
            server_function(
                "save_dream", lambda q: {"episode": studio.save_dream(str(q["dream"]))}
            ),
        ],
    )


def start_picker(studio: "Studio") -> gr.HTML:
    """Thumbnails of start frames, one of them chosen; its value {own: start} adds an upload.

    Below them stands what is missing for rendering other starts, if anything is.
    """
    return live_panel(
        "mountStarts",
        server_functions=[
            server_function("starts", lambda _: {"starts": studio.list_starts()}),
            server_function("simulator", lambda _: {"missing": studio.simulator_status()}),
        ],
    )


def judge_strokes(studio: "Studio", question: Question, *, actor: str = "local") -> Answer:
    """Store a batch of strokes in order: a label, or {event_id, undo: event id of the label}.

    A stroke that cannot be stored is answered {event_id, refused} and does not stop the others.
    """
    return {"acks": [_stroke(studio, dict(stroke), actor) for stroke in question["strokes"]]}


def _stroke(studio: "Studio", stroke: dict[str, Any], actor: str) -> dict[str, Any]:
    try:
        if "undo" in stroke:
            return studio.undo_label(
                str(stroke["undo"]), new_event_id=str(stroke["event_id"]), actor=actor
            )
        return studio.label(stroke, actor=actor)
    except (ValueError, LookupError) as error:
        return {"event_id": stroke.get("event_id"), "refused": str(error)}
