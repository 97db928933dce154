"""Label: one clip or two of one start, one key, the next."""

import gradio as gr

from app.label.panel import label_board
from app.label.room import LabelRoom

ORDERS = (
    *("most uncertain first", "queue first", "closest to the threshold"),
    *("unlabelled first", "newest first", "oldest first"),
)


def build(room: LabelRoom) -> None:
    """Lay out the page: all of it is the label board."""
    with gr.Row(elem_classes="page"):
        label_board(room, orders=ORDERS)
