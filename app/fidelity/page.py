"""Fidelity: the dream beside reality, by depth, with intervals; every number opens its videos."""

from typing import TYPE_CHECKING

import gradio as gr

from app.fidelity.panel import fidelity_panel

if TYPE_CHECKING:
    from app.studio import Studio


def build(studio: "Studio") -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        fidelity_panel(studio)
