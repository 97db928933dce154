"""Doors in a real browser: a foreign page, a foreign name, a frame, a proxy with a prefix."""

import http.client
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import PATIENCE, Problems, Server, start_server, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGES = ("", "models", "imagine", "episodes", "label", "reward", "train", "evaluate", "data")
# Everything that a page may try without asking: each gives what it could read, or "".
DRIVE = """async ({address, calls}) => {
  const found = [];
  for (const {path, body} of calls)
    for (const kind of ["text/plain", "application/json", "multipart/form-data; boundary=x"])
      for (const mode of ["cors", "no-cors"]) {
        try {
          const answer = await fetch(address + path, {
            method: "POST", mode, credentials: "include", body, headers: {"content-type": kind}});
          found.push(await answer.text());
        } catch (error) { found.push(""); }
      }
  for (const path of ["/", "/config", "/gradio_api/healthz", "/gradio_api/info"])
    try {
      found.push(await (await fetch(address + path)).text());
    } catch (error) { found.push(""); }
  return found.filter((text) => text && !text.includes("may not use this studio"));
}"""


class _Foreign(http.server.BaseHTTPRequestHandler):
    """A page of somebody else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title><p>nothing to see</p>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Proxy(_Foreign):
    """Adds a prefix in front of the studio and names itself as its host, as a notebook's does."""

    target = ""

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def _pass(self) -> None:
        place = urlsplit(self.target)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name != "connection"}
        headers |= {"x-forwarded-host": self.headers["host"], "x-forwarded-prefix": "/user/me"}
        connection.request(self.command, self.path.removeprefix("/user/me"), body, headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # the page went away
            while block := answer.read1(65_536):
                self.wfile.write(block)
                self.wfile.flush()


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def calls(server: Server) -> list[dict[str, str]]:
    """A request for every server function and every event of the studio."""
    place = urlsplit(server.address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    connection.request("GET", "/config")
    config = json.loads(connection.getresponse().read())
    found = []
    for component in config["components"]:
        for name in component["props"].get("server_fns", []):
            body = {"component_id": component["id"], "fn_name": name, "data": {}}
            body |= {"session_hash": "foreign"}
            path = "/gradio_api/component_server"
            found.append({"path": path, "body": json.dumps(body)})
    for event in config["dependencies"]:
        body = {"fn_index": event["id"], "data": [], "session_hash": "foreign"}
        found.append({"path": "/gradio_api/queue/join", "body": json.dumps(body)})
    return found


def test_a_foreign_page_drives_and_reads_nothing(browser: Browser, server: Server) -> None:
    tried = calls(server)
    assert len(tried) > 40
    with serving(_Foreign) as foreign:
        page = browser.new_page()
        page.goto(foreign)
        told = {"address": server.address, "calls": tried}
        assert page.evaluate(DRIVE, told) == []
        statuses: list[int] = []
        page.on("response", lambda answer: statuses.append(answer.status))
        page.set_content(f"<iframe src='{server.address}/label'></iframe>")
        page.wait_for_timeout(2_000)
        frame = page.frames[-1]
        assert "chrome-error" in frame.url or frame.locator("body").inner_text() == ""
        page.close()


def test_a_foreign_name_of_this_machine_reads_nothing(browser: Browser, server: Server) -> None:
    port = urlsplit(server.address).port
    page = browser.new_page()
    answer = page.goto(f"http://evil.example:{port}/")
    assert answer is not None and answer.status == 403
    assert "is no name of this studio" in page.locator("body").inner_text()
    read = page.evaluate(DRIVE, {"address": "", "calls": calls(server)[:5]})
    assert all("no name of this studio" in text for text in read), read
    page.close()


def test_a_page_works_behind_a_prefix(
    browser: Browser, demo: Path, tmp_path: Path, problems: Problems
) -> None:
    server = start_server(tmp_path, demo, GRADIO_ROOT_PATH="/user/me")
    try:
        handler = type("Proxy", (_Proxy,), {"target": server.address})
        with serving(handler) as proxy, visitor(browser, server, problems) as page:
            page.goto(f"{proxy}/user/me/")
            expect(page.locator("header.wm-header")).to_be_visible()
            page.goto(f"{proxy}/user/me/data")
            expect(page.get_by_text("Verify")).to_be_visible()
    finally:
        server.process.terminate()
        server.process.wait(60)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_breaks_its_own_policy(browser: Browser, server: Server, name: str) -> None:
    with visitor(browser, server, Problems()) as page:
        page.add_init_script(
            "window.broken = []; document.addEventListener('securitypolicyviolation', (event) =>"
            " window.broken.push(`${event.violatedDirective} ${event.blockedURI}`))"
        )
        page.goto(f"{server.address}/{name}")
        expect(page.locator("header.wm-header")).to_be_visible()
        page.wait_for_timeout(1_500)
        assert page.evaluate("window.broken") == []


def test_a_handler_in_an_attribute_does_not_run(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    page.goto(f"{server.address}/label")
    expect(page.locator("header.wm-header")).to_be_visible(timeout=PATIENCE)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.ran") is None
    page.close()


def test_the_client_works_as_before(server: Server) -> None:
    found = Client(server.address, verbose=False).predict(api_name="/list_checkpoints")
    assert found
