"""The label board: clip, keys, rail, unsent strokes."""

import gradio as gr

from app.episodes.gallery import FILTERS
from app.label.queues import QUEUE_ORDERS
from app.label.room import LabelRoom
from app.web.calls import Answer, Question, serve
from app.web.panel import live_panel

KINDS = {"all clips": None, "imagined": True, "real": False}


def label_board(room: LabelRoom, *, orders: tuple[str, ...]) -> gr.HTML:
    """Judges one clip after another, or two at once.

    `orders` are the orders of everything that can be chosen, the first one first.
    """
    queues, gallery = room.queues, room.episodes.gallery

    def queue(question: Question) -> Answer:
        kind = str(question.get("kind", "all clips"))
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        order = str(question.get("order", orders[0]))
        return {"items": gallery.records(order=order, imagined=KINDS[kind], limit=20)}

    return live_panel(
        "mountJudge",
        orders=list(orders),
        kinds=list(KINDS),
        queueOrders=list(QUEUE_ORDERS),
        filters=list(FILTERS),
        modes=queues.failure_modes(),
        public=room.access.guest,
        server_functions=serve(
            room.access,
            "label",
            **room.episodes.judging.answers,
            queue=queue,
            next=lambda q: {"items": queues.next(q)},
            release=lambda q: {"released": queues.release(q)},
            queues=lambda _: {"all": queues.all(), "views": gallery.views()},
            make_queue=lambda q: {"name": queues.make(q), "queues": queues.all()},
            remove_queue=lambda q: {"queues": queues.remove(q)},
            statistics=lambda q: statistics(room, q),
            save_modes=lambda q: {"modes": queues.save_failure_modes(q)},
            clip=room.episodes.clips.clip,
            episode=lambda q: gallery.record(str(q["episode"])),
            rail=lambda q: rail(room, q),
            pairs=room.episodes.judging.pairs.next,
            runs=lambda _: {"runs": [run for run, _ in gallery.facets()["run"]]},
        ),
    )


def rail(room: LabelRoom, question: Question) -> Answer:
    """{actor, queue?, pairs?} -> what stands beside the clip: this person's last judgements and
    the counts or, with `pairs`, their last comparisons.

    Calibration clips of the queue show their known answer once they are judged.
    """
    judging, actor = room.episodes.judging, str(question["actor"])
    if question.get("pairs"):
        return {"history": judging.pairs.history(actor=actor)}
    history = judging.labels.history(limit=20, actor=actor)
    name = question.get("queue")
    gold = {} if name is None else room.queues.gold_answers(name)
    shown = [entry | {"gold": gold.get(entry["episode_id"])} for entry in history]
    return {"history": shown, "counts": judging.labels.counts()}


def statistics(room: LabelRoom, question: Question) -> Answer:
    """{actor, queue?, pairs?} -> how people agree with each other and with the model: on clips of
    the queue or of all or, with `pairs`, on what is better."""
    if question.get("pairs"):
        return room.episodes.judging.pairs.agreement(str(question["actor"]))
    return room.queues.statistics({"queue": question.get("queue")})
