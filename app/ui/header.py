"""The header of every page: brand, pages, job dock, device, theme, help."""

from collections.abc import Callable, Mapping
from html import escape

import gradio as gr
from gradio.components.navbar import Navbar

from app.access import Access
from app.runs.launcher import Launcher
from app.web.assets import head, imported
from app.web.calls import serve

_MARK = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="7" '
    'fill="var(--accent)"/><path d="M5 15.5c2.2 0 2.2-7 4.4-7s2.4 7 4.6 7 2.4-7 5-7" fill="none" '
    'stroke="var(--on-accent)" stroke-width="2" stroke-linecap="round"/></svg>'
)


def header(
    runs: Launcher,
    *,
    access: Access,
    troubles: Callable[[], list[str]],
    pages: Mapping[str, str],
    page: str,
    device: str,
    login: bool = False,
) -> None:
    """Build the header.

    Args:
        troubles: what whoever looks should know of the studio.
        pages: the address of each page by its name; `page` is the one it stands on.
        device: the machine in words.
        login: whether visitors may log in.
    """
    door = '<a class="chip" href="./login/huggingface" target="_blank">Log in</a>' * login
    links = "".join(
        f'<a href="./{path}"{" aria-current=page" if name == page else ""}>{name}</a>'
        for name, path in pages.items()
    )
    Navbar(visible=False)
    gr.HTML(
        apply_default_css=False,
        html_template=(
            f'<header class="wm wm-header"><a class="brand" href="./">{_MARK}WMPO Studio</a>'
            f'<nav aria-label="Pages">{links}</nav><span class="grow"></span>'
            '<span class="row jobs" aria-live="polite"></span>'
            f'<span class="chip device">{escape(device)}</span>{door}'
            '<button class="quiet" data-do="theme" aria-label="Theme"></button>'
            '<button class="quiet" data-do="help" aria-label="Keys"><kbd>?</kbd></button></header>'
            '<div class="wm troubles" role="alert" hidden></div>'
        ),
        js_on_load=(
            f"{imported('mountHeader')}.then(({{ mountHeader }}) => mountHeader(element, server))"
        ),
        server_functions=serve(
            access,
            "header",
            jobs=lambda: {"runs": runs.all()[:8], "troubles": troubles()},
            control=runs.control,
        ),
        head=head("mountHeader"),
        elem_id="header",
    )
