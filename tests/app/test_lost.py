"""Addresses without a page, the six places, and what the header makes of them."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.ui.header import header_html
from app.ui.lost import Lost
from app.ui.places import PLACES, address, place_of

BROWSER = {"accept": "text/html,application/xhtml+xml"}


def page(request: Request) -> Response:
    return HTMLResponse("here")


CLIENT = TestClient(
    Starlette(routes=[Route("/train", page)], middleware=[Middleware(Lost)]),
    follow_redirects=False,
)


def test_a_page_that_is_there_is_passed_on() -> None:
    assert CLIENT.get("/train", headers=BROWSER).text == "here"


def test_a_browser_at_a_wrong_address_is_told_so_and_shown_the_places() -> None:
    answer = CLIENT.get("/<script>nobody", headers=BROWSER)
    assert answer.status_code == 404
    assert "There is no page here" in answer.text
    assert "&lt;script&gt;nobody" in answer.text and "<script>" not in answer.text
    assert all(f">{place.name}</a>" in answer.text for place in PLACES)


def test_programs_and_calls_get_the_plain_404() -> None:
    assert CLIENT.get("/nobody", headers={"accept": "application/json"}).text == "Not Found"
    assert CLIENT.get("/gradio_api/nobody", headers=BROWSER).text == "Not Found"


@pytest.mark.parametrize(("old", "new"), [("library", "/episodes"), ("start", "/")])
def test_names_that_people_try_lead_to_their_page(old: str, new: str) -> None:
    answer = CLIENT.get(f"/{old}", headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (307, new)


def test_a_place_is_marked_on_all_of_its_pages() -> None:
    html = header_html("Reward", "CPU")
    assert '<a href="./episodes" aria-current=page>Library</a>' in html
    assert '<a href="./reward" aria-current=page>Reward judge</a>' in html
    assert html.count("☰ Library") == 1


def test_places_without_tabs_show_none() -> None:
    assert "wm-tabs" not in header_html("Train", "CPU")
    assert (place_of("Evaluate").name, address("Start")) == ("Evaluate", "")
