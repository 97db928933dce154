"""The header of every page: brand, pages, job dock, device, theme, help."""

from html import escape
from typing import TYPE_CHECKING

import gradio as gr
from gradio.components.navbar import Navbar

from app.web.assets import head, imported
from app.web.calls import server_function

if TYPE_CHECKING:
    from app.studio import Studio

PAGES = (
    ("Start", ""),
    ("Models", "models"),
    ("Imagine", "imagine"),
    ("Episodes", "episodes"),
    ("Label", "label"),
    ("Reward", "reward"),
    ("Train", "train"),
    ("Evaluate", "evaluate"),
    ("Fidelity", "fidelity"),
    ("Data", "data"),
)

_MARK = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="7" '
    'fill="var(--accent)"/><path d="M5 15.5c2.2 0 2.2-7 4.4-7s2.4 7 4.6 7 2.4-7 5-7" fill="none" '
    'stroke="var(--on-accent)" stroke-width="2" stroke-linecap="round"/></svg>'
)


def header(studio: "Studio", *, page: str, device: str) -> None:
    """Build the header; `page` is the name of the page it stands on."""
    links = "".join(
        f'<a href="./{path}"{" aria-current=page" if name == page else ""}>{name}</a>'
        for name, path in PAGES
    )
    Navbar(visible=False)
    gr.HTML(
        apply_default_css=False,
        html_template=(
            f'<header class="wm wm-header"><a class="brand" href="./">{_MARK}WMPO Studio</a>'
            f'<nav aria-label="Pages">{links}</nav><span class="grow"></span>'
            '<span class="row jobs" aria-live="polite"></span>'
            f'<span class="chip device">{escape(device)}</span>'
            '<button class="quiet" data-do="theme" aria-label="Theme"></button>'
            '<button class="quiet" data-do="help" aria-label="Keys"><kbd>?</kbd></button></header>'
        ),
        js_on_load=(
            f"{imported('mountHeader')}.then(({{ mountHeader }}) => mountHeader(element, server))"
        ),
        server_functions=[
            server_function("jobs", lambda _: {"runs": studio.list_runs()[:8]}),
            server_function(
                "control", lambda q: studio.control_run(str(q["run"]), str(q["control"]))
            ),
        ],
        head=head("mountHeader"),
        elem_id="header",
    )
