"""What may reach the studio at all: asked of every request before anything else sees it.

A browser sends a request to whoever a page names, so any page open beside the studio could drive
it, and a foreign name that points at this machine could read it. A request passes if its Host is
one of ours and its Origin, where there is one, is the studio itself; calls are JSON. Answers say
that they are not to be framed, sniffed or embedded elsewhere, and HTML runs only the scripts that
the studio put into it. `gradio_client` and other programs send no Origin and pass.
"""

import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VARIABLE = "WMPO_HOSTS"
CALLS, UPLOADS = "/gradio_api/", "/gradio_api/upload"
_HUB = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space")
_EVERYWHERE = ("", "0.0.0.0", "::", "[::]")
_PORTS = {"http": 80, "https": 443, "": None}


@dataclass(frozen=True, kw_only=True)
class DoorRules:
    """Under which names the studio is reached, and who may show it in a frame.

    Attributes:
        hosts: names besides those of loopback, such as that of a proxy, with its port if that is
            not the usual one.
        any_address: also any bare IP address: the studio listens on all of them. A foreign page
            cannot turn a name of its own into one.
        frames: origins that may frame it besides its own.
    """

    hosts: frozenset[str] = frozenset()
    any_address: bool = False
    frames: tuple[str, ...] = ()


def door_rules(environ: Mapping[str, str]) -> DoorRules:
    """From GRADIO_SERVER_NAME, WMPO_HOSTS (names, separated by commas) and, on a Space, its own.

    The names of loopback are not among them: another port of this machine is another origin.
    """
    name = environ.get("GRADIO_SERVER_NAME", "127.0.0.1").strip().lower()
    named = [part.strip().lower() for part in environ.get(VARIABLE, "").split(",")]
    space = "SPACE_ID" in environ
    if space:
        named += [part.strip().lower() for part in environ.get("SPACE_HOST", "").split(",")]
    everywhere = name in _EVERYWHERE
    is_local = name == "localhost" or _is_loopback(name)
    hosts = {part for part in [*named, "" if everywhere or is_local else name] if part}
    return DoorRules(hosts=frozenset(hosts), any_address=everywhere, frames=_HUB if space else ())


class Doors:
    """ASGI middleware; the outermost one."""

    def __init__(self, app: ASGIApp, *, rules: DoorRules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what may not pass; pass the rest on and dress its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        objection = self.objection(scope)
        if objection is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if objection is not None:
            status, sentence = objection
            refusal = JSONResponse({"detail": sentence}, status_code=status)
            await refusal(scope, receive, send)
            return
        told = {**scope, "headers": _quick_to_read(scope["headers"])}
        await self._app(told, receive, self._dressed(scope, send))

    def objection(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request may not pass: a status and a sentence; None where it may."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(_hostname(f"//{host}")):
            return 403, (
                f"{host[:100]!r} is no name of this studio: add it to {VARIABLE} if it should be"
            )
        if origin is not None and not self._is_same(origin, host):
            return 403, (
                f"a page of {origin[:100]!r} may not use this studio: add its name to {VARIABLE} "
                "if it is a proxy of yours"
            )
        if origin is None and _comes_from_elsewhere(scope, headers):
            return 403, "another site may not use this studio"
        return _objection_to_body(scope, headers)

    def _is_ours(self, name: str) -> bool:
        known = {place.partition(":")[0] for place in self._rules.hosts}
        if name == "localhost" or name.endswith(".localhost") or name in known:
            return True
        return _is_loopback(name) or (self._rules.any_address and _is_address(name))

    def _is_same(self, origin: str, host: str) -> bool:
        """Whether an origin is the studio itself, or a proxy of it that has a name."""
        name, port = _place(origin)
        if not name:
            return False
        if (name, port) == _place(f"{urlsplit(origin).scheme}://{host}"):
            return True
        return f"{name}:{port}" in self._rules.hosts or (
            name in self._rules.hosts and port in _PORTS.values()
        )

    def _dressed(self, scope: Scope, send: Send) -> Send:
        nonce = secrets.token_urlsafe(16)
        held: list[Message] = []

        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["cross-origin-resource-policy"] = "same-origin"
                if headers.get("content-type", "").startswith("text/html"):
                    headers["content-security-policy"] = self.policy(nonce)
                    del headers["content-length"]  # the marks make it longer
                    held.append(message)
            elif held:
                mark = b'<script nonce="' + nonce.encode() + b'"'
                message["body"] = message.get("body", b"").replace(b"<script", mark)
            await send(message)

        return put if scope["type"] == "http" else send

    def policy(self, nonce: str) -> str:
        """The Content-Security-Policy of a page whose scripts carry a nonce.

        'unsafe-eval' is Gradio's: its HTML component compiles every template and what `js_on_load`
        says (`createFunctionContext` in `HTML-*.js`), `Blocks-*.js` what an event's `js` says.
        Handlers in attributes and scripts that came with a value are not run.
        """
        hub = " https://huggingface.co" if self._rules.frames else ""
        return "; ".join(
            [
                "default-src 'self'",
                f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
                "script-src-attr 'none'",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "media-src 'self' data: blob:",
                "font-src 'self' data:",
                f"connect-src 'self' data: blob:{hub}",
                "worker-src 'self' blob:",
                "object-src 'none'",
                "base-uri 'self'",
                f"form-action 'self'{hub}",
                " ".join(["frame-ancestors 'self'", *self._rules.frames]),
            ]
        )


def _quick_to_read(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without cookies that hold a backslash, which none of ours does: what Python needs to read
    one grows with the square of its length, 7 s for one of 60 kB (3.11.7), while all others wait.
    """
    kept = []
    for name, value in headers:
        if name == b"cookie" and b"\\" in value:
            value = b";".join(part for part in value.split(b";") if b"\\" not in part)
        kept.append((name, value))
    return kept


def _comes_from_elsewhere(scope: Scope, headers: Headers) -> bool:
    """Whether a browser says that another site asks; a link that opens a page is welcome."""
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    is_link = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") == "GET"
    return not is_link or CALLS in scope["path"]


def _objection_to_body(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    if scope.get("method") not in ("POST", "PUT", "PATCH", "DELETE"):
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if UPLOADS in scope["path"]:
        wanted = "multipart/form-data"
    elif CALLS in scope["path"]:
        wanted = "application/json"
    else:
        return None
    if kind == wanted:
        return None
    return 415, f"a call of the studio is {wanted}, not {kind[:60]!r}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name.strip("[]")).is_loopback


def _hostname(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _place(address: str) -> tuple[str, int | None]:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        return "", None
    return _hostname(address), port or _PORTS.get(parts.scheme)
