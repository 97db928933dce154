"""The wall of episodes: filters, films of decisive windows, a drawer, and judging many at once."""

import gradio as gr

from app.episodes.room import EpisodesRoom
from app.web.calls import serve
from app.web.panel import live_panel
from app.web.questions import Answer


def episode_wall(room: EpisodesRoom, *, orders: tuple[str, ...]) -> gr.HTML:
    """Shows what a filter finds; `orders` can be chosen, the first one first."""
    gallery = room.gallery

    def facets() -> Answer:
        return {"facets": gallery.facets(), "views": gallery.views()}

    return live_panel(
        "mountEpisodes",
        orders=list(orders),
        imports=not room.access.refusal("episodes.import_episodes"),
        server_functions=serve(
            room.access,
            "episodes",
            **room.judging.answers,
            find=gallery.find,
            find_groups=gallery.find_groups,
            facets=facets,
            films=gallery.films,
            save_view=gallery.save_view,
            queue=gallery.queue,
            siblings=gallery.siblings,
            export_episode=room.exports.export,
            import_episodes=room.exports.take_in,
            twin_episode=room.twins.of_episode,
            clip=room.clips.clip,
        ),
    )
