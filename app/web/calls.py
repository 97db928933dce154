"""The two ways a page calls Python, each with our defaults said once.

A *server function* answers the browser's own scripts; an *event* comes from a Gradio component.
What a user can cause (`ValueError`, or `LookupError` for an unknown id) becomes one sentence in
both: `{"refused": sentence}` for the scripts, `gr.Error` for an event. Anything else is a defect
and stays an exception.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

Question = dict[str, Any]
Answer = dict[str, Any]


def sentence(error: ValueError | LookupError) -> str:
    """What to tell a person about a refusal."""
    if isinstance(error, KeyError):
        return f"the request lacks {error.args[0]!r}" if error.args else "an unknown name"
    return str(error)


def server_function(name: str, fn: Callable[[Question], Answer]) -> Callable[[Question], Answer]:
    """`fn` under the name by which scripts call it; one dict in, users' errors out as an answer."""

    def call(question: Question) -> Answer:
        if not isinstance(question, dict):
            return {"refused": "a request must be an object"}
        try:
            return fn(question)
        except (ValueError, LookupError) as error:
            return {"refused": sentence(error)}

    call.__name__ = name
    return call


def on(
    event: Callable[..., Any],
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Any | None = None,
    outputs: Sequence[Any] | Any | None = None,
    **settings: Any,
) -> None:
    """Bind an event: private, without a progress overlay, refusals as one sentence."""

    @functools.wraps(fn)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return fn(*values, **named)
        except (ValueError, LookupError) as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    defaults = {"show_progress": "hidden", "api_visibility": "private"}
    event(call, inputs, outputs, **(defaults | settings))


def on_visit(fn: Callable[..., Any], inputs: Sequence[Any] | None, outputs: Any) -> None:
    """Call `fn` whenever the page is opened and whenever one of its inputs changes."""
    gr.on(
        None,
        fn,
        inputs,
        outputs,
        show_progress="hidden",
        api_visibility="private",
        queue=False,
    )
