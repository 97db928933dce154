"""The Reward page's two panels: the threshold lab, and retraining on what people said."""

import gradio as gr

from app.reward.room import RewardRoom
from app.web.calls import Answer, Question, serve
from app.web.panel import live_panel


def threshold_lab(room: RewardRoom) -> gr.HTML:
    """Drags a threshold over everything that was judged."""
    lab, episodes = room.thresholds, room.episodes
    return live_panel(
        "mountReward",
        saves=not room.access.refusal("thresholds.save"),
        server_functions=serve(
            room.access,
            "thresholds",
            **episodes.judging.answers,
            lab=lab.lab,
            details=lab.details,
            save=lab.save,
            rejudge=lab.rejudge,
            films=episodes.gallery.films,
            siblings=episodes.gallery.siblings,
            twin_episode=episodes.twins.of_episode,
            export_episode=episodes.exports.export,
            clip=episodes.clips.clip,
        ),
    )


def retrain_panel(room: RewardRoom) -> gr.HTML:
    """Freezes labels, trains on them, compares the models, judges runs anew, top to bottom.

    Which runs are shown is in the page's address.
    """
    retraining = room.retraining

    def overview(_: Question) -> Answer:
        models = room.slots.checkpoints("reward_model")
        return {
            "sets": retraining.label_sets(),
            "models": [{"id": model["id"], "short": model["short"]} for model in models],
            "runs": room.runs.all(),
        }

    return live_panel(
        "mountRetrain",
        public=room.access.guest,
        server_functions=serve(
            room.access,
            "retrain",
            overview=overview,
            follow=lambda q: room.runs.status(str(q["run"])),
            standing=retraining.standing,
            freeze=retraining.freeze,
            start=lambda q: {"run": retraining.start(q)},
            compare=retraining.compare,
            rejudge=lambda q: {"run": retraining.rejudge(q)},
            flips=retraining.flips,
            restarts=lambda q: {"iterations": retraining.checkpoints(str(q["run"]))},
            restart=lambda q: {"run": retraining.restart(q)},
            clip=room.episodes.clips.clip,
            export_episode=room.episodes.exports.export,
        ),
    )
