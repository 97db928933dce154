"""Models: three slots, what is in them, whether they fit each other and this machine."""

from typing import TYPE_CHECKING

import gradio as gr

from app.models.panel import model_panel

if TYPE_CHECKING:
    from app.studio import Studio

ROWS = 8  # one group of rollouts


def build(studio: "Studio") -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        model_panel(studio, rows=ROWS)
