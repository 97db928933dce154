"""Reward: where the reward model errs, what another threshold would change, and its versions."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.judging.strokes import judge_strokes
from app.reward.retrain_panel import retrain_panel
from app.reward.threshold_lab import threshold_lab
from app.web.calls import on

if TYPE_CHECKING:
    from app.studio import Studio


def build(studio: "Studio") -> None:
    """Lay out the page: the lab, and below it what is made of its labels."""
    with gr.Row(elem_classes="page"):
        lab = threshold_lab(studio)
    with gr.Row(elem_classes="page", elem_id="retrain"):
        retrain_panel(studio)

    def on_judge(event: gr.EventData) -> dict[str, Any]:
        return judge_strokes(studio, event._data)

    on(lab.judge, on_judge, outputs=lab, queue=False, trigger_mode="multiple")
