"""Evaluate: policies on common starts in the simulator, with paired tests and intervals."""

import gradio as gr

from app.evaluate.panel import evaluation_panel
from app.evaluate.room import EvaluateRoom


def build(room: EvaluateRoom) -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        evaluation_panel(room)
