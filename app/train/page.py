"""Train: choose a method and a size, start it, watch it learn, look at what it imagined."""

import functools
from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.models.panel import checkpoint_choices, follow_address, follow_task
from app.models.slots import ROLES
from app.train.methods import get_method, methods, offered, values_of
from app.train.panel import preflight_html, run_board, run_panel
from app.train.room import TrainRoom
from app.web.calls import guarded, on, on_visit
from app.web.forms import Form
from app.web.panel import text_panel
from engine.runs.job import Method
from engine.runs.registry import job_config

# Whose episodes a knob may name, by the job of the run.
SOURCES = {
    "episodes_from": ("collect", "import_recordings"),
    "rollouts_from": ("collect", "import_recordings"),
    "replay_from": ("collect",),
    "key_frames_from": ("collect", "optimise"),
}
LABELS = "label_set"
KINDS = {"method": "Methods", "step": "Steps before", "ablation": "Ablations"}
KEEP = "the world model that is chosen"
LACKING = (
    "No world model of the catalogue is known never to have seen a policy's rollouts: train one "
    "from demonstrations and play alone, with the job train_world_model."
)


class MethodRadio(gr.Radio):
    """A method of any kind is an answer: a check may be on its way while the kind changes."""

    is_template = True  # to Gradio's page it is a Radio

    def preprocess(self, payload: Any) -> Any:
        """The name of a method; `get_method` refuses what is none."""
        return payload


class MethodForms:
    """A form for each job that the methods use; one is seen, that of the chosen method."""

    def __init__(self, room: TrainRoom) -> None:
        self._room = room
        self._jobs = offered()
        first = methods()[0]
        self.kind = gr.Radio(
            [(words, kind) for kind, words in KINDS.items()],
            value="method",
            label="What to run",
            elem_classes="kinds",
        )
        self.method = MethodRadio(_names("method"), value=first.name, label="Method")
        self.size = gr.Radio(list(first.sizes), value=next(iter(first.sizes)), label="Size")
        self.about = text_panel(_about(first))
        self.forms: dict[str, Form] = {}
        self.places: list[gr.Column] = []
        for job, told in self._jobs.items():
            preset = job_config(job, values_of(told.methods[0], next(iter(first.sizes))))
            with gr.Column(visible=job == first.job) as place:
                self.forms[job] = Form(
                    preset,
                    shown=told.shown,
                    hidden=told.hidden,
                    choices=self._choices(preset.to_dict()),
                )
            self.places.append(place)
        for knob in first.hidden:
            self.forms[first.job].named[knob].visible = False

    @property
    def inputs(self) -> list[gr.components.Component]:
        """All that a run is described by: method, then the inputs of every form."""
        return [self.method, *(each for form in self.forms.values() for each in form.inputs)]

    @property
    def outputs(self) -> list[Any]:
        """What a chosen method changes: its words, which form is seen, every input."""
        return [self.about, *self.places, *self.inputs[1:]]

    def of_kind(self, kind: str) -> dict[str, Any]:
        """The methods, the steps before them, or the ablations; the first of them chosen."""
        names = _names(kind)
        return gr.update(choices=names, value=names[0])

    def choose(self, name: str, size: str, world_model: str | None = KEEP) -> list[Any]:
        """`outputs` for a method in a size; the world model, where it is told, to suit it."""
        method = get_method(name)
        chosen = job_config(method.job, values_of(method, size)).to_dict()
        unaligned = self._room.training.unaligned()
        changes: list[Any] = [_about(method, lacking=method.unaligned and not unaligned)]
        changes += [gr.update(visible=job == method.job) for job in self.forms]
        for job, form in self.forms.items():
            for path in form.named:
                if job != method.job:
                    changes.append(gr.skip())
                elif (job, path) == ("optimise", "world_model") and world_model is not KEEP:
                    changes.append(self._suit(method, world_model, unaligned))
                else:
                    changes.append(_change(method, path, chosen))
        return changes

    def _suit(self, method: Method, chosen: str | None, unaligned: list[str]) -> dict[str, Any]:
        """The world model box: an unaligned one for the method without alignment, for it alone."""
        known = [value for _, value in checkpoint_choices(self._room.slots, "world_model")]
        fit = unaligned if method.unaligned else [each for each in known if each not in unaligned]
        value = chosen if chosen in fit else fit[0] if fit else None
        return gr.update(value=value, visible="world_model" not in method.hidden)

    def described(self, name: str, *values: Any) -> tuple[str, dict[str, Any]]:
        """(job, options) that the inputs describe."""
        method, rest = get_method(name), list(values)
        for job, form in self.forms.items():
            own, rest = rest[: len(form.inputs)], rest[len(form.inputs) :]
            if job == method.job:
                decided = {k: v for k, v in method.values.items() if k in self._jobs[job].hidden}
                options = form.parse(*own).to_dict() | decided
                if "task" in self._jobs[job].hidden:
                    options.pop("task", None)  # the models say it
                return job, options
        raise AssertionError("every method has a form")

    def checked(self, name: str, *values: Any) -> tuple[str, dict[str, Any]]:
        """What preflight finds, as HTML, and whether Start works; also of unfinished inputs."""
        try:
            job, options = self.described(name, *values)
        except ValueError as error:
            wrong = {"name": "options", "ok": False, "text": str(error)}
            found: Mapping[str, Any] = {"ok": False, "checks": [wrong]}
        else:
            found = self._room.training.look(job, options)
        return preflight_html(found), gr.update(interactive=found["ok"])

    def follow(self) -> None:
        """At every visit offer the checkpoints and the runs that there are then."""
        for form in self.forms.values():
            boxes = {role: form.named[role] for role in ROLES if role in form.named}
            follow_address(self._room.slots, boxes)
            follow_task(self._room.slots, boxes)
            for knob in SOURCES.keys() & form.named.keys():
                on_visit(self._runs_of(knob), None, form.named[knob])
            if LABELS in form.named:
                on_visit(self._label_sets(), None, form.named[LABELS])

    def _runs_of(self, knob: str) -> Any:
        return lambda: gr.update(choices=self._run_choices(knob))

    def _label_sets(self) -> Any:
        return lambda: gr.update(choices=self._room.training.label_sets())

    def _run_choices(self, knob: str) -> list[tuple[str, str]]:
        runs = self._room.runs.all()
        return [(run["name"], run["id"]) for run in runs if run["job"] in SOURCES[knob]]

    def _choices(self, preset: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
        found = {
            role: checkpoint_choices(self._room.slots, role) for role in ROLES if role in preset
        }
        choices = {role: known for role, known in found.items() if known}
        if LABELS in preset:
            choices[LABELS] = self._room.training.label_sets()
        return choices | {knob: self._run_choices(knob) for knob in SOURCES if knob in preset}


def build(room: TrainRoom) -> None:
    """Lay out the page."""
    with gr.Row(elem_classes="page side-right train"):
        with gr.Column(elem_classes="stack"):
            panel = run_panel(room)
            run_board()
        with gr.Column(elem_classes="card form"):
            text_panel('<div class="wm"><h3>New run</h3></div>')
            forms = MethodForms(room)
            with gr.Column(elem_classes="launch"):
                checks = text_panel("")
                launch = gr.Button("Start training", variant="primary", interactive=False)
    forms.follow()

    def on_launch(*values: Any) -> dict[str, str]:
        return {"run": room.training.start(*forms.described(*values))}

    world_model = forms.forms["optimise"].named["world_model"]
    preset = [forms.method, forms.size]
    on(forms.kind.input, forms.of_kind, forms.kind, forms.method, queue=False)
    on(forms.method.change, forms.choose, [*preset, world_model], forms.outputs, queue=False)
    on(forms.size.input, forms.choose, preset, forms.outputs, queue=False)
    opened_or_changed, settings = functools.partial(gr.on, None), {"trigger_mode": "always_last"}
    told = [checks, launch]
    on(opened_or_changed, forms.checked, forms.inputs, told, queue=False, **settings)
    start = guarded(room.access, "train.launch", on_launch)
    on(launch.click, start, forms.inputs, panel, concurrency_limit=1)


def _names(kind: str) -> list[str]:
    return [method.name for method in methods() if method.kind == kind]


def _about(method: Method, *, lacking: bool = False) -> str:
    needs = f" Needs {method.needs}." if method.needs else ""
    missing = f'<div class="banner warn" role="status">{LACKING}</div>' if lacking else ""
    about = method.about[:1].upper() + method.about[1:]
    return f'<div class="wm"><p class="mute">{about}.{needs}</p>{missing}</div>'


def _change(method: Method, path: str, values: Mapping[str, Any]) -> Any:
    if path in ROLES:
        return gr.update(visible=path not in method.hidden)
    value: Any = values
    for name in path.split("."):
        value = value[name]
    if isinstance(value, list) and path not in SOURCES:
        value = ", ".join(map(str, value))
    return gr.update(value=value, visible=path not in method.hidden)
