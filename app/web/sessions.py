"""Visitors of a Space: each has a name of their own.

It stands in a cookie that only the studio can write, or is the Hub's own where somebody logged in
through Gradio's OAuth. A program that keeps no cookies goes by its address.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.visitors import Person, Role, Seal, asking

COOKIE = "wmpo_visitor"
PERSON = "wmpo.person"  # in the scope of a request: its `Person`
YEAR = 365 * 86_400


@dataclass(frozen=True, kw_only=True)
class Logins:
    """Whom the Hub names.

    Attributes:
        open: whether anybody can log in. Without the secret of a Space Gradio takes whoever asks
            for the owner, so nobody is believed then (reliability.md §4.1, T3).
        admins: their names on the Hub, in small letters.
    """

    open: bool = False
    admins: frozenset[str] = frozenset()


def logins(environ: Mapping[str, str]) -> Logins:
    """From what the Hub tells a Space, and WMPO_ADMINS (names, separated by commas)."""
    named = [*environ.get("WMPO_ADMINS", "").split(","), environ.get("SPACE_AUTHOR_NAME", "")]
    return Logins(
        open="SPACE_ID" in environ and bool(environ.get("OAUTH_CLIENT_SECRET")),
        admins=frozenset(name.strip().lower() for name in named if name.strip()),
    )


class Sessions:
    """ASGI middleware of a public studio; right behind the doors."""

    def __init__(self, app: ASGIApp, *, seal: Seal, logins: Logins = Logins()) -> None:
        self._app, self._seal, self._logins = app, seal, logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say who asks, name who is new, and let an answer beyond a limit be a 429."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = self._seal.read(_cookie(Headers(scope=scope)))
        place = address(scope)
        who = self._logged_in(scope) or Person(known or f"at-{place}")
        who.place = place
        scope[PERSON] = who
        with asking(who):
            await self._app(scope, receive, self._answering(scope, send, who, is_new=not known))

    def _answering(self, scope: Scope, send: Send, who: Person, *, is_new: bool) -> Send:
        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                if who.too_much:
                    message["status"] = 429
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                if is_new and is_page and scope["method"] == "GET":
                    headers.append("set-cookie", self._named(scope))
            await send(message)

        return put

    def _named(self, scope: Scope) -> str:
        secure = Headers(scope=scope).get("x-forwarded-proto", scope["scheme"])
        frame = "SameSite=None; Secure; Partitioned"  # the Hub frames a Space
        manner = frame if secure.startswith("https") else "SameSite=Lax"
        return f"{COOKIE}={self._seal.new()}; Path=/; HttpOnly; Max-Age={YEAR}; {manner}"

    def _logged_in(self, scope: Scope) -> Person | None:
        """Who logged in through Gradio's own OAuth, which signs its session."""
        session = scope.get("session") or {}
        person = (session.get("oauth_info") or {}).get("userinfo") or {}
        name = str(person.get("preferred_username") or "").lower()[:60]
        if not name or not self._logins.open:
            return None
        return Person(f"hub-{name}", Role.ADMIN if name in self._logins.admins else Role.ANNOTATOR)


def address(scope: Scope) -> str:
    """Who sends: the last address that a proxy wrote down, for earlier ones may be invented.

    A household has so many addresses of IPv6 that they count as one.
    """
    written = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    client = scope.get("client")
    found = written.rpartition(",")[2].strip() or (client[0] if client else "")
    try:
        known = ipaddress.ip_address(found.strip("[]").partition("%")[0])
    except ValueError:
        return found[:64]
    if known.version == 4:
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
