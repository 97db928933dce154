"""Models: three slots, what is in them, whether they fit each other and this machine."""

import gradio as gr

from app.models.panel import model_panel
from app.models.room import ModelsRoom

ROWS = 8  # one group of rollouts


def build(room: ModelsRoom) -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        model_panel(room, rows=ROWS)
