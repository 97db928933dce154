"""Visitors of a Space: each has a name of their own, and so many requests in so much time.

Buckets are asked before Gradio's queue, which is one for all: whoever asks too often is told so
with 429, and nobody else waits for it. They are of the visitor and of the address, because a new
visitor costs nothing.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.visitors import Seal, asking

COOKIE = "wmpo_visitor"
YEAR = 365 * 86_400
MOST_KNOWN = 20_000  # buckets; those that were not asked for longest are forgotten


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` tokens that fills by `per_second`."""

    per_second: float
    burst: float


CALLS, QUEUED, UPLOADS = Rate(15.0, 60.0), Rate(1.0, 8.0), Rate(0.1, 6.0)
# One address may be a school: it has several times what one visitor has.
OF_ADDRESS = 3.0


class Buckets:
    """Token buckets by name.

    Args:
        clock: seconds, monotonic: a jump of the time of day locks nobody out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def take(self, kind: str, name: str, rate: Rate) -> float:
        """Take a token; 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            level, then = self._levels.pop((kind, name), (rate.burst, now))
            level = min(rate.burst, level + (now - then) * rate.per_second)
            wait = 0.0 if level >= 1 else (1 - level) / rate.per_second
            self._levels[kind, name] = (level if wait else level - 1, now)
            while len(self._levels) > MOST_KNOWN:
                self._levels.popitem(last=False)
        return wait


class Sessions:
    """ASGI middleware of a public studio; right behind the doors."""

    def __init__(self, app: ASGIApp, *, seal: Seal, buckets: Buckets | None = None) -> None:
        self._app, self._seal = app, seal
        self._buckets = buckets or Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say who asks, refuse who asks too often, and name who is new."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, address = Headers(scope=scope), _address(scope)
        known = _logged_in(scope) or self._seal.read(_cookie(headers))
        name = known or f"at-{address}"
        wait = self._wait(scope, name, address)
        if wait:
            sentence = f"That was too often: ask again in {math.ceil(wait)} s."
            refusal = JSONResponse({"detail": sentence}, status_code=429)
            refusal.headers["retry-after"] = str(math.ceil(wait))
            await refusal(scope, receive, send)
            return
        with asking(name):
            await self._app(scope, receive, send if known else self._naming(scope, send))

    def _wait(self, scope: Scope, name: str, address: str) -> float:
        if scope["method"] not in ("POST", "PUT", "PATCH", "DELETE"):
            return 0.0
        path = scope["path"]
        kind, rate = ("call", CALLS)
        if path.endswith("/upload"):
            kind, rate = "upload", UPLOADS
        elif path.endswith("/queue/join") or "/gradio_api/call/" in path:
            kind, rate = "queue", QUEUED
        larger = Rate(rate.per_second * OF_ADDRESS, rate.burst * OF_ADDRESS)
        return self._buckets.take(kind, name, rate) or self._buckets.take(
            kind, f"at {address}", larger
        )

    def _naming(self, scope: Scope, send: Send) -> Send:
        async def put(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "GET":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    secure = Headers(scope=scope).get("x-forwarded-proto", scope["scheme"])
                    frame = "SameSite=None; Secure; Partitioned"  # the Hub frames a Space
                    manner = frame if secure.startswith("https") else "SameSite=Lax"
                    value = f"{COOKIE}={self._seal.new()}; Path=/; HttpOnly; Max-Age={YEAR}"
                    headers.append("set-cookie", f"{value}; {manner}")
            await send(message)

        return put


def _address(scope: Scope) -> str:
    """Who sends: the last address that a proxy wrote down, for earlier ones may be invented."""
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    client = scope.get("client")
    return (forwarded or (client[0] if client else ""))[:64]


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _logged_in(scope: Scope) -> str:
    """The Hub's name of a visitor who logged in through Gradio's own OAuth."""
    session = scope.get("session") or {}
    person = (session.get("oauth_info") or {}).get("userinfo") or {}
    name = str(person.get("preferred_username") or "")
    return f"hub-{name}"[:60] if name else ""
