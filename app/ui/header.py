"""The header of every page: brand, six places, the running job, device, theme, keys; its tabs."""

from collections.abc import Callable
from html import escape

import gradio as gr
from gradio.components.navbar import Navbar

from app.access import Access
from app.runs.launcher import Launcher
from app.ui.places import PLACES, address, place_of
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
    page: str,
    device: str,
    login: bool = False,
) -> None:
    """Build the header.

    Args:
        troubles: what whoever looks should know of the studio.
        page: the name of the page it stands on.
        device: the machine in words.
        login: whether visitors may log in.
    """
    Navbar(visible=False)
    gr.HTML(
        apply_default_css=False,
        html_template=header_html(page, device, login=login),
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


def header_html(page: str, device: str, *, login: bool = False) -> str:
    """One line of places, the tabs of the place that is open, and the menu of a phone."""
    here = place_of(page)
    door = '<a class="chip" href="./login/huggingface" target="_blank">Log in</a>' * login
    return (
        f'<header class="wm wm-header"><a class="brand" href="./">{_MARK}<span>WMPO Studio</span>'
        f'</a><nav aria-label="Places">{_places(page)}</nav>'
        f'<button class="menu" popovertarget="menu">☰ {here.name}</button>'
        '<span class="grow"></span><span class="jobs" aria-live="polite"></span>'
        f'<span class="chip device">{escape(device)}</span>{door}'
        '<button class="quiet" data-do="theme" aria-label="Theme"></button>'
        '<button class="quiet keys" data-do="help" aria-label="Keys"><kbd>?</kbd></button>'
        f'</header>{_tabs(page)}<nav class="wm" id="menu" popover aria-label="Menu">'
        f'{_menu(page)}</nav><div class="wm troubles" role="alert" hidden></div>'
    )


def _link(page: str, text: str, current: bool) -> str:
    return f'<a href="./{address(page)}"{" aria-current=page" if current else ""}>{text}</a>'


def _places(page: str) -> str:
    return "".join(_link(place.names[0], place.name, page in place.names) for place in PLACES)


def _tabs(page: str) -> str:
    place = place_of(page)
    if len(place.pages) == 1:
        return ""
    links = "".join(_link(name, text, name == page) for name, text in place.pages)
    return f'<nav class="wm wm-tabs" aria-label="{place.name}">{links}</nav>'


def _menu(page: str) -> str:
    return "".join(
        _link(name, text, name == page)
        if len(place.pages) == 1
        else f'<b class="mute">{place.name}</b>{_link(name, text, name == page)}'
        if name == place.names[0]
        else _link(name, text, name == page)
        for place in PLACES
        for name, text in place.pages
    )
