"""An address without a page gets one that says so and leads on; old addresses lead to the new."""

from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.ui.places import ALSO, PLACES, address

CALLS = "/gradio_api/"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;"
    "min-height:100vh;background:#f7f8fa;color:#101828}main{width:min(34rem,100vw);box-sizing:border-box;padding:1.5rem}"
    "a{color:#4f46e5;margin-right:1rem;line-height:2;display:inline-block}p{color:#5b6577;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#0b0f17;color:#e6eaf2}"
    "a{color:#8b93ff}p{color:#9aa6b8}}"
)


class Lost:
    """ASGI middleware: a browser that opens no page is told so in words, with ways on.

    Programs, which do not ask for HTML, and calls of the studio's scripts get what they got.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; answer a 404 to a browser in its place."""
        if not _opens_a_page(scope):
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path", "").rstrip("/")
        name = scope["path"].removeprefix(root).strip("/").lower()
        if name in ALSO:
            await RedirectResponse(f"{root}/{ALSO[name]}")(scope, receive, send)
            return
        lost = False

        async def put(message: Message) -> None:
            nonlocal lost
            if message["type"] == "http.response.start":
                lost = message["status"] == 404
            if not lost:
                await send(message)

        await self._app(scope, receive, put)
        if lost:
            page = HTMLResponse(lost_html(scope["path"], root), status_code=404)
            await page(scope, receive, send)


def lost_html(path: str, root: str) -> str:
    """The page for an address that leads nowhere."""
    links = "".join(
        f'<a href="{escape(root)}/{address(place.names[0])}">{place.name}</a>' for place in PLACES
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>No page here · WMPO Studio</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>There is no page here</h1><p>The studio has nothing at “{escape(path[:200])}”. "
        f"It may have moved, or the address may be mistyped.</p><nav>{links}</nav></main>"
        "</body></html>"
    )


def _opens_a_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or CALLS in scope["path"]:
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")
