"""Doors in a real browser: a foreign page, a foreign name, a frame, a proxy with a prefix."""

import http.client
import http.server
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Frame, Page, expect

from tests.e2e.conftest import (
    CHROMIUM,
    FLAGS,
    PATIENCE,
    Problems,
    Server,
    free_port,
    start_server,
    stock,
    visitor,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HUB = "huggingface.co"
# Everything that a page may try without asking: each gives what it could read, or "".
DRIVE = """async ({address, calls}) => {
  const found = [];
  const kinds = ["text/plain", "application/json", "multipart/form-data; boundary=x"];
  for (const [number, {path, body}] of calls.entries())  // the first of each in every way
    for (const kind of number % 40 ? kinds.slice(0, 1) : kinds)
      for (const mode of number % 40 ? ["no-cors"] : ["cors", "no-cors"]) {
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
    """Adds a prefix in front of the studio, as a notebook's does, or an `s` behind http, as the
    Hub's does; `names_itself`: says that the studio is called as the proxy calls it."""

    target, prefix, names_itself = "", "/user/me", False
    more: Mapping[str, str] = {}

    def do_GET(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def _pass(self) -> None:
        place = urlsplit(self.target)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name != "connection"}
        headers |= {"x-forwarded-host": self.headers["host"], **self.more}
        if self.names_itself:
            headers = {name: v for name, v in headers.items() if name.lower() != "host"}
            headers |= {"host": place.netloc}
        connection.request(self.command, self.path.removeprefix(self.prefix), body, headers)
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
def serving(
    handler: type[http.server.BaseHTTPRequestHandler],
    *,
    port: int = 0,
    certificate: Path | None = None,
) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
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


def judge(frame: Page | Frame, server: Server, episode: str) -> None:
    """Open a clip, judge it with a button, and wait until the studio has it."""
    expect(frame.get_by_role("definition").filter(has_text=episode)).to_be_visible()
    expect(frame.get_by_role("button", name="Pause the recording")).to_be_visible()
    frame.locator("button[data-do=success]").first.click()
    for _ in range(300):
        if (server.data / "labels.jsonl").exists() and episode in said(server):
            return
        frame.wait_for_timeout(100)
    raise AssertionError(f"{episode} was not judged")


def said(server: Server) -> dict[str, str]:
    """Who judged which episode, as the log has it."""
    lines = (server.data / "labels.jsonl").read_text().splitlines()
    events = [json.loads(line.partition(" ")[2]) for line in lines]
    return {event["episode_id"]: event["actor"] for event in events}


@pytest.fixture(scope="module")
def prefixed(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """A studio behind a prefix, and the port that its proxy has to take."""
    root, port = tmp_path_factory.mktemp("prefixed"), free_port()
    stock(root / "data", 2)
    variables = {"GRADIO_ROOT_PATH": "/user/me", "WMPO_HOSTS": f"127.0.0.1:{port}"}
    server = start_server(root, demo, **variables)
    yield server, port
    server.process.terminate()
    server.process.wait(60)


@pytest.mark.soak
@pytest.mark.parametrize("names_itself", [False, True])
def test_a_page_works_behind_a_prefix_and_in_a_notebook(
    browser: Browser, prefixed: tuple[Server, int], names_itself: bool, problems: Problems
) -> None:
    server, port = prefixed
    told = {"target": server.address, "names_itself": names_itself}
    handler = type("Proxy", (_Proxy,), told)
    episode = f"journey-{int(names_itself):02d}"
    with serving(handler, port=port) as proxy, visitor(browser, server, problems) as page:
        page.goto(f"{proxy}/user/me/label?episode={episode}")
        judge(page, server, episode)


def certificate_of(folder: Path) -> Path:
    """A certificate that nobody but a browser without scruples believes."""
    path, key = folder / "both.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=studio", "-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@pytest.mark.soak
def test_the_hub_frames_a_space_and_nobody_else_does(
    browser: Browser, demo: Path, tmp_path: Path
) -> None:
    stock(tmp_path / "data", 1)
    space = {"SPACE_ID": "me/it", "SPACE_HOST": "me-it.hf.space", "SYSTEM": "spaces"}
    server = start_server(tmp_path, demo, **space)
    frame = b"<iframe src='https://me-it.hf.space/label?episode=journey-00' width=1200 height=800>"

    class Hub(_Foreign):
        """A page that frames the Space, whatever site it is of."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(frame)

    more = {"x-forwarded-proto": "https", "x-forwarded-for": "10.0.0.8"}
    told = {"target": server.address, "prefix": "", "more": more}
    certificate = certificate_of(tmp_path)
    with (
        serving(Hub, certificate=certificate) as hub,
        serving(type("Proxy", (_Proxy,), told), certificate=certificate) as proxy,
    ):
        rules = [f"MAP {name}:443 127.0.0.1:{urlsplit(hub).port}" for name in (HUB, "evil.example")]
        rules.append(f"MAP me-it.hf.space:443 127.0.0.1:{urlsplit(proxy).port}")
        flags = [flag for flag in FLAGS if "resolver" not in flag]
        flags += [f"--host-resolver-rules={', '.join(rules)}", "--ignore-certificate-errors"]
        other = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
        page = other.new_page(ignore_https_errors=True, viewport={"width": 1300, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(f"https://{HUB}/spaces/me/it")
        inner = page.frame_locator("iframe").owner.element_handle().content_frame()
        assert inner is not None
        judge(inner, server, "journey-00")
        assert re.fullmatch(r"guest:[\w-]{22}", said(server)["journey-00"])
        page.goto("https://evil.example/")
        page.wait_for_timeout(2_000)
        assert page.frames[-1].locator("header.wm-header").count() == 0
        other.close()
    server.process.terminate()
    server.process.wait(60)


FORBIDDEN = """Object.defineProperty(window, "localStorage", {get: () => {
  throw new DOMException("Access is denied for this document.", "SecurityError"); }});
Object.defineProperty(navigator, "clipboard", {value: undefined});"""
FULL = """for (let size = 1 << 20; size >= 1; size = Math.floor(size / 2))
  try { for (let n = 0; ; n++) localStorage.setItem(`filler ${size} ${n}`, "x".repeat(size)); }
  catch { continue; }"""


@pytest.mark.parametrize("script", [FORBIDDEN, FULL])
def test_a_label_arrives_from_a_browser_that_keeps_nothing(
    browser: Browser, server: Server, problems: Problems, script: str
) -> None:
    episode = "journey-20" if script == FULL else "journey-21"
    with visitor(browser, server, problems) as page:
        page.add_init_script(script)
        page.goto(f"/label?episode={episode}")
        judge(page, server, episode)
        expect(page.get_by_text("This browser keeps nothing here")).to_be_visible()


def test_what_cannot_be_copied_is_shown_to_be_copied_by_hand(
    browser: Browser, server: Server, problems: Problems
) -> None:
    with visitor(browser, server, problems) as page:
        page.add_init_script(FORBIDDEN)
        page.goto("/models")
        page.get_by_text("Hash, revision and config").first.click()
        page.get_by_role("button", name=re.compile("^Copy the hash")).first.click()
        field = page.get_by_role("dialog", name="Copy by hand").locator("textarea")
        expect(field).to_be_visible()
        box = field.bounding_box()
        assert box is not None and box["width"] > 40 and box["height"] > 20
        text = field.input_value()
        assert re.fullmatch(r"[0-9a-f]{64}", text)
        assert page.evaluate("getSelection().toString()") == text
        expect(page.get_by_text("The hash is copied.")).to_have_count(0)


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
