"""The pages as Gradio sees them: what is public, what is where, what a handler does."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from gradio.routes import App

from app.live.models import Models
from app.studio import Studio
from app.train.methods import methods, offered
from app.ui import site as ui
from app.ui.open_pages import OpenPages
from app.ui.wire import WIRE, declarations, served_by
from storage.workspace import open_workspace
from tests.app.conftest import START, load_fake, make_demo

PUBLIC = {
    "list_checkpoints",
    "list_episodes",
    "get_episode",
    "imagine",
    "next_item",
    "label",
    "rm_audit",
    "start_run",
    "run_status",
    "stop_run",
}


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gr.Blocks]:
    root = tmp_path_factory.mktemp("studio")
    studio = Studio(
        open_workspace(root / "data"),
        demo=make_demo(root / "demo"),
        models=Models(load_fake),
        supervise=False,
    )
    yield ui.build(
        studio,
        device="CPU · 2 cores",
        instruction="push the mug",
        horizon=48,
    )
    studio.close()


def function(blocks: gr.Blocks, name: str) -> Any:
    return next(fn.fn for fn in blocks.fns.values() if fn.name == name)


def test_a_page_may_be_built_without_a_server_of_its_own(blocks: gr.Blocks) -> None:
    with ui.without_a_server(), gr.Blocks() as page:
        gr.Markdown("text")
    with gr.Blocks() as last:
        gr.Markdown("text")
    assert page.app is None
    assert isinstance(last.app, App) and isinstance(blocks.app, App)


def test_the_public_endpoints_are_those_of_the_design(blocks: gr.Blocks) -> None:
    public = {fn.api_name for fn in blocks.fns.values() if fn.api_visibility == "public"}
    assert public == PUBLIC


def test_a_page_that_is_open_keeps_what_it_changed_and_no_copy_of_the_layout() -> None:
    with gr.Blocks() as blocks:
        choice = gr.Radio(["a"], value="a")
        gr.Markdown("text " * 10_000)
    pages = OpenPages()
    pages.set_blocks(blocks)
    pages["one"][choice._id] = gr.Radio(["b"], value="b", render=False)
    assert pages["one"][choice._id].choices == [("b", "b")]
    assert pages["two"][choice._id].choices == [("a", "a")]
    held = [state.config_values for state in pages.session_data.values()]
    assert sum(len(str(values)) for values in held) < 10_000


def test_every_public_endpoint_says_what_it_does(blocks: gr.Blocks) -> None:
    described = blocks.get_api_info()["named_endpoints"]
    assert {f"/{name}" for name in PUBLIC} == set(described)
    assert all(endpoint["description"] for endpoint in described.values())


def test_what_the_scripts_are_checked_against_is_current(blocks: gr.Blocks) -> None:
    assert WIRE.read_text() == declarations(served_by(blocks)), "run python -m app.ui.wire"


def test_the_pages_are_where_their_links_lead(blocks: gr.Blocks) -> None:
    assert [(path, name) for path, name, _ in blocks.pages] == [
        ("", "Home"),
        ("models", "Models"),
        ("imagine", "Imagine"),
        ("episodes", "Episodes"),
        ("label", "Label"),
        ("reward", "Reward"),
        ("train", "Train"),
        ("evaluate", "Evaluate"),
        ("fidelity", "Fidelity"),
        ("trials", "Trials"),
        ("data", "Data"),
    ]


def test_no_page_has_more_than_120_components(blocks: gr.Blocks) -> None:
    pages = blocks.get_config_file()["page"]
    assert {name: len(page["components"]) for name, page in pages.items()} | {} == {
        name: min(len(page["components"]), 120) for name, page in pages.items()
    }


def test_every_native_input_has_a_visible_label(blocks: gr.Blocks) -> None:
    inputs = [
        block
        for block in blocks.blocks.values()
        if isinstance(block, gr.Textbox | gr.Number | gr.Dropdown | gr.Checkbox)
    ]
    assert inputs
    assert [box for box in inputs if not box.label or box.show_label is False] == []


def test_every_page_on_which_something_can_be_said_has_the_same_door(blocks: gr.Blocks) -> None:
    panels = [block for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    names = {panel: {fn.__name__ for fn in panel.server_fns} for panel in panels}
    doors = [panel for panel in panels if {"judge", "said"} <= names[panel]]
    mounts = "mountDream", "mountEpisodes", "mountJudge", "mountReward", "mountRunPanel"
    found = [mount for mount in mounts for door in doors if f"{mount}(" in door.js_on_load]
    assert (len(doors), found) == (5, list(mounts))
    assert [fn.name for fn in blocks.fns.values() if fn.name == "on_judge"] == []


def test_a_public_endpoint_answers_with_what_the_studio_knows(blocks: gr.Blocks) -> None:
    found = function(blocks, "list_checkpoints")("world_model")
    assert [record["id"] for record in found] == ["demo/world"]


def test_an_episode_can_be_imagined_judged_and_read_through_the_api(blocks: gr.Blocks) -> None:
    record = function(blocks, "imagine")(
        "demo/base", "demo/world", "demo/reward", START, "get brighter", 1, 1
    )
    function(blocks, "label")(record["id"], "success", None, "event-0001")
    [listed] = function(blocks, "list_episodes")({"labelled": True})
    assert listed["label"]["outcome"] == "success"
    clip = function(blocks, "get_episode")(record["id"])
    assert len(clip["frames"]) == len(clip["actions"]) + 1


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("get_episode", ("nobody",), "there is no episode nobody"),
        ("list_episodes", ({"colour": "red"},), "no filter colour"),
        ("run_status", ("run-9",), "there is no run run-9"),
        ("list_checkpoints", ("chef",), "role must be one of"),
    ],
)
def test_a_refusal_reaches_the_client_as_its_sentence(
    blocks: gr.Blocks, name: str, arguments: tuple[Any, ...], sentence: str
) -> None:
    with pytest.raises(gr.Error, match=sentence):
        function(blocks, name)(*arguments)


def test_a_form_out_of_range_is_refused_in_a_sentence(blocks: gr.Blocks) -> None:
    [launch] = [fn for fn in blocks.fns.values() if fn.name == "on_launch"]
    boxes = [box.label for box in launch.inputs]
    values = [box.value for box in launch.inputs]
    values[boxes.index("Iterations")] = 0
    with pytest.raises(gr.Error, match=r"iterations must be at least 1, not 0"):
        function(blocks, "on_launch")(*values)


def test_no_size_decides_a_knob_without_an_input() -> None:
    """A form keeps the first size's value of what it does not draw."""
    for method in methods():
        for values in method.sizes.values():
            nested = [set(value) for value in values.values() if isinstance(value, dict)]
            assert set(values).union(*nested).isdisjoint(offered()[method.job].hidden), method.name
