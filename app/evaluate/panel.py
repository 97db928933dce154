"""The Evaluate page's panel: results of suites, a new evaluation, studies, power, the ledger."""

from typing import TYPE_CHECKING

import gradio as gr

from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def evaluation_panel(studio: "Studio") -> gr.HTML:
    """Everything of the page; it polls what there is and asks for what is chosen."""
    evaluation = studio.evaluation

    def overview(_: Question) -> Answer:
        return {
            "suites": evaluation.suites(),
            "studies": evaluation.studies(),
            "ledger": evaluation.ledger(),
        }

    return live_panel(
        "mountEvaluate",
        server_functions=[
            server_function("overview", overview),
            server_function("results", evaluation.results),
            server_function("videos", evaluation.videos),
            server_function("report", evaluation.report),
            server_function("study_report", evaluation.study_report),
            server_function("choices", lambda _: evaluation.choices()),
            server_function("plan", evaluation.plan),
            server_function("start", evaluation.start),
            server_function("power", evaluation.power),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )
