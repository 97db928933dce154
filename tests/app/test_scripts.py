"""The scripts and the keyboard map, as text."""

import json
import re
from pathlib import Path

import pytest

from app.web import assets
from app.web.theme import stylesheet

FOLDER = Path(assets.__file__).parent
SCRIPTS = {path.stem: path for path in FOLDER.parent.glob("*/*.js")}
KEYS = json.loads((FOLDER / "keys.json").read_text())
# What a handler of each page offers: the names its script binds.
BINDERS = {
    "everywhere": "help",
    "player": "player",
    "models": "models",
    "imagine": "dream_view",
    "takeover": "pad",
    "label": "judge",
    "compare": "compare",
    "episodes": "episodes",
    "drawer": "drawer",
    "train": "wall",
    "reward": "reward",
}


def test_the_keyboard_map_is_part_of_the_script() -> None:
    assert json.dumps(KEYS["label"][0])[1:-1] in assets.studio_script()


@pytest.mark.parametrize("group", KEYS)
def test_no_key_has_two_meanings_on_one_page(group: str) -> None:
    keys = [entry["key"] for entry in KEYS[group]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(("group", "script"), BINDERS.items())
def test_every_key_leads_to_an_action_of_its_script(group: str, script: str) -> None:
    text = SCRIPTS[script].read_text()
    shared = SCRIPTS["player"].read_text()
    if "WMPO.Strokes" in text:
        shared += SCRIPTS["strokes"].read_text()
    unbound = [
        entry["action"]
        for entry in KEYS[group]
        if not re.search(rf"\b{entry['action']}\b", text + shared)
    ]
    assert unbound == []


def test_every_key_is_explained() -> None:
    assert all(entry["text"] for group in KEYS.values() for entry in group)


def test_every_script_is_served() -> None:
    assert set(SCRIPTS) == set(assets.SCRIPTS)


def test_nothing_is_loaded_from_another_host() -> None:
    text = assets.studio_script() + stylesheet() + assets.head(charts=True)
    assert re.findall(r"https?://[^\s\"'`)]+", text) == []


def test_plotly_comes_from_the_installed_package() -> None:
    assert assets.plotly_script().stat().st_size > 1_000_000


def test_an_address_changes_with_what_it_serves() -> None:
    assert re.fullmatch(
        r'<script src="gradio_api/assets/studio\.js\?v=[0-9a-f]{12}"></script>', assets.head()
    )


def variables(css: str, selector: str) -> set[str]:
    block = css.split(f"{selector} {{", 1)[1].split("}", 1)[0]
    return set(re.findall(r"(--[\w-]+):", block))


def test_dark_names_every_colour_that_light_names() -> None:
    css = stylesheet()
    assert variables(css, ":root") - {"--mono"} == variables(css, ".dark")
