"""Three models chosen together, and the address that brings a choice along."""

from typing import Any

import gradio as gr

from app.models.panel import checkpoint_choices, follow_address
from app.studio import Studio


class Visit(gr.Request):
    """A visitor's request with some query."""

    def __init__(self, **query: str) -> None:
        self.query = query

    @property
    def query_params(self) -> dict[str, str]:
        return self.query


def opened(studio: Studio, **query: str) -> list[dict[str, Any]]:
    with gr.Blocks() as blocks:
        boxes = {role: gr.Dropdown([], label=role) for role in ("policy", "world_model")}
        follow_address(studio.models.slots, boxes)
    [handler] = [fn.fn for fn in blocks.fns.values()]
    return handler(Visit(**query))


def test_the_address_chooses_among_what_there_is_now(studio: Studio) -> None:
    policy, world_model = opened(studio, policy="demo/seven", world_model="demo/gone")
    assert policy["value"] == "demo/seven"
    assert [value for _, value in policy["choices"]] == ["demo/base", "demo/seven"]
    assert "value" not in world_model


def test_choices_show_name_and_hash(studio: Studio) -> None:
    [(label, value)] = checkpoint_choices(studio.models.slots, "world_model")
    assert (label[:8], value) == ("world · ", "demo/world")
