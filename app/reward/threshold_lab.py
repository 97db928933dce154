"""The threshold lab: curves, matrices, walls of errors, versions, and iterations judged anew."""

from typing import TYPE_CHECKING

import gradio as gr

from app.web.calls import server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def threshold_lab(studio: "Studio") -> gr.HTML:
    """Drags a threshold over everything that was judged; sends `judge` events {strokes: […]}.

    Its value is the last acknowledgement: {acks: […]}.
    """
    reward = studio.reward
    return live_panel(
        "mountReward",
        saves=not studio.public,
        server_functions=[
            server_function("lab", reward.lab),
            server_function("details", reward.details),
            server_function("save", reward.save),
            server_function("rejudge", reward.rejudge),
            server_function("films", studio.gallery.films),
            server_function(
                "siblings", lambda q: {"members": studio.gallery.siblings(str(q["episode"]))}
            ),
            server_function("twin_episode", studio.twin_episode),
            server_function("export_episode", studio.export_episode),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )
