"""Episodes: everything that was imagined or played, by filter, as a wall of decisive windows."""

from typing import Any

import gradio as gr

from app.episodes.panel import episode_wall
from app.episodes.room import EpisodesRoom
from app.judging.strokes import judge_strokes
from app.web.calls import on

ORDERS = (
    *("newest first", "oldest first", "closest to the threshold"),
    *("most disagreement", "largest drift", "unlabelled first", "queue first"),
)


def build(room: EpisodesRoom) -> None:
    """Lay out the page: all of it is the wall."""
    with gr.Row(elem_classes="page"):
        wall = episode_wall(room, orders=ORDERS)

    def on_judge(event: gr.EventData) -> dict[str, Any]:
        return judge_strokes(room.judging, event._data)

    on(wall.judge, on_judge, outputs=wall, queue=False, trigger_mode="multiple")
