"""The scripts and the keyboard map, as text."""

import json
import posixpath
import re
from pathlib import Path

import pytest
from httpx import Response
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.web import assets
from app.web.theme import stylesheet

FOLDER = Path(assets.__file__).parent
MODULES = assets.modules()
SCRIPTS = [path for path in MODULES.files if path.endswith(".js") and "/vendor/" not in path]
ALL = "".join(MODULES.files[path].decode() for path in SCRIPTS)
KEYS = json.loads((FOLDER / "keys.json").read_text())
# What a handler of each page offers: the names its script binds.
BINDERS = {
    "everywhere": "web/help/help.js",
    "player": "player/clock.js",
    "models": "models/models.js",
    "imagine": "imagine/dream_view.js",
    "takeover": "imagine/pad.js",
    "label": "label/judge.js",
    "compare": "label/compare.js",
    "episodes": "episodes/episodes.js",
    "drawer": "player/drawer.js",
    "train": "train/wall.js",
    "reward": "reward/reward.js",
}


@pytest.mark.parametrize("group", KEYS)
def test_no_key_has_two_meanings_on_one_page(group: str) -> None:
    keys = [entry["key"] for entry in KEYS[group]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(("group", "script"), BINDERS.items())
def test_every_key_leads_to_an_action_of_its_script(group: str, script: str) -> None:
    text = MODULES.files[script].decode()
    shared = MODULES.files["player/clock.js"].decode()
    if "answers(" in text:
        shared += MODULES.files["judging/answers.js"].decode()
    if "new Strokes" in text:
        shared += MODULES.files["label/strokes.js"].decode()
    unbound = [
        entry["action"]
        for entry in KEYS[group]
        if not re.search(rf"\b{entry['action']}\b", text + shared)
    ]
    assert unbound == []


def test_every_key_is_explained() -> None:
    assert all(entry["text"] for group in KEYS.values() for entry in group)


@pytest.mark.parametrize("path", SCRIPTS)
def test_what_a_module_imports_is_exported_there(path: str) -> None:
    text = MODULES.files[path].decode()
    for names, address in re.findall(r'^import \{([^}]*)\} from "([^"]+)"', text, re.MULTILINE):
        home = posixpath.normpath(posixpath.join(posixpath.dirname(path), address))
        if "/vendor/" in home:
            continue
        for name in re.findall(r"(\w+)(?: as \w+)?", names):
            assert MODULES.homes[name] == home, name


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_fits_on_a_screen(path: str) -> None:
    lines = MODULES.files[path].decode().split("\n")
    assert len(lines) <= 401
    assert max(map(len, lines)) <= 120


def test_a_name_is_exported_once() -> None:
    exported = re.findall(r"^export (?:const|class) (\w+)", ALL, re.MULTILINE)
    assert len(exported) == len(set(exported)) == len(MODULES.homes)


def test_modules_import_each_other_in_one_direction() -> None:
    for path in MODULES.files:
        for other in MODULES.graph(path)[1:]:
            assert path not in MODULES.graph(other), f"{path} and {other}"


@pytest.mark.parametrize(
    ("mount", "rooms"),
    [
        ("mountJudge", {"label", "judging", "player", "web"}),
        ("mountHeader", {"ui", "web"}),
        ("mountModels", {"models", "web"}),
    ],
)
def test_a_page_loads_no_module_of_another_page(mount: str, rooms: set[str]) -> None:
    assert {path.split("/")[0] for path in MODULES.graph(MODULES.homes[mount])} == rooms


def test_nothing_is_loaded_from_another_host() -> None:
    text = ALL + stylesheet() + assets.head("mountRunBoard")
    assert re.findall(r"https?://[^\s\"'`)]+", text) == []


@pytest.mark.parametrize(
    ("door", "script"), [("localStorage", "web/memory.js"), ("navigator.clipboard", "web/copy.js")]
)
def test_what_a_browser_may_refuse_is_asked_in_one_place(door: str, script: str) -> None:
    """Where it is refused, that place falls back and says what is true."""
    assert [path for path in SCRIPTS if door in MODULES.files[path].decode()] == [script]
    assert "sessionStorage" not in ALL


def serve(path: str) -> Response:
    with TestClient(Starlette(routes=assets.routes())) as client:
        return client.get(f"/{assets.PREFIX}/{path}")


def test_a_module_is_served_for_ever_under_the_version_of_all() -> None:
    answer = serve(f"{MODULES.version}/web/keys.js")
    assert answer.text == (FOLDER / "keys.js").read_text()
    assert "immutable" in answer.headers["cache-control"]
    assert serve(f"{MODULES.version}/web/keys.json").json() == KEYS


@pytest.mark.parametrize(
    "path", ["web/panel.py", "web/../../README.md", "..%2f..%2fREADME.md", "/etc/passwd", "web"]
)
def test_nothing_but_modules_is_served(path: str) -> None:
    assert serve(f"{MODULES.version}/{path}").status_code == 404


def test_another_version_is_not_served() -> None:
    assert serve("000000000000/web/keys.js").status_code == 404


def test_plotly_comes_from_the_installed_package() -> None:
    assert assets.plotly_script().stat().st_size > 1_000_000


def test_a_head_names_every_module_once() -> None:
    head = assets.head("mountHeader")
    paths = re.findall(rf'href="{assets.PREFIX}/{MODULES.version}/([^"]+)"', head)
    assert "ui/header.js" in paths
    assert len(paths) == len(set(paths)) == head.count("<link")


def variables(css: str, selector: str) -> set[str]:
    block = css.split(f"{selector} {{", 1)[1].split("}", 1)[0]
    return set(re.findall(r"(--[\w-]+):", block))


def test_dark_names_every_colour_that_light_names() -> None:
    css = stylesheet()
    assert variables(css, ":root") - {"--mono"} == variables(css, ".dark")
