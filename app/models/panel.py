"""The Models page's panel: three slots, whether they fit, and what they need."""

from typing import TYPE_CHECKING

import gradio as gr

from app.models.choices import ROLES
from app.models.sources_panel import source_functions, source_kinds, source_options
from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def model_panel(studio: "Studio", *, rows: int) -> gr.HTML:
    """Chooses, explains, loads and unloads; `rows` rollouts at once are planned at first."""

    def plan(question: Question) -> Answer:
        return studio.memory_plan(*_three(question), batch=question["rows"])

    def load(question: Question) -> Answer:
        return studio.load_models(
            *_three(question),
            batch=question["rows"],
            as_proposed=question.get("as_proposed") is True,
        )

    return live_panel(
        "mountModels",
        rows=rows,
        sources=source_kinds(studio),
        source_options=source_options(),
        server_functions=[
            server_function("slots", lambda _: studio.model_slots()),
            server_function("details", lambda q: studio.checkpoint_details(str(q["id"]))),
            server_function("plan", plan),
            server_function("load", load),
            server_function("unload", lambda q: studio.unload_models(list(_three(q)))),
            server_function("status", lambda _: studio.load_status()),
            *source_functions(studio),
        ],
    )


def _three(question: Question) -> tuple[str, str, str]:
    policy, world_model, reward_model = (str(question[role]) for role in ROLES)
    return policy, world_model, reward_model
