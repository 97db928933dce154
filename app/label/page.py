"""Label: one clip or two of one start, one key, the next."""

from typing import Any

import gradio as gr

from app.judging.strokes import judge_strokes
from app.label.panel import label_board, rail
from app.label.room import LabelRoom
from app.web.calls import on

ORDERS = (
    *("unlabelled first", "queue first", "closest to the threshold"),
    *("newest first", "oldest first"),
)


def build(room: LabelRoom) -> None:
    """Lay out the page: all of it is the label board."""
    with gr.Row(elem_classes="page"):
        board = label_board(room, orders=ORDERS)

    def on_judge(event: gr.EventData) -> dict[str, Any]:
        return {**judge_strokes(room.episodes.judging, event._data), **rail(room, event._data)}

    on(board.judge, on_judge, outputs=board, queue=False, trigger_mode="multiple")
