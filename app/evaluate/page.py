"""Evaluate: policies on common starts in the simulator, with the statistics they deserve."""

from typing import TYPE_CHECKING

import gradio as gr

from app.evaluate.panel import evaluation_panel

if TYPE_CHECKING:
    from app.studio import Studio


def build(studio: "Studio") -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        evaluation_panel(studio)
