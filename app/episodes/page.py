"""Episodes: everything that was imagined or played, by filter, as a wall of decisive windows."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.episodes.panel import episode_wall
from app.judging.strokes import judge_strokes
from app.web.calls import on

if TYPE_CHECKING:
    from app.studio import Studio

ORDERS = (
    *("newest first", "oldest first", "closest to the threshold"),
    *("most disagreement", "largest drift", "unlabelled first", "queue first"),
)


def build(studio: "Studio") -> None:
    """Lay out the page: all of it is the wall."""
    with gr.Row(elem_classes="page"):
        wall = episode_wall(studio, orders=ORDERS)

    def on_judge(event: gr.EventData) -> dict[str, Any]:
        return judge_strokes(studio, event._data)

    on(wall.judge, on_judge, outputs=wall, queue=False, trigger_mode="multiple")
