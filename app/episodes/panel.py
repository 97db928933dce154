"""The wall of episodes: filters, films of decisive windows, a drawer, and judging many at once."""

from typing import TYPE_CHECKING

import gradio as gr

from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio


def episode_wall(studio: "Studio", *, orders: tuple[str, ...]) -> gr.HTML:
    """Shows what a filter finds; sends `judge` events {strokes: […]}.

    Its value is the last acknowledgement: {acks: […]}. `orders` can be chosen, the first one first.
    """
    gallery = studio.gallery

    def facets(question: Question) -> Answer:
        return {"facets": gallery.facets(), "views": gallery.views()}

    return live_panel(
        "mountEpisodes",
        orders=list(orders),
        imports=not studio.public,
        server_functions=[
            server_function("find", gallery.find),
            server_function("find_groups", gallery.find_groups),
            server_function("facets", facets),
            server_function("films", gallery.films),
            server_function("save_view", gallery.save_view),
            server_function("queue", gallery.queue),
            server_function("siblings", lambda q: {"members": gallery.siblings(str(q["episode"]))}),
            server_function("export_episode", studio.export_episode),
            server_function("import_episodes", studio.import_episodes),
            server_function("twin_episode", studio.twin_episode),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
        ],
    )
