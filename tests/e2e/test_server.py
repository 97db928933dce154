"""What the server shows to those who do not come with a browser, and what it does not."""

import json
import urllib.error
import urllib.request

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.app.test_ui import PUBLIC
from tests.e2e.conftest import Server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def status(address: str) -> int:
    """The HTTP status of a GET."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_health_is_json_under_gradios_prefix(server: Server) -> None:
    with urllib.request.urlopen(f"{server.address}/gradio_api/healthz", timeout=60) as answer:
        health = json.load(answer)
    assert health["ok"] is True
    assert health["episodes"] > 0


@pytest.mark.parametrize("name", ["studio.duckdb", "labels.jsonl", "runs"])
def test_the_data_directory_cannot_be_downloaded(server: Server, name: str) -> None:
    assert status(f"{server.address}/gradio_api/file={server.data / name}") in (403, 404)


def test_unknown_assets_are_not_found(server: Server) -> None:
    assert status(f"{server.address}/gradio_api/assets/secrets.txt") == 404


def test_charts_come_from_this_server(server: Server) -> None:
    assert status(f"{server.address}/gradio_api/assets/plotly.min.js") == 200


def test_the_client_sees_the_public_endpoints_and_no_other(server: Server) -> None:
    described = Client(server.address, verbose=False).view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {f"/{name}" for name in PUBLIC}
    assert described["unnamed_endpoints"] == {}


def test_an_episode_is_judged_through_the_client(server: Server) -> None:
    client = Client(server.address, verbose=False)
    event = client.predict(
        episode_id="journey-15",
        outcome="unsure",
        dream_broke=True,
        event_id="client-0001",
        api_name="/label",
    )
    assert event["saved"] == "client-0001"
    judged = client.predict({"labelled": True}, api_name="/list_episodes")
    assert "journey-15" in {record["id"] for record in judged}


def test_a_refusal_reaches_the_client_as_its_sentence(server: Server) -> None:
    client = Client(server.address, verbose=False)
    with pytest.raises(AppError, match="there is no episode nobody"):
        client.predict("nobody", api_name="/get_episode")
