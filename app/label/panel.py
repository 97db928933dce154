"""The label board: clip, keys, rail, unsent strokes."""

import functools
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.episodes.gallery import FILTERS, UNJUDGED
from app.label.queues import QUEUE_ORDERS
from app.label.room import LabelRoom
from app.label.task_card import OneTask, TaskCard, task_card
from app.player.clips import OneEpisode
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer
from engine.config import Config, knob
from storage.episodes.episode_filter import ORDERS as EPISODE_ORDERS

# What of all clips is shown: fields of `EpisodeFilter`.
KINDS: dict[str, dict[str, Any]] = {
    "imagined": {"imagined": True, "aside": False},
    "real": {"imagined": False},
    UNJUDGED: {"imagined": False, "judged": False, "label": "none"},
    "all clips": {},
}
UNCERTAIN = "most uncertain first"  # of what nobody judged yet


@dataclass(frozen=True, kw_only=True)
class NextOfAll(Config):
    """The next clips outside queues."""

    kind: str = knob("imagined", "imagined, real or both", choices=tuple(KINDS))
    order: str = knob(UNCERTAIN, "which come first", choices=tuple(EPISODE_ORDERS))


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
        return next_of_all(room, question)

    def all_queues() -> Answer:
        return {"all": queues.all(), "views": gallery.views()}

    def record(question: OneEpisode) -> Answer:
        return gallery.record(question.episode)

    def card(question: OneTask) -> TaskCard:
        return task_card(room, question)

    def runs() -> Answer:
        return {"runs": [[run, name] for run, _, name in gallery.facets()["run"]]}

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
            films=gallery.films,
            task_card=card,
            episode=record,
            rail=functools.partial(rail, room),
            pairs=room.episodes.judging.pairs.next,
            runs=runs,
        ),
    )


def next_of_all(room: LabelRoom, question: NextOfAll) -> Answer:
    """{items}: the next clips outside queues; dreams come without twins of real ones and probes."""
    wanted, order = dict(KINDS[question.kind]), question.order
    if order == UNCERTAIN:
        wanted["label"] = "none"
    return {"items": room.episodes.gallery.records(order=order, limit=20, **wanted)}


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
    names = [entry["episode_id"] for entry in history]
    runs = room.episodes.gallery.run_names(names)
    shown = [
        entry | {"gold": gold.get(name), "run_name": runs.get(name)}
        for entry, name in zip(history, names, strict=True)
    ]
    return {"history": shown, "counts": judging.labels.counts()}


def statistics(room: LabelRoom, question: Beside) -> Answer:
    """How people agree with each other and with the model: on clips of
    the queue or of all or, with `pairs`, on what is better."""
    if question.pairs:
        return room.episodes.judging.pairs.agreement(question.actor)
    return room.queues.statistics(question.queue)
