"""The label board: clip, keys, rail, unsent strokes."""

import functools
from dataclasses import dataclass

import gradio as gr

from app.episodes.gallery import FILTERS
from app.label.queues import QUEUE_ORDERS
from app.label.room import LabelRoom
from app.player.clips import OneEpisode
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer
from engine.config import Config, knob
from storage.episodes.episode_filter import ORDERS as EPISODE_ORDERS

KINDS = {"all clips": None, "imagined": True, "real": False}


@dataclass(frozen=True, kw_only=True)
class NextOfAll(Config):
    """The next clips outside queues."""

    kind: str = knob("all clips", "imagined, real or both", choices=tuple(KINDS))
    order: str = knob("unlabelled first", "which come first", choices=tuple(EPISODE_ORDERS))


@dataclass(frozen=True, kw_only=True)
class Beside(Config):
    """What stands beside the clip for somebody."""

    actor: str = knob(help="who judges", high=64)
    queue: str | None = knob(None, "whose clips", high=80)
    pairs: bool = knob(False, "about comparisons of two clips")


def label_board(room: LabelRoom, *, orders: tuple[str, ...]) -> gr.HTML:
    """Judges one clip after another, or two at once.

    `orders` are the orders of everything that can be chosen, the first one first.
    """
    queues, gallery = room.queues, room.episodes.gallery

    def queue(question: NextOfAll) -> Answer:
        found = gallery.records(order=question.order, imagined=KINDS[question.kind], limit=20)
        return {"items": found}

    def all_queues() -> Answer:
        return {"all": queues.all(), "views": gallery.views()}

    def record(question: OneEpisode) -> Answer:
        return gallery.record(question.episode)

    def runs() -> Answer:
        return {"runs": [run for run, _ in gallery.facets()["run"]]}

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
            next=queues.next,
            release=queues.release,
            queues=all_queues,
            make_queue=queues.make,
            remove_queue=queues.remove,
            statistics=functools.partial(statistics, room),
            save_modes=queues.save_failure_modes,
            clip=room.episodes.clips.clip,
            episode=record,
            rail=functools.partial(rail, room),
            pairs=room.episodes.judging.pairs.next,
            runs=runs,
        ),
    )


def rail(room: LabelRoom, question: Beside) -> Answer:
    """What stands beside the clip: this person's last judgements and the counts or, with `pairs`,
    their last comparisons.

    Calibration clips of the queue show their known answer once they are judged.
    """
    judging, actor = room.episodes.judging, question.actor
    if question.pairs:
        return {"history": judging.pairs.history(actor=actor)}
    history = judging.labels.history(limit=20, actor=actor)
    gold = {} if question.queue is None else room.queues.gold_answers(question.queue)
    shown = [entry | {"gold": gold.get(entry["episode_id"])} for entry in history]
    return {"history": shown, "counts": judging.labels.counts()}


def statistics(room: LabelRoom, question: Beside) -> Answer:
    """How people agree with each other and with the model: on clips of
    the queue or of all or, with `pairs`, on what is better."""
    if question.pairs:
        return room.episodes.judging.pairs.agreement(question.actor)
    return room.queues.statistics(question.queue)
