"""The live dream and its starts: canvas player, readout, transport, strips; start frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.web.calls import server_function
from app.web.panel import live_panel
from engine.records.tasks import POOLS

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
