"""The label board: clip, keys, rail, unsent strokes."""

from typing import TYPE_CHECKING

import gradio as gr

from app.components.calls import Answer, Question, server_function
from app.components.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio

KINDS = {"all clips": None, "imagined": True, "real": False}


def label_board(studio: "Studio", *, orders: tuple[str, ...]) -> gr.HTML:
    """Judges one clip after another; sends `judge` events {strokes: […]}.

    Its value is the last acknowledgement: {acks: […], history: […], counts: {…}}. `orders` are
    the orders of the queue that can be chosen, the first one first.
    """

    def queue(question: Question) -> Answer:
        kind = str(question.get("kind", "all clips"))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        order = str(question.get("order", orders[0]))
        return {"items": studio.label_queue(order=order, imagined=KINDS[kind], limit=20)}

    return live_panel(
        "mountJudge",
        orders=list(orders),
        kinds=list(KINDS),
        server_functions=[
            server_function("queue", queue),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
            server_function("episode", lambda q: studio.get_episode(str(q["episode"]))),
            server_function("rail", lambda _: rail(studio)),
        ],
    )


def rail(studio: "Studio") -> Answer:
    """What stands beside the clip: the last judgements and the counts."""
    return {"history": studio.label_history(limit=20), "counts": studio.label_counts()}
