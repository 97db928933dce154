"""The Fidelity page's panel: curves with intervals, the matrix by depth, a new comparison."""

from typing import TYPE_CHECKING

import gradio as gr

from app.web.calls import server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def fidelity_panel(studio: "Studio") -> gr.HTML:
    """Everything of the page; it polls the runs and asks for the one that is chosen."""
    fidelity = studio.fidelity
    return live_panel(
        "mountFidelity",
        server_functions=[
            server_function("runs", lambda _: {"runs": fidelity.runs()}),
            server_function("results", fidelity.results),
            server_function("pairs", fidelity.pairs),
            server_function("choices", lambda _: fidelity.choices()),
            server_function("plan", fidelity.plan),
            server_function("start", fidelity.start),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )
