"""So much at once and in so much time: asked of every request of a public studio, before Gradio's
queue and threads, which are there for all.

Limits are of the visitor and of the address, because a new visitor costs nothing. Who asks too
often is told so with 429; of what somebody may ask, little is answered at once, and the rest waits
its turn, so nobody else waits for it.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import LIMITS, MEGABYTE, Access, Limits, too_many
from app.rates import TooMuchError
from app.visitors import Role, person
from app.web.sessions import address

# One address may be a school: it has several times what one visitor has.
OF_ADDRESS = 3.0
OPEN_STREAMS = 48  # answers that are still being sent to one visitor
LONGEST_QUESTION = 2  # megabytes
ASKING = ("POST", "PUT", "PATCH", "DELETE")


class Turnstile:
    """ASGI middleware of a public studio, behind `Sessions`.

    Args:
        waiting: how many events of a visitor wait in Gradio's queue or are answered now.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, waiting: Callable[[str], int] = lambda name: 0
    ) -> None:
        self._app, self._access, self._waiting = app, access, waiting
        self._streams: Counter[str] = Counter()
        self._turns: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is too much; let the rest pass when it is its turn."""
        who = person()
        if scope["type"] != "http" or who is None or who.role is Role.ADMIN:
            await self._app(scope, receive, send)
            return
        place = f"at {address(scope)}"
        try:
            self._count(scope, who.name, place)
            async with self._turn(scope, who.name, place):
                await self._app(scope, receive, send)
        except TooMuchError as error:
            refusal = JSONResponse({"detail": str(error)}, status_code=429)
            if error.args[1:]:
                refusal.headers["retry-after"] = str(math.ceil(error.args[1]))
            await refusal(scope, receive, send)

    def _count(self, scope: Scope, name: str, place: str) -> None:
        """Refuse a request that came too soon, or whose file is too much for today."""
        what, limits = kind_of(scope), self._access.limits
        self._take(what, name, place, limits)
        megabytes = _length(scope) / MEGABYTE
        if what == "uploads":
            for kind in ("megabytes of uploads", "megabytes of uploads today"):
                self._take(kind, name, place, limits, megabytes)
        elif megabytes > LONGEST_QUESTION:
            raise TooMuchError(f"a question may have {LONGEST_QUESTION} MB, not {megabytes:.0f}")
        if what == "calls of the API" and limits.waiting_events is not None:
            waiting = self._waiting(name)
            if waiting >= limits.waiting_events:
                raise TooMuchError(f"{waiting} of your calls wait already: wait for one of them")

    def _take(self, what: str, name: str, place: str, limits: Limits, amount: float = 1.0) -> None:
        rate, buckets = limits.rates[what], self._access.buckets
        crowd = LIMITS[Role.VISITOR].rates[what].times(OF_ADDRESS)
        wait = buckets.take(what, name, rate, amount) or buckets.take(what, place, crowd, amount)
        if wait:
            raise TooMuchError(too_many(what, wait), wait)

    @asynccontextmanager
    async def _turn(self, scope: Scope, name: str, place: str) -> AsyncIterator[None]:
        if scope["method"] not in ASKING:
            if self._streams[name] >= OPEN_STREAMS:
                raise TooMuchError(f"{OPEN_STREAMS} answers are on their way to you: close a page")
            self._streams[name] += 1
            try:
                yield
            finally:
                self._streams[name] -= 1
                self._streams += Counter()  # forgets who has none
            return
        most = self._access.limits.calls_at_once or 1
        async with AsyncExitStack() as stack:
            for who, many in ((name, most), (place, int(most * OF_ADDRESS))):
                await stack.enter_async_context(self._one_of(who, many))
            yield

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
        return "pages and films"
    if path.endswith("/upload"):
        return "uploads"
    if path.endswith("/queue/join") or "/call/" in path or "/run/" in path:
        return "calls of the API"
    return "questions"
