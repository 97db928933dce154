"""The Evaluate page's panel: results of suites, a new evaluation, studies, power, the ledger."""

import gradio as gr

from app.evaluate.room import EvaluateRoom
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer


def evaluation_panel(room: EvaluateRoom) -> gr.HTML:
    """Everything of the page; it polls what there is and asks for what is chosen."""
    evaluation = room.evaluation

    def overview() -> Answer:
        return {
            "suites": evaluation.suites(),
            "studies": evaluation.studies(),
            "ledger": evaluation.ledger(),
        }

    return live_panel(
        "mountEvaluate",
        server_functions=serve(
            room.access,
            "evaluate",
            overview=overview,
            results=evaluation.results,
            videos=evaluation.videos,
            report=evaluation.report,
            study_report=evaluation.study_report,
            choices=evaluation.choices,
            plan=evaluation.plan,
            start=evaluation.start,
            power=evaluation.power,
            clip=room.clips.clip,
        ),
    )
