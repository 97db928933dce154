"""Three models chosen together: what may be chosen, and the choice an address brings along."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.web.calls import on_visit

if TYPE_CHECKING:
    from app.studio import Studio

ROLES = ("policy", "world_model", "reward_model")


def checkpoint_choices(studio: "Studio", role: str) -> list[tuple[str, str]]:
    """(label, id) of every checkpoint of a role."""
    return [
        (f"{record['id'].split('/', 1)[-1]} · {record['short'][:4]}", record["id"])
        for record in studio.list_checkpoints(role)
    ]


def follow_address(studio: "Studio", boxes: Mapping[str, gr.components.Component]) -> None:
    """At every visit the dropdowns offer the catalogue as it then is, and `?policy=…` chooses.

    Args:
        boxes: the dropdown of each role.
    """

    def on_open(request: gr.Request) -> Any:
        asked = dict(request.query_params)
        found = [_chosen(checkpoint_choices(studio, role), asked.get(role)) for role in boxes]
        return found if len(found) > 1 else found[0]  # to a single output a list is its value

    if boxes:
        on_visit(on_open, None, list(boxes.values()))


def _chosen(choices: list[tuple[str, str]], asked: str | None) -> dict[str, Any]:
    known = {value for _, value in choices}
    if asked in known:
        return gr.update(choices=choices, value=asked)
    return gr.update(choices=choices)
