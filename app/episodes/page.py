"""Episodes: everything that was imagined or played, by filter, as a wall of decisive windows."""

import gradio as gr

from app.episodes.panel import episode_wall
from app.episodes.room import EpisodesRoom

ORDERS = (
    *("newest first", "oldest first", "closest to the threshold"),
    *("most disagreement", "largest drift", "unlabelled first", "queue first"),
)


def build(room: EpisodesRoom) -> None:
    """Lay out the page: all of it is the wall."""
    with gr.Row(elem_classes="page"):
        episode_wall(room, orders=ORDERS)
