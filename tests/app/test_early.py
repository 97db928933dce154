"""The early script is in every page, before Gradio's own, and in nothing else."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.web.early import SCRIPT, EarlyScript

PAGE = "<!doctype html><html><head><title>t</title></head><body>é</body></html>"


def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


def bare(request: Request) -> Response:
    return HTMLResponse("gone", 404)


def data(request: Request) -> Response:
    return JSONResponse({"page": PAGE})


CLIENT = TestClient(
    Starlette(
        routes=[Route("/page", page), Route("/bare", bare), Route("/data", data)],
        middleware=[Middleware(EarlyScript)],
    )
)


def test_a_page_begins_with_the_script() -> None:
    answer = CLIENT.get("/page")
    assert answer.content == PAGE.encode().replace(b"<head>", b"<head>" + SCRIPT)
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_page_without_a_head_is_still_whole() -> None:
    answer = CLIENT.get("/bare")
    assert answer.status_code == 404
    assert answer.content == SCRIPT + b"gone"


def test_data_is_left_as_it_is() -> None:
    assert CLIENT.get("/data").json() == {"page": PAGE}
