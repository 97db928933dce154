"""Retrain: freeze labels, train on them, see where old and new model differ, judge runs anew."""

from typing import TYPE_CHECKING

import gradio as gr

from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def retrain_panel(studio: "Studio") -> gr.HTML:
    """From labels to judgements, top to bottom; which runs are shown is in the page's address."""
    retraining = studio.retraining

    def overview(question: Question) -> Answer:
        return {
            "sets": retraining.label_sets(),
            "models": [
                {"id": record["id"], "short": record["short"]}
                for record in studio.list_checkpoints("reward_model")
            ],
            "runs": studio.list_runs(),
        }

    def follow(question: Question) -> Answer:
        return studio.run_status(str(question["run"]))

    def restarts(question: Question) -> Answer:
        return {"iterations": retraining.checkpoints(str(question["run"]))}

    return live_panel(
        "mountRetrain",
        public=studio.public,
        server_functions=[
            server_function("overview", overview),
            server_function("follow", follow),
            server_function("standing", retraining.standing),
            server_function("freeze", retraining.freeze),
            server_function("start", lambda q: {"run": retraining.start(q)}),
            server_function("compare", retraining.compare),
            server_function("rejudge", lambda q: {"run": retraining.rejudge(q)}),
            server_function("flips", retraining.flips),
            server_function("restarts", restarts),
            server_function("restart", lambda q: {"run": retraining.restart(q)}),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
            server_function("export_episode", studio.export_episode),
        ],
    )
