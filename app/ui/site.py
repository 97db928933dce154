"""The studio as one Gradio app: its pages, the public API, and how it is launched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from app import api
from app.access import Access
from app.data import page as data
from app.episodes import page as episodes
from app.evaluate import page as evaluate
from app.fidelity import page as fidelity
from app.imagine import page as imagine
from app.label import page as label
from app.models import page as models
from app.reward import page as reward
from app.start import page as start
from app.studio import Studio
from app.train import page as train
from app.trials import page as trials
from app.ui.header import header
from app.ui.lost import Lost
from app.ui.open_pages import OpenPages
from app.ui.places import FIRST, address
from app.visitors import Seal
from app.web.assets import routes
from app.web.doors import DoorRules, Doors
from app.web.early import EarlyScript
from app.web.sessions import PERSON, Logins, Sessions
from app.web.theme import stylesheet, theme
from app.web.turnstile import Turnstile

MOST_EVENTS = 64  # that wait in Gradio's queue

HEALTH = "/gradio_api/healthz"  # Gradio's own prefix: elsewhere a page would answer for it


@dataclass(frozen=True, kw_only=True)
class Visitors:
    """How the visitors of a public studio are told apart, and what each may have."""

    seal: Seal
    access: Access
    logins: Logins

    def middleware(self, blocks: gr.Blocks) -> list[Middleware]:
        """Who asks, and how much of it there may be."""

        def waiting(name: str) -> int:
            queue = blocks._queue
            lists = [each.queue for each in queue.event_queue_per_concurrency_id.values()]
            known = [event for part in (*lists, *queue.active_jobs) for event in part or ()]
            requests = [event.request for event in known if event.request is not None]
            return sum(one.scope[PERSON].name == name for one in requests if PERSON in one.scope)

        def function(number: int) -> str:
            return str(blocks.fns[number].api_name) if number in blocks.fns else ""

        return [
            Middleware(Sessions, seal=self.seal, logins=self.logins),
            Middleware(Turnstile, access=self.access, waiting=waiting, function=function),
        ]


def build(
    studio: Studio,
    *,
    device: str,
    instruction: str,
    horizon: int,
    login: bool = False,
    space: str = "",
) -> gr.Blocks:
    """All pages and the public API.

    Args:
        device: the machine in words, for example "CPU · 2 cores".
        instruction, horizon: of the default task.
        login: whether visitors may log in through Gradio's OAuth.
        space: the name of the Space that it runs on; empty at home.
    """
    pages: dict[str, Callable[[], None]] = {
        "Start": lambda: start.build(studio.start, device=device, space=space),
        "Models": lambda: models.build(studio.models),
        "Imagine": lambda: imagine.build(studio.imagine, instruction=instruction, horizon=horizon),
        "Episodes": lambda: episodes.build(studio.episodes),
        "Label": lambda: label.build(studio.label),
        "Reward": lambda: reward.build(studio.reward),
        "Train": lambda: train.build(studio.train),
        "Evaluate": lambda: evaluate.build(studio.evaluate),
        "Fidelity": lambda: fidelity.build(studio.fidelity),
        "Trials": lambda: trials.build(studio.trials),
        "Data": lambda: data.build(studio.data),
    }
    blocks = gr.Blocks(
        title="WMPO Studio",
        analytics_enabled=False,
        delete_cache=(3600, 86400),
        fill_width=True,
    )
    last = list(pages)[-1]
    for name, content in pages.items():
        page = blocks if name == FIRST else blocks.route(name, f"/{address(name)}")
        with nullcontext() if name == last else without_a_server(), page:
            header(
                studio.runs,
                access=studio.access,
                troubles=studio.health.troubles,
                page=name,
                device=device,
                login=login,
            )
            content()
            if name == FIRST and login:
                gr.LoginButton(visible=False)  # brings Gradio's routes; the header links to them
            if name == FIRST:
                api.publish(
                    studio.access,
                    episodes=studio.episodes,
                    dreams=studio.imagine.dreams,
                    queues=studio.label.queues,
                    training=studio.train.training,
                    audit=studio.data.audit,
                    slots=studio.models.slots,
                    runs=studio.runs,
                )
    return blocks


@contextmanager
def without_a_server() -> Iterator[None]:
    """Gradio makes all routes of its server anew at the end of every page (6.31): once is enough,
    and .7 s of CPU time sooner."""
    make = App.create_app
    App.create_app = staticmethod(lambda *args, **options: None)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        App.create_app = make  # type: ignore[method-assign]


def launch(
    blocks: gr.Blocks,
    *,
    data_directory: Path,
    health: Callable[[], dict[str, Any]] = lambda: {"ok": True},
    port: int | None = None,
    doors: DoorRules | None = None,
    visitors: Visitors | None = None,
) -> str:
    """Serve the pages in the background with the settings of reliability.md §4.2; their address.

    Address and port come from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT, else loopback and the
    first free port from 7860.

    Args:
        doors: under which names it is reached; those of loopback when left out.
        visitors: how those of a public studio are told apart; None at home.
    """

    def healthz(request: Request) -> JSONResponse:
        answer = health()
        return JSONResponse(answer, status_code=200 if answer["ok"] else 503)

    # Visitors wait in the queue: none goes round it.
    blocks.queue(max_size=MOST_EVENTS, default_concurrency_limit=2, api_open=visitors is None)
    app, opened, _ = blocks.launch(
        server_port=port,
        share=False,
        show_error=False,
        quiet=True,
        prevent_thread_lock=True,
        allowed_paths=[],
        blocked_paths=[str(data_directory)],
        max_file_size="50mb",
        strict_cors=True,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_threads=40,
        state_session_capacity=500,
        footer_links=[],
        _frontend=False,  # no look at its own page: on a busy machine that gives up after 3 s
        app_kwargs={
            "docs_url": None,
            "routes": [Route(HEALTH, healthz), *routes()],
            "middleware": [
                Middleware(Doors, rules=doors or DoorRules()),
                *(visitors.middleware(blocks) if visitors else []),
                Middleware(Lost),
                Middleware(EarlyScript),
            ],
        },
        theme=theme(),
        css=stylesheet(),
    )
    app.state_holder = OpenPages()
    app.state_holder.set_blocks(blocks)
    return opened
