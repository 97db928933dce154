"""A knob becomes an input, and its value comes back as a config."""

from dataclasses import dataclass, field

import gradio as gr
import pytest

from app.web.forms import Form
from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Inner(Config):
    """A nested config."""

    width: int = knob(8, "Width of the thing", low=1)


@dataclass(frozen=True, kw_only=True)
class Options(Config):
    """One knob of every kind."""

    policy: str = knob("", "Which policy")
    steps: int = knob(5, "How many steps", low=1, high=50)
    rate: float = knob(0.1, "Step size", low=0.0)
    limit: int | None = knob(None, "At most so many")
    careful: bool = knob(True, "Look twice")
    kind: str = knob("a", "Which kind", choices=("a", "b"))
    sizes: tuple[int, ...] = knob((1, 2), "Sizes")
    secret: str = knob("kept", "Not shown")
    inner: Inner = field(default_factory=Inner)


def make(**changes: object) -> Form:
    with gr.Blocks():
        return Form(Options(**changes), shown=("steps", "rate"), hidden=("secret",))


def values_of(form: Form) -> dict[str, object]:
    return {box.label: box.value for box in form.inputs}


def test_untouched_inputs_give_the_preset_back() -> None:
    form = make(steps=7, limit=3, sizes=(4, 5, 6), inner=Inner(width=16))
    assert form.parse(*values_of(form).values()) == form.preset


def test_a_hidden_knob_keeps_its_value_and_has_no_input() -> None:
    form = make(secret="mine")
    assert "Secret" not in values_of(form)
    assert form.parse(*values_of(form).values()).secret == "mine"


def test_an_input_says_what_its_knob_means() -> None:
    steps = next(box for box in make().inputs if box.label == "Steps")
    assert steps.info == "How many steps"


def test_every_input_has_a_label() -> None:
    assert all(box.label for box in make().inputs)


def test_names_to_choose_from_become_a_dropdown() -> None:
    with gr.Blocks():
        form = Form(Options(), choices={"policy": [("base", "demo/base")]})
    policy = next(box for box in form.inputs if box.label == "Policy")
    assert isinstance(policy, gr.Dropdown)
    assert policy.value == "demo/base"


def change(form: Form, label: str, value: object) -> list[object]:
    return list((values_of(form) | {label: value}).values())


@pytest.mark.parametrize(
    ("label", "value", "sentence"),
    [
        ("Steps", 0, "Options.steps must be at least 1, not 0"),
        ("Steps", None, "steps needs a value"),
        ("Steps", 2.5, "steps must be a whole number, not 2.5"),
        ("Rate", -1, "Options.rate must be at least 0"),
        ("Sizes", "1, two", "sizes must be a list of int, not 'two'"),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence(label: str, value: object, sentence: str) -> None:
    form = make()
    with pytest.raises(ValueError, match=sentence):
        form.parse(*change(form, label, value))


def test_whole_numbers_that_arrive_as_floats_are_whole_numbers() -> None:
    form = make()
    assert form.parse(*change(form, "Steps", 9.0)).steps == 9


def test_an_empty_optional_input_means_none() -> None:
    form = make(limit=3)
    assert form.parse(*change(form, "Limit", None)).limit is None


def test_an_empty_list_is_an_empty_list() -> None:
    form = make()
    values = [box.value for box in form.inputs]
    values[list(form.named).index("sizes")] = ""
    assert form.parse(*values).to_dict()["sizes"] == []


def test_showing_a_knob_that_does_not_exist_is_an_error() -> None:
    with gr.Blocks(), pytest.raises(ValueError, match="Options has no knob speed"):
        Form(Options(), shown=("speed",))


@dataclass(frozen=True, kw_only=True)
class Sources(Config):
    """A list of names."""

    names: tuple[str, ...] = knob((), "Which runs")


def test_several_names_can_be_chosen_where_a_knob_is_a_list_of_them() -> None:
    with gr.Blocks():
        form = Form(Sources(), choices={"names": [("Run one", "one"), ("Run two", "two")]})
    [box] = form.inputs
    assert isinstance(box, gr.Dropdown) and box.multiselect
    assert form.parse(["two", "one"]) == Sources(names=("two", "one"))
