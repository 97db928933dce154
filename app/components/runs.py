"""Train: the board (charts, wall of imagined groups) and the panel (state, list, events)."""

from typing import TYPE_CHECKING

import gradio as gr

from app.components.calls import Answer, Question, server_function
from app.components.panel import live_panel
from app.plots import OPTIMISE, skeletons

if TYPE_CHECKING:
    from app.studio import Studio


def run_board() -> gr.HTML:
    """Live charts and videos of the run that the panel is attached to."""
    return live_panel("mountRunBoard", charts=True, figures=skeletons(OPTIMISE))


def run_panel(studio: "Studio") -> gr.HTML:
    """State and buttons of a run, the list of runs, events; its value {run} attaches to it."""

    def strip(question: Question) -> Answer:
        return {"groups": studio.run_strip(str(question["run"]), int(question["iteration"]))}

    def control(question: Question) -> Answer:
        return studio.control_run(str(question["run"]), str(question["control"]))

    return live_panel(
        "mountRunPanel",
        server_functions=[
            server_function("follow", lambda q: follow(studio, q)),
            server_function("strip", strip),
            server_function("control", control),
            server_function("twin_matrix", studio.twin_matrix),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
            server_function("export_episode", studio.export_episode),
            server_function(
                "siblings", lambda q: {"members": studio.gallery.siblings(str(q["episode"]))}
            ),
        ],
    )


def follow(studio: "Studio", question: Question) -> Answer:
    """Everything new about a run since the cursor `after`, and the list of runs.

    Without a run, or with one that is unknown, only the list.
    """
    runs = studio.list_runs()
    run = str(question.get("run") or "")
    if run not in {record["id"] for record in runs}:
        return {"runs": runs, "status": None}
    metrics = studio.run_metrics(run, after=int(question.get("after", 0)))
    return {
        "runs": runs,
        "status": studio.run_status(run),
        "next": metrics["next"],
        "series": metrics["series"],
        "iterations": studio.run_iterations(run),
        "events": studio.run_events(run, limit=20),
    }
