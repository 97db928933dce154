"""Reward: where the reward model errs, what another threshold would change, and its versions."""

from typing import Any

import gradio as gr

from app.judging.strokes import judge_strokes
from app.reward.panel import retrain_panel, threshold_lab
from app.reward.room import RewardRoom
from app.web.calls import on


def build(room: RewardRoom) -> None:
    """Lay out the page: the lab, and below it what is made of its labels."""
    with gr.Row(elem_classes="page"):
        lab = threshold_lab(room)
    with gr.Row(elem_classes="page", elem_id="retrain"):
        retrain_panel(room)

    def on_judge(event: gr.EventData) -> dict[str, Any]:
        return judge_strokes(room.episodes.judging, event._data)

    on(lab.judge, on_judge, outputs=lab, queue=False, trigger_mode="multiple")
