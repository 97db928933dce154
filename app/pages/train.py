"""Train: start an optimise run, watch it learn, look at what it imagined."""

from typing import TYPE_CHECKING

import gradio as gr

from app.components.calls import on
from app.components.choices import ROLES, checkpoint_choices, follow_address
from app.components.panel import text_panel
from app.components.runs import run_board, run_panel
from app.forms import Form
from engine.config import Config

if TYPE_CHECKING:
    from app.studio import Studio

# Names of files on the server and of the task's pools: the studio chooses them.
HIDDEN = ("task", "starts", "pool", "first_start", "key_frames_from")


def build(studio: "Studio", *, preset: Config, shown: tuple[str, ...]) -> None:
    """Lay out the page; `preset` fills the form, `shown` names its knobs that are not folded."""
    with gr.Row(elem_classes="page side-right"):
        with gr.Column(elem_classes="stack"):
            run_board()
        with gr.Column(elem_classes="stack"):
            with gr.Column(elem_classes="card form"):
                text_panel('<div class="wm"><h3>New run</h3></div>')
                found = _checkpoints(studio)
                form = Form(preset, shown=shown, hidden=HIDDEN, choices=found)
                follow_address(
                    studio, {role: form.named[role] for role in found if role in form.named}
                )
                launch = gr.Button("Start training", variant="primary")
            panel = run_panel(studio)

    def on_launch(*values: object) -> dict[str, str]:
        return {"run": studio.start_run("optimise", form.parse(*values).to_dict())}

    on(launch.click, on_launch, form.inputs, panel, concurrency_limit=1)


def _checkpoints(studio: "Studio") -> dict[str, list[tuple[str, str]]]:
    found = {role: checkpoint_choices(studio, role) for role in ROLES}
    return {role: choices for role, choices in found.items() if choices}
