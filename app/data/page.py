"""Data: in and out, who said what, what lies on the disk, backup and sync, use from scripts."""

import gradio as gr

from app.data.data import Data
from app.data.panel import data_panel


def build(room: Data) -> None:
    """Lay out the page: all of it is the panel."""
    with gr.Row(elem_classes="page"):
        data_panel(room)
