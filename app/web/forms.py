"""Form(Config): one labelled input per knob, with its help and range, and the way back.

A knob is declared once, in the engine; this file draws it. Nested configs become accordions.
"""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from engine.config import Config

Choices = Sequence[tuple[str, str]]


class Form:
    """Inputs for a config, made inside the current Gradio layout.

    Args:
        preset: the config whose values the inputs start with.
        shown: names of the knobs that are always visible; the others are folded away.
        choices: for a knob that names something (a checkpoint), what may be chosen: (label, value);
            of a list of names, several.
        hidden: names of knobs that keep the preset's value and get no input.
    """

    def __init__(
        self,
        preset: Config,
        *,
        shown: Sequence[str] = (),
        choices: Mapping[str, Choices] | None = None,
        hidden: Sequence[str] = (),
    ) -> None:
        self.preset = preset
        self.choices = choices or {}
        self._paths: list[tuple[str, ...]] = []
        self._hints: list[Any] = []
        self.inputs: list[gr.components.Component] = []
        flat, nested = _split(preset, hidden)
        unknown = sorted(set(shown) - set(flat))
        if unknown:
            raise ValueError(f"{type(preset).__name__} has no knob {', '.join(unknown)}")
        for name in shown:
            self._add(preset, (name,))
        folded = [name for name in flat if name not in shown]
        if folded:
            with gr.Accordion("More options" if shown else "Options", open=not shown):
                for name in folded:
                    self._add(preset, (name,))
        for name in nested:
            with gr.Accordion(_words(name).capitalize(), open=False):
                for inner in _split(getattr(preset, name), hidden)[0]:
                    self._add(preset, (name, inner))

    @property
    def named(self) -> dict[str, gr.components.Component]:
        """The inputs by the names of their knobs, as in `grpo.group_size`."""
        paths = map(".".join, self._paths)
        return dict(zip(paths, self.inputs, strict=True))

    def parse(self, *values: Any) -> Config:
        """The config that the inputs describe.

        Raises:
            ValueError: a value is missing, of the wrong type or outside its range.
        """
        plain = self.preset.to_dict()
        for path, hint, value in zip(self._paths, self._hints, values, strict=True):
            *parents, name = path
            target = plain
            for parent in parents:
                target = target[parent]
            target[name] = _plain(".".join(path), hint, value)
        return type(self.preset).from_dict(plain)

    def _add(self, preset: Config, path: tuple[str, ...]) -> None:
        owner: Any = preset
        for parent in path[:-1]:
            owner = getattr(owner, parent)
        field = {f.name: f for f in dataclasses.fields(owner)}[path[-1]]
        hint = typing.get_type_hints(type(owner))[path[-1]]
        value = getattr(owner, path[-1])
        self._paths.append(path)
        self._hints.append(hint)
        self.inputs.append(_input(field, hint, value, self.choices.get(".".join(path))))


def _split(preset: Config, hidden: Sequence[str]) -> tuple[list[str], list[str]]:
    names = [f.name for f in dataclasses.fields(preset) if f.name not in hidden]
    nested = [name for name in names if isinstance(getattr(preset, name), Config)]
    return [name for name in names if name not in nested], nested


def _words(name: str) -> str:
    return name.replace("_", " ")


def _input(
    field: dataclasses.Field[Any], hint: Any, value: Any, choices: Choices | None
) -> gr.components.Component:
    label, info = _words(field.name).capitalize(), field.metadata.get("help") or None
    if info == f"{label} checkpoint":
        info = None  # that says no more than its name
    if choices is not None and typing.get_origin(hint) is tuple:
        known = [choice for _, choice in choices]
        chosen = [each for each in value if each in known]
        return gr.Dropdown(choices, value=chosen, label=label, info=info, multiselect=True)
    allowed = choices or [(str(choice), choice) for choice in field.metadata.get("choices") or ()]
    if allowed:
        known = [choice for _, choice in allowed]
        first = value if value in known else known[0]
        return gr.Dropdown(allowed, value=first, label=label, info=info)
    if hint is bool:
        return gr.Checkbox(value, label=label, info=info)
    if _number(hint) is not None:
        whole = _number(hint) is int
        # No minimum and no maximum: Gradio would refuse it before the page can say what is wrong.
        return gr.Number(value, label=label, info=info, precision=0 if whole else None)
    text = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else value
    return gr.Textbox("" if text is None else str(text), label=label, info=info)


def _number(hint: Any) -> type | None:
    kinds = set(typing.get_args(hint)) or {hint}
    if kinds <= {int, float, type(None)} and kinds - {type(None)}:
        return float if float in kinds else int
    return None


def _plain(where: str, hint: Any, value: Any) -> Any:
    optional = type(None) in typing.get_args(hint)
    if value is None and hint is str:
        return ""  # a list from which nothing is chosen
    if value in (None, "") and typing.get_origin(hint) is tuple:
        return []
    if value is None or (value == "" and hint is not str):
        if optional:
            return None
        raise ValueError(f"{where} needs a value")
    number = _number(hint)
    if number is not None and not isinstance(value, bool):
        if number is int and float(value) != int(value):
            raise ValueError(f"{where} must be a whole number, not {value}")
        return number(value)
    if typing.get_origin(hint) is tuple:
        if isinstance(value, list):
            return value
        kind = typing.get_args(hint)[0]
        return [_item(where, kind, text) for text in str(value).split(",") if text.strip()]
    return value


def _item(where: str, kind: type, text: str) -> Any:
    try:
        return kind(text.strip())
    except ValueError as error:
        raise ValueError(
            f"{where} must be a list of {kind.__name__}, not {text.strip()!r}"
        ) from error
