"""The label board: clip, keys, rail, unsent strokes."""

from typing import TYPE_CHECKING

import gradio as gr

from app.episodes.gallery import FILTERS
from app.label.queues import QUEUE_ORDERS
from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio

KINDS = {"all clips": None, "imagined": True, "real": False}


def label_board(studio: "Studio", *, orders: tuple[str, ...]) -> gr.HTML:
    """Judges one clip after another, or two at once; sends `judge` events {strokes: […], actor,
    queue}, or {strokes: […], actor, pairs: true}.

    Its value is the last acknowledgement, {acks: […]} with what `rail` gives. `orders` are
    the orders of everything that can be chosen, the first one first.
    """
    queues = studio.queues

    def queue(question: Question) -> Answer:
        kind = str(question.get("kind", "all clips"))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        order = str(question.get("order", orders[0]))
        return {"items": studio.label_queue(order=order, imagined=KINDS[kind], limit=20)}

    def runs(_: Question) -> Answer:
        return {"runs": [run for run, _ in studio.gallery.facets()["run"]]}

    return live_panel(
        "mountJudge",
        orders=list(orders),
        kinds=list(KINDS),
        queueOrders=list(QUEUE_ORDERS),
        filters=list(FILTERS),
        modes=queues.failure_modes(),
        public=studio.public,
        server_functions=[
            server_function("queue", queue),
            server_function("next", lambda q: {"items": queues.next(q)}),
            server_function("release", lambda q: {"released": queues.release(q)}),
            server_function(
                "queues", lambda _: {"all": queues.all(), "views": studio.gallery.views()}
            ),
            server_function(
                "make_queue", lambda q: {"name": queues.make(q), "queues": queues.all()}
            ),
            server_function("remove_queue", lambda q: {"queues": queues.remove(q)}),
            server_function("statistics", lambda q: statistics(studio, q)),
            server_function("save_modes", lambda q: {"modes": queues.save_failure_modes(q)}),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
            server_function("episode", lambda q: studio.get_episode(str(q["episode"]))),
            server_function("rail", lambda q: rail(studio, q)),
            server_function("pairs", studio.preferences.next),
            server_function("runs", runs),
        ],
    )


def rail(studio: "Studio", question: Question) -> Answer:
    """{actor, queue?, pairs?} -> what stands beside the clip: this person's last judgements and
    the counts or, with `pairs`, their last comparisons.

    Calibration clips of the queue show their known answer once they are judged.
    """
    if question.get("pairs"):
        return {"history": studio.preferences.history(actor=str(question["actor"]))}
    history = studio.label_history(limit=20, actor=str(question["actor"]))
    name = question.get("queue")
    gold = {} if name is None else studio.queues.gold_answers(name)
    shown = [entry | {"gold": gold.get(entry["episode_id"])} for entry in history]
    return {"history": shown, "counts": studio.label_counts()}


def statistics(studio: "Studio", question: Question) -> Answer:
    """{actor, queue?, pairs?} -> how people agree with each other and with the model: on clips of
    the queue or of all or, with `pairs`, on what is better."""
    if question.get("pairs"):
        return studio.preferences.agreement(str(question["actor"]))
    return studio.queues.statistics({"queue": question.get("queue")})
