"""Fidelity: the dream beside reality, by depth, with intervals; every number opens its videos."""

import gradio as gr

from app.fidelity.panel import fidelity_panel
from app.fidelity.room import FidelityRoom


def build(room: FidelityRoom) -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        fidelity_panel(room)
