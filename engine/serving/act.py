"""The server: one policy, one question at a time, `POST /act` and `GET /`."""

import json
import logging
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.protocols import Policy
from engine.recordings.plan import RecordingPlan, shaped_frame
from engine.seeding import generator
from engine.serving.act_messages import Asked, AskedWrongError, answer_of, parse_asked

LARGEST_BODY = 32 * 2**20
MOST_WAITING = 4
SECONDS = 30.0  # a client that stops sending is left

logger = logging.getLogger(__name__)


class Actor:
    """A policy that answers, one question at a time.

    Args:
        size: side of the frames that it was trained on.
        plan: how the recordings that it was trained on were cropped, turned and resized; without
            one a frame must have the size already.
    """

    def __init__(self, policy: Policy, size: int, plan: RecordingPlan | None = None) -> None:
        self._policy, self._size = policy, size
        self._plan = None if plan is None else plan.replace(stride=1, size=size)
        self._turn = threading.Lock()
        self.latencies: list[float] = []

    def act(self, asked: Asked) -> npt.NDArray[np.float32]:
        """The raw actions [k, a] of the next chunk: greedy, as the policy is evaluated.

        Raises:
            AskedWrongError: a frame of another size.
        """
        frame = self._framed(asked.image)
        with self._turn, torch.no_grad():
            began = time.perf_counter()
            chunk = self._policy.act(
                torch.from_numpy(frame.copy())[None],
                [asked.instruction],
                [generator(0, "policy", 0, 0, 0)],
                0.0,
            )
            normalised = chunk.actions[0].double().cpu().numpy()
            self.latencies = [*self.latencies[-99:], time.perf_counter() - began]
        return self._policy.normalization.denormalize(normalised).astype(np.float32)

    def warm_up(self, times: int = 3) -> float:
        """Answer a grey frame some times; seconds of the last."""
        frame = np.full((self._size, self._size, 3), 127, np.uint8)
        plan, self._plan = self._plan, None
        for _ in range(times):
            self.act(Asked(frame, "", False))
        self._plan = plan
        return self.latencies[-1]

    def _framed(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self._plan is not None:
            try:
                return shaped_frame(self._plan, image)
            except ValueError as error:
                raise AskedWrongError(str(error)) from error
        if image.shape[:2] != (self._size, self._size):
            raise AskedWrongError(
                f"image must be {self._size}×{self._size} pixels, not {image.shape[0]}×"
                f"{image.shape[1]}: crop and resize it as the recordings were (--like RUN does it)"
            )
        return image


def make_server(actor: Actor, host: str, port: int, *, token: str = "") -> ThreadingHTTPServer:
    """A server that is bound and not yet serving; with a token only who knows it is answered."""
    places = threading.BoundedSemaphore(MOST_WAITING)

    class Handler(BaseHTTPRequestHandler):
        """Answers one client."""

        protocol_version = "HTTP/1.1"
        timeout = SECONDS

        def do_GET(self) -> None:
            """Whether it is there, and how fast."""
            if not self._may():
                return
            last = actor.latencies[-1] if actor.latencies else None
            self._say(HTTPStatus.OK, json.dumps({"ok": True, "seconds": last}).encode())

        def do_POST(self) -> None:
            """Act."""
            if not self._may():
                return
            if self.path.split("?")[0].rstrip("/") != "/act":
                self._refuse(HTTPStatus.NOT_FOUND, "ask POST /act")
                return
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                self._refuse(HTTPStatus.LENGTH_REQUIRED, "the request needs a Content-Length")
            elif int(length) > LARGEST_BODY:
                self._refuse(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"a request may have {LARGEST_BODY // 2**20} MB, not {int(length) / 2**20:.0f}",
                )
            elif not places.acquire(blocking=False):
                self._refuse(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"{MOST_WAITING} requests are waiting: one robot at a time",
                )
            else:
                try:
                    self._act(self.rfile.read(int(length)))
                finally:
                    places.release()

        def _act(self, body: bytes) -> None:
            try:
                asked = parse_asked(body)
                self._say(HTTPStatus.OK, answer_of(actor.act(asked), asked))
            except AskedWrongError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error), keep=True)

        def _may(self) -> bool:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not token or secrets.compare_digest(given.encode(), token.encode()):
                return True
            self._refuse(HTTPStatus.UNAUTHORIZED, "say the token: Authorization: Bearer TOKEN")
            return False

        def _refuse(self, status: HTTPStatus, sentence: str, *, keep: bool = False) -> None:
            self.close_connection = self.close_connection or not keep
            self._say(status, json.dumps({"error": sentence}).encode())

        def _say(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            logger.info("%s %s", self.address_string(), format % args)

    return ThreadingHTTPServer((host, port), Handler)
