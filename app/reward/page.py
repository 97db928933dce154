"""Reward: where the reward model errs, what another threshold would change, and its versions."""

import gradio as gr

from app.reward.panel import retrain_panel, threshold_lab
from app.reward.room import RewardRoom


def build(room: RewardRoom) -> None:
    """Lay out the page: the lab, and below it what is made of its labels."""
    with gr.Row(elem_classes="page"):
        threshold_lab(room)
    with gr.Row(elem_classes="page", elem_id="retrain"):
        retrain_panel(room)
