"""Data: in and out, who said what, what lies on the disk, backup and sync, use from scripts."""

from typing import TYPE_CHECKING

import gradio as gr

from app.data.panel import data_panel

if TYPE_CHECKING:
    from app.studio import Studio


def build(studio: "Studio") -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        data_panel(studio)
