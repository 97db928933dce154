"""The Trials page's panel: a new sheet, the trial that comes next, the numbers of a full sheet."""

import gradio as gr

from app.trials.room import TrialsRoom
from app.web.calls import serve
from app.web.panel import live_panel


def trials_panel(room: TrialsRoom) -> gr.HTML:
    """Everything of the page; it polls the sheets and asks for the one that is chosen."""
    trials = room.trials
    return live_panel(
        "mountTrials",
        server_functions=serve(
            room.access,
            "trials",
            overview=trials.overview,
            make=trials.make,
            sheet=trials.sheet,
            enter=trials.enter,
            read=trials.read,
            attach=trials.attach,
            seen=trials.seen,
            take_part=room.handover.take,
        ),
    )
