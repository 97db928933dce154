"""A script that stands in every page before Gradio's own: idle pages idle, and none jumps.

A page is built in steps: its columns, its panels, what those ask for. Until it has grown, only its
header is visible: nothing moves under a hand, and no button is seen that does not work yet. Grown
is: the first panel has heard from Python, nothing that is asked is unanswered, and nothing was
added for a moment. After `LONGEST` milliseconds it is shown whatever is missing.

Gradio's status trackers count their seconds at every screen refresh, and the page's own loader goes
on for ever after it is gone (6.31): 4 % of a core for nothing. Svelte keeps the function it finds
when it is loaded and `launch(head=…)` comes after that, so the script is put into the page itself.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPT = rb"""<style>.growing .gradio-container{visibility:hidden}
.growing .wm-header{visibility:visible}</style><script>(() => {
  const refresh = window.requestAnimationFrame.bind(window);
  const counts = /performance\.now\(\)-.+\/1e3/;
  window.requestAnimationFrame = (callback) =>
    counts.test(String(callback)) ? setTimeout(callback, 1000) : refresh(callback);
  const root = document.documentElement, ask = window.fetch, begun = performance.now();
  let asked = 0, heard = false, grown = begun;
  root.classList.add("growing");
  window.fetch = (...all) => {
    const answer = ask(...all);
    if (/component_server|\/run\//.test(String(all[0]?.url ?? all[0]))) {
      asked += 1;
      const end = () => {
        asked -= 1;
        heard ||= String(all[0]?.url ?? all[0]).includes("component_server");
        grown = performance.now();
      };
      answer.then(end, end);
    }
    return answer;
  };
  const seen = new MutationObserver((changes) => {
    if (changes.some((change) => [...change.addedNodes].some((node) => node.nodeType === 1)))
      grown = performance.now();
  });
  seen.observe(root, {childList: true, subtree: true});
  const look = setInterval(() => {
    const now = performance.now();
    const still = heard && !asked && now - grown > 250;
    if (!still && now - begun < LONGEST) return;
    root.classList.remove("growing");
    seen.disconnect();
    clearInterval(look);
    window.fetch = ask;
  }, 50);
})();</script>""".replace(b"LONGEST", b"5000")


class EarlyScript:
    """ASGI middleware: puts the script at the top of every HTML page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; hold the head of an HTML answer back until its body begins."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    length = headers.get("content-length")
                    if length is not None:
                        headers["content-length"] = str(int(length) + len(SCRIPT))
                    held.append(message)
                    return
            elif held:
                body = message.get("body", b"")
                whole = body.replace(b"<head>", b"<head>" + SCRIPT, 1)
                if len(whole) == len(body):
                    whole = SCRIPT + body  # an error page without a head
                await send(held.pop())
                message["body"] = whole
            await send(message)

        await self._app(scope, receive, put)
