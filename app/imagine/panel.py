"""The live dream and its starts: canvas player, readout, transport, strips; start frames."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.imagine.questions import OneDream, OpenDream, PathOf
from app.imagine.room import ImagineRoom
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer
from engine.records.tasks import POOLS


def dream_player(room: ImagineRoom, *, defaults: Mapping[str, Any]) -> gr.HTML:
    """Shows one server-side dream by id, pulled with a cursor.

    `defaults` are the settings of a dream until an input reports a change.
    """
    dreams, episodes = room.dreams, room.episodes

    def twin(question: PathOf) -> Answer:
        return episodes.twins.of(dreams.trajectory(question))

    def probe(question: OpenDream) -> Answer:
        """{dream, lies, imagined, real}: a new dream to its end beside reality; kept if it lies."""
        dream = dreams.finish(question)
        found = episodes.twins.of(dreams.trajectory(PathOf(dream=dream)))
        lies = found["imagined"]["success"] and not found["real"]["success"]
        if not lies:
            dreams.forget(OneDream(dream=dream))
        return {"dream": dream, "lies": lies, "imagined": found["imagined"], "real": found["real"]}

    def reality() -> Answer:
        """{missing, unasked}: why nothing can be compared with reality here, empty where it can;
        and whether reality is played beside every dream, also where nobody asked for it."""
        return {"missing": room.simulator.missing, "unasked": episodes.twins.free}

    def save(question: PathOf) -> Answer:
        episode = dreams.save(question)["episode"]
        return {"episode": episode, "label": episodes.gallery.record(episode)["label"]}

    return live_panel(
        "mountDream",
        defaults=dict(defaults),
        beside=not room.access.guest,
        server_functions=serve(
            room.access,
            "imagine",
            **episodes.judging.answers,
            open_dream=dreams.open,
            pull_dream=dreams.pull,
            act_dream=dreams.act,
            set_dream=dreams.change,
            propose_dream=dreams.propose,
            steer_dream=dreams.steer,
            branch_dream=dreams.branch,
            select_dream=dreams.select,
            dream_tree=dreams.tree,
            twin_dream=twin,
            probe_dream=probe,
            reality=reality,
            save_threshold=dreams.save_threshold,
            save_dream=save,
            permalink=dreams.permalink,
            replay=dreams.replay,
            export_episode=episodes.exports.export,
            clip=episodes.clips.clip,
        ),
    )


def start_picker(room: ImagineRoom) -> gr.HTML:
    """Start frames by pool or from a stored episode.

    Its value {own: start} adds an upload, {task: name} shows the starts of another task.
    """
    return live_panel(
        "mountStarts",
        pools=list(POOLS),
        server_functions=serve(
            room.access,
            "starts",
            shipped=room.starts.shipped,
            starts=room.starts.find,
            clip=room.episodes.clips.clip,
        ),
    )
