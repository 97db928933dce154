"""The Models page's panel: three slots, whether they fit, what they need, and where checkpoints
come from.

What any page offers of the catalogue is here too: the dropdowns, and the choice an address brings.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from app.models.room import ModelsRoom
from app.models.slots import Slots
from app.web.calls import on, on_visit, serve
from app.web.panel import live_panel
from app.web.questions import Answer
from storage.downloads.official import PARTS, TASKS

# What to call the parts of the release.
WORDS = {
    "policy": "policy, before WMPO",
    "policy_128": "policy, WMPO on 128 real episodes",
    "policy_1280": "policy, WMPO on 1,280 real episodes",
    "world_model": "world model, of 128 real episodes",
    "world_model_1280": "world model, of 1,280 real episodes",
    "reward_model": "reward model",
    "autoencoder": "autoencoder",
}


def model_panel(room: ModelsRoom, *, rows: int) -> gr.HTML:
    """Chooses, explains, loads and unloads; `rows` rollouts at once are planned at first.

    Each way of adding a checkpoint is a kind that the script shows a form for; what was begun is
    followed below the forms.
    """
    slots, sources, adopting = room.slots, room.sources, room.adopting

    def added() -> Answer:
        return {"adoptions": adopting.all(), "downloads": sources.all()}

    tasks = [[task, task.replace("_", " ")] for task in TASKS]
    return live_panel(
        "mountModels",
        rows=rows,
        sources=[] if room.access.refusal("models.adopt_checkpoint") else ["folder", "download"],
        source_options={"tasks": tasks, "parts": [[part, WORDS[part]] for part in PARTS]},
        server_functions=serve(
            room.access,
            "models",
            slots=slots.choices,
            details=slots.details,
            plan=slots.memory_plan,
            load=slots.load,
            unload=slots.unload,
            status=slots.status,
            adopt_checkpoint=adopting.adopt,
            control_adoption=room.runs.control,
            plan_download=sources.plan,
            start_download=sources.start,
            cancel_download=sources.cancel,
            added=added,
        ),
    )


def checkpoint_choices(slots: Slots, role: str) -> list[tuple[str, str]]:
    """(label, id) of every checkpoint of a role."""
    return [(record["called"], record["id"]) for record in slots.checkpoints(role)]


def follow_address(slots: Slots, boxes: Mapping[str, gr.components.Component]) -> None:
    """At every visit the dropdowns offer the catalogue as it then is, and `?policy=…` chooses.

    Args:
        boxes: the dropdown of each role.
    """

    def on_open(request: gr.Request) -> Any:
        asked = dict(request.query_params)
        found = [_chosen(checkpoint_choices(slots, role), asked.get(role)) for role in boxes]
        return found if len(found) > 1 else found[0]  # to a single output a list is its value

    if boxes:
        on_visit(on_open, None, list(boxes.values()))


def follow_task(slots: Slots, boxes: Mapping[str, Any]) -> None:
    """A model of another task brings the others along: the first of its task in each dropdown."""
    roles = list(boxes)

    def follows(changed: str) -> Callable[..., list[Any]]:
        def on_change(*chosen: str | None) -> list[Any]:
            before = dict(zip(roles, chosen, strict=True))
            after = slots.follow(changed, before)
            return [gr.skip() if after[r] == before[r] else after[r] for r in roles]

        return on_change

    for role in roles if len(roles) > 1 else ():
        values = list(boxes.values())
        on(boxes[role].change, follows(role), values, values, queue=False)


def _chosen(choices: list[tuple[str, str]], asked: str | None) -> dict[str, Any]:
    known = {value for _, value in choices}
    if asked in known:
        return gr.update(choices=choices, value=asked)
    return gr.update(choices=choices)
