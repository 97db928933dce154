"""The live dream: canvas player, readout, transport and strips in one component."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.components.calls import Answer, Question, server_function
from app.components.panel import live_panel
from engine.tasks import POOLS

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
            server_function("pull_dream", studio.pull_dream),
            server_function("act_dream", studio.act_dream),
            server_function("set_dream", studio.set_dream),
            server_function("propose_dream", studio.propose_dream),
            server_function("steer_dream", studio.steer_dream),
            server_function("branch_dream", studio.branch_dream),
            server_function("select_dream", studio.select_dream),
            server_function("dream_tree", studio.dream_tree),
            server_function("twin_dream", studio.twin_dream),
            server_function("save_dream", lambda q: {"episode": studio.save_dream(q)}),
            server_function("permalink", studio.permalink),
            server_function("replay", studio.replay),
            server_function("export_episode", studio.export_episode),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )


def start_picker(studio: "Studio") -> gr.HTML:
    """Start frames by pool or from a stored episode.

    Its value {own: start} adds an upload, {task: name} shows the starts of another task.
    """
    return live_panel(
        "mountStarts",
        pools=list(POOLS),
        server_functions=[
            server_function("shipped", lambda q: {"starts": studio.list_starts(q.get("task"))}),
            server_function("starts", studio.starts),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )


def judge_strokes(studio: "Studio", question: Question, *, actor: str = "local") -> Answer:
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
