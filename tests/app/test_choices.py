"""Three models chosen together, and the address that brings a choice along."""

from typing import Any

import gradio as gr

from app.models.catalogue import with_names
from app.models.panel import checkpoint_choices, follow_address
from app.studio import Studio
from app.web.questions import ask
from tests.app.conftest import OPTIMISE

RUN = "optimise-261130-113751-2a14"


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


def test_a_choice_is_called_by_its_name_unless_two_have_it(studio: Studio) -> None:
    assert checkpoint_choices(studio.models.slots, "world_model") == [("world", "demo/world")]
    ids = ("demo/base", "mine/base", "mine/other", f"run/{RUN}/step-000040")
    found = with_names(
        [{"id": each, "role": "policy"} for each in ids], studio.runs.checkpoint_name
    )
    assert [record["called"] for record in found] == [
        *("demo/base", "mine/base", "other"),
        f"{RUN}, step 40",
    ]
    run = studio.train.training.start("optimise", OPTIMISE)
    ask(studio.runs.describe, {"run": run, "name": "the good one"})
    assert studio.runs.checkpoint_name(f"run/{run}/step-000040") == "the good one, step 40"
