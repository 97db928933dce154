"""So much at once and in so much time: asked of every request of a public studio, before Gradio's
queue and threads, which are there for all.

Limits are of the visitor and of the address, because a new visitor costs nothing. Who asks too
often is told so with 429; of what somebody may ask, little is answered at once, and the rest waits
its turn, so nobody else waits for it.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access import MEGABYTE, OF_ADDRESS, Access
from app.rates import TooMuchError
from app.visitors import Person, Role, person

OPEN = 64  # requests of one visitor that wait, or whose answers are on their way
LONGEST_QUESTION = 2  # megabytes
JOIN, CALLS = "/queue/join", "calls of the API"
# What a page asks for, and what is made anew for each who asks.
PARTS = ("/gradio_api/", "/assets/", "/static/", "/svelte/", "/theme.css", "/favicon", "/manifest")
DESCRIPTIONS = ("/info", "/openapi.json")
ASKING = ("POST", "PUT", "PATCH", "DELETE")


class Turnstile:
    """ASGI middleware of a public studio, behind `Sessions`.

    Args:
        waiting: how many events of a visitor wait in Gradio's queue or are answered now.
        function: the name of the function that Gradio knows by a number; empty for no such.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        waiting: Callable[[str], int] = lambda name: 0,
        function: Callable[[int], str] = lambda number: "",
    ) -> None:
        self._app, self._access, self._waiting = app, access, waiting
        self._function = function
        self._open: Counter[str] = Counter()
        self._turns: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is too much; let the rest pass when it is its turn."""
        who = person()
        if scope["type"] != "http" or who is None or who.role is Role.ADMIN:
            await self._app(scope, receive, send)
            return
        try:
            self._count(scope, who)
            async with self._turn(scope, who):
                if kind_of(scope) == CALLS:
                    receive = await self._paid(scope, receive)
                await self._app(scope, receive, send)
        except TooMuchError as error:
            refusal = JSONResponse({"detail": str(error)}, status_code=429)
            if error.wait:
                refusal.headers["retry-after"] = str(math.ceil(error.wait))
            await refusal(scope, receive, send)

    def _count(self, scope: Scope, who: Person) -> None:
        """Refuse a request that came too soon, or whose file is too much for today."""
        what, limits = kind_of(scope), self._access.limits
        self._access.spend(what)
        megabytes = _length(scope) / MEGABYTE
        if what == "uploads":
            for kind in ("megabytes of uploads", "megabytes of uploads today"):
                self._access.spend(kind, megabytes)
        elif megabytes > LONGEST_QUESTION:
            raise TooMuchError(f"a question may have {LONGEST_QUESTION} MB, not {megabytes:.0f}")
        if what == CALLS and limits.waiting_events is not None:
            waiting = self._waiting(who.name)
            if waiting >= limits.waiting_events:
                raise TooMuchError(f"{waiting} of your calls wait already: wait for one of them")

    async def _paid(self, scope: Scope, receive: Receive) -> Receive:
        """Count what a call will take before it waits in the queue; its body, to be read again."""
        body = await _whole(receive)
        path = scope["path"].rstrip("/")
        named = path.rpartition("/")[2]
        self._access.prepay(self._numbered(body) if path.endswith(JOIN) else named)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        return again

    def _numbered(self, body: bytes) -> str:
        """The function that a body asks for by its number."""
        try:
            number = json.loads(body)["fn_index"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
        return self._function(number) if isinstance(number, int) else ""

    @asynccontextmanager
    async def _turn(self, scope: Scope, who: Person) -> AsyncIterator[None]:
        shares = ((who.name, 1.0), (f"at {who.place}", OF_ADDRESS))
        with ExitStack() as opened:
            for name, times in shares:
                opened.enter_context(self._opened(name, int(times * OPEN)))
            if scope["method"] not in ASKING:
                yield
                return
            most = self._access.limits.calls_at_once or 1
            async with AsyncExitStack() as stack:
                for name, times in shares:
                    await stack.enter_async_context(self._one_of(name, int(times * most)))
                yield

    @contextmanager
    def _opened(self, name: str, most: int) -> Iterator[None]:
        if self._open[name] >= most:
            raise TooMuchError(f"{most} answers are on their way to you: close a page")
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            self._open += Counter()  # forgets who has none

    @asynccontextmanager
    async def _one_of(self, name: str, most: int) -> AsyncIterator[None]:
        turns, users = self._turns.setdefault(name, (asyncio.Semaphore(most), []))
        users.append(None)
        try:
            async with turns:
                yield
        finally:
            users.pop()
            if not users:
                self._turns.pop(name, None)


async def _whole(receive: Receive) -> bytes:
    """The body of a request, which is as long as it said and not longer than a question may be."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _length(scope: Scope) -> int:
    """How many bytes come with a request.

    Raises:
        TooMuchError: it does not say: it could go on for ever.
    """
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0" if scope["method"] not in ASKING else "")
    if "transfer-encoding" in headers or not length.isascii() or not length.isdigit():
        raise TooMuchError("say how long it is: send its content-length")
    return int(length)


def kind_of(scope: Scope) -> str:
    """What a request is counted as: a rate of `app.access.LIMITS`."""
    path = scope["path"].rstrip("/")
    if scope["method"] not in ASKING:
        is_part = any(part in path for part in PARTS) and not path.endswith(DESCRIPTIONS)
        return "films and scripts" if is_part else "pages"
    if path.endswith("/upload"):
        return "uploads"
    if path.endswith(JOIN) or any(part in path for part in ("/call/", "/run/", "/api/")):
        return CALLS
    return "questions"
