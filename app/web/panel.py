"""Our own HTML inside Gradio: styled by our stylesheet alone, scripted by our scripts."""

from typing import Any

import gradio as gr

from app.web.assets import head, imported


def text_panel(html: str) -> gr.HTML:
    """HTML without behaviour; as an output it may be replaced by other HTML."""
    return gr.HTML(html, apply_default_css=False)


def live_panel(mount: str, value: Any = None, **settings: Any) -> gr.HTML:
    """An empty element that our scripts fill: the module that exports `mount` is loaded for it.

    The script gets {element, props, server, watch}. `settings` may bring server functions and
    further props.
    """
    return gr.HTML(
        value={} if value is None else value,
        html_template='<div class="wm"></div>',
        js_on_load=(
            f"{imported(mount)}.then(({{ {mount} }}) => "
            f"{mount}({{ element, props, watch, server }}))"
        ),
        apply_default_css=False,
        head=head(mount),
        **settings,
    )
