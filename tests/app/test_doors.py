"""Who may reach the studio: names, origins, kinds of call, and what its answers forbid."""

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.web.doors import DoorRules, Doors, door_rules

CALL = "/gradio_api/component_server"


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse("reached")


async def _page(request: Request) -> HTMLResponse:
    return HTMLResponse("<head><script>a()</script><script src='x.js'></script></head>")


def client(**rules: Any) -> TestClient:
    routes = [
        Route("/", _page),
        Route("/{path:path}", _echo, methods=["GET", "POST", "OPTIONS"]),
    ]
    middleware = [Middleware(Doors, rules=DoorRules(**rules))]
    app = Starlette(routes=routes, middleware=middleware)
    return TestClient(app, base_url="http://127.0.0.1:7860")


def ask(method: str, path: str, rules: dict[str, Any], **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client(**rules).request(method, path, headers=named, content="{}").status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("studio.localhost:7860", 200),
        ("[::1]:7860", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:7860", 403),
        ("192.168.1.7:7860", 403),
        ("", 403),
        ("a b", 403),
        ("[", 403),
    ],
)
def test_a_foreign_name_of_this_machine_is_refused(host: str, status: int) -> None:
    assert ask("GET", "/", {}, host=host) == status


def test_a_named_proxy_and_on_every_address_a_bare_one_are_ours() -> None:
    assert ask("GET", "/", {"hosts": frozenset({"hub.lab"})}, host="hub.lab") == 200
    assert ask("GET", "/", {"any_address": True}, host="192.168.1.7:7860") == 200
    assert ask("GET", "/", {"any_address": True}, host="evil.example") == 403


def test_a_cookie_that_takes_long_to_read_is_left_out() -> None:
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.headers["cookie"])

    app = Starlette(routes=[Route("/", told)], middleware=[Middleware(Doors, rules=DoorRules())])
    browser = TestClient(app, base_url="http://127.0.0.1:7860")
    long = 'x="' + "\\" * 60_000 + '"'
    assert browser.get("/", headers={"cookie": f"a=1;{long}; b=2"}).text == "a=1; b=2"
    assert browser.get("/", headers={"cookie": "a=1; b=2"}).text == "a=1; b=2"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        ("https://evil.example", 403),
        ("http://127.0.0.1:8000", 403),
        ("http://localhost:7860", 403),
        ("null", 403),
        ("http://127.0.0.1:7860.evil.example", 403),
        ("file://", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_origin_drives_and_reads_nothing(
    method: str, origin: str, status: int
) -> None:
    found = ask(method, CALL, {}, host="127.0.0.1:7860", origin=origin, **_json())
    assert found == status


def test_a_page_behind_a_proxy_that_rewrites_the_host_passes_by_its_name() -> None:
    rules = {"hosts": frozenset({"hub.lab"})}
    headers = {"host": "127.0.0.1:7860", "origin": "https://hub.lab", **_json()}
    assert ask("POST", CALL, rules, **headers) == 200
    assert ask("POST", CALL, {}, **headers) == 403
    assert ask("POST", CALL, rules, **(headers | {"origin": "https://hub.lab:8000"})) == 403
    rules = {"hosts": frozenset({"hub.lab:8000"})}
    assert ask("POST", CALL, rules, **(headers | {"origin": "https://hub.lab:8000"})) == 200


def test_a_program_without_an_origin_passes() -> None:
    assert ask("POST", CALL, {}, host="localhost:7860", **_json()) == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "multipart/form-data", "application/x-www-form-urlencoded"]
)
def test_a_call_is_json(kind: str) -> None:
    assert ask("POST", CALL, {}, host="localhost", content_type=kind) == 415


def test_an_upload_is_a_form() -> None:
    assert ask("POST", "/gradio_api/upload", {}, host="localhost", **_json()) == 415
    form = {"content_type": "multipart/form-data; boundary=x"}
    assert ask("POST", "/gradio_api/upload", {}, host="localhost", **form) == 200


@pytest.mark.parametrize(
    ("path", "mode", "status"),
    [
        ("/", "navigate", 200),
        (CALL, "navigate", 403),
        ("/", "no-cors", 403),
    ],
)
def test_another_site_may_link_to_a_page_and_embed_nothing(
    path: str, mode: str, status: int
) -> None:
    headers = {"sec_fetch_site": "cross-site", "sec_fetch_mode": mode}
    assert ask("GET", path, {}, host="localhost", **headers) == status


def test_a_page_runs_the_scripts_that_it_came_with_and_no_other() -> None:
    answer = client(frames=("https://huggingface.co",)).get("/")
    policy = answer.headers["content-security-policy"]
    [nonce] = re.findall(r"'nonce-([^']+)'", policy)
    assert answer.text.count(f'<script nonce="{nonce}"') == 2
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "frame-ancestors 'self' https://huggingface.co" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    other = client().get("/")
    assert other.headers["content-security-policy"].endswith("frame-ancestors 'self'")
    assert nonce not in other.text


def test_a_refusal_says_which_variable_admits_the_name() -> None:
    answer = client().get("/", headers={"host": "hub.lab"})
    assert "WMPO_HOSTS" in answer.json()["detail"]


def test_the_rules_come_from_the_environment() -> None:
    assert door_rules({}) == door_rules({"GRADIO_SERVER_NAME": "localhost"}) == DoorRules()
    assert door_rules({"GRADIO_SERVER_NAME": "studio.lab"}).hosts == {"studio.lab"}
    everywhere = {"GRADIO_SERVER_NAME": "0.0.0.0", "WMPO_HOSTS": "Hub.lab, other.lab"}
    assert door_rules(everywhere) == DoorRules(
        hosts=frozenset({"hub.lab", "other.lab"}), any_address=True
    )
    space = door_rules({"SPACE_ID": "me/it", "SPACE_HOST": "me-it.hf.space"} | everywhere)
    assert "me-it.hf.space" in space.hosts and "https://huggingface.co" in space.frames


def _json() -> dict[str, str]:
    return {"content_type": "application/json"}
