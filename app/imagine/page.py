"""Imagine: three models, a start, and a dream to watch, step and judge."""

from html import escape
from typing import Any

import gradio as gr

from app.imagine.panel import dream_player, start_picker
from app.imagine.room import ImagineRoom
from app.imagine.upload import read_image, thumbnail
from app.models.panel import checkpoint_choices, follow_address, follow_task
from app.models.slots import ROLES, Chosen, Slots
from app.web.assets import imported
from app.web.calls import on, on_visit
from app.web.panel import text_panel

SETTINGS = (
    "policy",
    "world_model",
    "reward_model",
    "instruction",
    "seed",
    "denoising_steps",
    "temperature",
    "horizon",
)


def build(room: ImagineRoom, *, instruction: str, horizon: int) -> None:
    """Lay out the page; `instruction` and `horizon` are those of the default task."""
    with gr.Row(elem_classes="page side-left"):
        with gr.Column(elem_classes="stack"):
            tasks, models, line = _models(room.slots)
            task = gr.State("")
            picker = _starts(room, task)
            rollout = _rollout(instruction, horizon)
            _bring_along(room.slots, models, task, tasks, line, picker, rollout)
        with gr.Column(elem_classes="stack dream-place"):
            inputs = [*models, *rollout]
            values = {name: box.value for name, box in zip(SETTINGS, inputs, strict=True)}
            dream_player(room, defaults=values)

    names = ", ".join(f"'{name}'" for name in SETTINGS)
    gr.on(
        None,
        None,
        inputs,
        None,
        js=(
            f"(...values) => {{ {imported('settings')}"
            f".then(({{ settings }}) => settings.take([{names}], values)); }}"
        ),
        api_visibility="private",
    )


def _models(slots: Slots) -> tuple[gr.Radio, list[gr.Dropdown], gr.HTML]:
    with gr.Column(elem_classes="card"):
        text_panel('<div class="wm"><h3>Together</h3></div>')
        names = slots.tasks()
        tasks = gr.Radio(names, label="Task", visible=len(names) > 1, elem_classes="tasks")
        models = [
            _dropdown(slots, "policy", "Policy"),
            _dropdown(slots, "world_model", "World model"),
            _dropdown(slots, "reward_model", "Reward model"),
        ]
        boxes = dict(zip(ROLES, models, strict=True))
        follow_address(slots, boxes)
        follow_task(slots, boxes)
        line = text_panel("")

    def on_task(task: str) -> str | None:
        return slots.first_of(task, role="policy")

    on(tasks.input, on_task, tasks, models[0], queue=False)
    return tasks, models, line


def _bring_along(
    slots: Slots,
    models: list[gr.Dropdown],
    task: gr.State,
    tasks: gr.Radio,
    line: gr.HTML,
    picker: gr.HTML,
    rollout: list[gr.components.Component],
) -> None:
    """Models of another task bring its starts, instruction and horizon along."""

    def on_models(policy: str, world_model: str, reward_model: str, known: str) -> dict[Any, Any]:
        text, found = together_html(slots, policy, world_model, reward_model)
        changes: dict[Any, Any] = {line: text}
        if found and found["task"] != known:
            changes |= {task: found["task"], picker: {"task": found["task"]}}
            names = slots.tasks()
            shown = found["task"] if found["task"] in names else None
            changes |= {tasks: gr.update(choices=names, value=shown, visible=len(names) > 1)}
            changes |= {rollout[0]: found["instruction"], rollout[4]: found["horizon"]}
        return changes

    on_visit(on_models, [*models, task], [line, picker, task, tasks, rollout[0], rollout[4]])


def _dropdown(slots: Slots, role: str, label: str) -> gr.Dropdown:
    choices = checkpoint_choices(slots, role)
    return gr.Dropdown(choices, value=choices[0][1] if choices else None, label=label)


def together_html(
    slots: Slots, policy: str | None, world_model: str | None, reward_model: str | None
) -> tuple[str, dict[str, Any] | None]:
    """(whether three fit and if not, why, in a line; {task, instruction, horizon} if they do)"""
    if not (policy and world_model and reward_model):
        return '<div class="wm fit warn">choose all three models</div>', None
    chosen = Chosen(policy=policy, world_model=world_model, reward_model=reward_model)
    try:
        found = slots.together(chosen)
    except (ValueError, LookupError) as error:
        return f'<div class="wm fit bad" role="alert">✕ {escape(str(error))}</div>', None
    return f'<div class="wm fit ok">✓ {escape(found["text"])}</div>', found


def _starts(room: ImagineRoom, task: gr.State) -> gr.HTML:
    with gr.Column(elem_classes="card"):
        text_panel('<div class="wm"><h3>Start</h3></div>')
        picker = start_picker(room)
        upload = gr.UploadButton(
            "Upload an image", file_types=["image"], size="sm", variant="secondary"
        )
        number = gr.Textbox(
            label="Another start id", placeholder="any number, from the simulator", max_length=10
        )

    def on_upload(path: str, task: str) -> dict[str, Any]:
        room.access.spend("pictures")
        image = read_image(path)
        start_id = room.starts.add_upload(image)
        own = {"start_id": start_id, "label": "uploaded image", "image": thumbnail(image)}
        return {"own": own | {"warning": room.starts.warning(start_id, task)}}

    on(upload.upload, on_upload, [upload, task], picker)
    number.submit(
        None,
        number,
        None,
        js=(
            f"(id) => {{ {imported('settings')}"
            ".then(({ settings }) => settings.chooseStart(id)); }"
        ),
        api_visibility="private",
    )
    return picker


def _rollout(instruction: str, horizon: int) -> list[gr.components.Component]:
    with gr.Column(elem_classes="card"):
        text_panel('<div class="wm"><h3>Rollout</h3></div>')
        text = gr.Textbox(instruction, label="Instruction", lines=2, max_length=200)
        with gr.Row():
            seed = gr.Number(7, label="Seed", precision=0, minimum=0, min_width=90)
            steps = gr.Number(
                4, label="Denoising steps", precision=0, minimum=1, maximum=50, min_width=90
            )
        with gr.Row():
            temperature = gr.Number(
                1.0, label="Temperature", minimum=0, maximum=5, step=0.1, min_width=90
            )
            length = gr.Number(horizon, label="Horizon", precision=0, minimum=1, min_width=90)
    return [text, seed, steps, temperature, length]
