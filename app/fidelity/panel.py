"""The Fidelity page's panel: curves with intervals, the matrix by depth, a new comparison."""

import gradio as gr

from app.fidelity.room import FidelityRoom
from app.web.calls import serve
from app.web.panel import live_panel


def fidelity_panel(room: FidelityRoom) -> gr.HTML:
    """Everything of the page; it polls the runs and asks for the one that is chosen."""
    fidelity = room.fidelity
    return live_panel(
        "mountFidelity",
        server_functions=serve(
            room.access,
            "fidelity",
            runs=fidelity.runs,
            results=fidelity.results,
            pairs=fidelity.pairs,
            choices=fidelity.choices,
            plan=fidelity.plan,
            start=fidelity.start,
            films=fidelity.films,
            clip=fidelity.clip,
        ),
    )
