"""Trials: policies tried at a real robot in a blinded order, and what their outcomes show."""

import gradio as gr

from app.trials.panel import trials_panel
from app.trials.room import TrialsRoom


def build(room: TrialsRoom) -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        trials_panel(room)
