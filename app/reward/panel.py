"""The Reward page's two panels: the threshold lab, and retraining on what people said."""

import gradio as gr

from app.reward.room import RewardRoom
from app.runs.launcher import OneRun
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer


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

    def overview() -> Answer:
        return {
            "sets": retraining.label_sets(),
            "models": retraining.models(),
            "runs": room.runs.all(),
        }

    def follow(question: OneRun) -> Answer:
        return room.runs.status(question.run)

    return live_panel(
        "mountRetrain",
        public=room.access.guest,
        server_functions=serve(
            room.access,
            "retrain",
            overview=overview,
            follow=follow,
            standing=retraining.standing,
            freeze=retraining.freeze,
            start=retraining.start,
            compare=retraining.compare,
            rejudge=retraining.rejudge,
            flips=retraining.flips,
            restarts=retraining.checkpoints,
            restart=retraining.restart,
            clip=room.episodes.clips.clip,
            export_episode=room.episodes.exports.export,
        ),
    )
