"""Train: the board (charts, groups), the panel (state, checkpoints, runs, events), preflight."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.train.alarms import Thresholds
from app.train.plots import OPTIMISE, OTHER, skeletons
from app.web.calls import Answer, Question, server_function
from app.web.panel import live_panel

if TYPE_CHECKING:
    from app.studio import Studio

MARKS = {True: ("ok", "✓"), False: ("bad", "✕"), None: ("mute", "–")}


def run_board() -> gr.HTML:
    """Live charts and videos of the run that the panel is attached to.

    Sends `judge` events {strokes: […]}; its value is the last acknowledgement: {acks: […]}.
    """
    thresholds = Thresholds()
    return live_panel(
        "mountRunBoard",
        charts=True,
        figures=skeletons(OPTIMISE),
        other=skeletons([OTHER])[0],
        thresholds=[
            {
                "name": name,
                "value": value,
                "help": thresholds.__dataclass_fields__[name].metadata["help"],
            }
            for name, value in thresholds.to_dict().items()
        ],
    )


def run_panel(studio: "Studio") -> gr.HTML:
    """State and buttons of a run, its checkpoints, all runs, events; value {run} attaches to it."""
    training = studio.training

    def strip(question: Question) -> Answer:
        return {"groups": training.strip(str(question["run"]), question["iteration"])}

    def control(question: Question) -> Answer:
        return studio.control_run(str(question["run"]), str(question["control"]))

    return live_panel(
        "mountRunPanel",
        public=studio.public,
        server_functions=[
            server_function("follow", training.follow),
            server_function("strip", strip),
            server_function("films", training.films),
            server_function("flip", training.flip),
            server_function("probes", lambda q: {"probes": training.probes(str(q["run"]))}),
            server_function("differences", training.differences),
            server_function(
                "checkpoints", lambda q: {"checkpoints": training.checkpoints(str(q["run"]))}
            ),
            server_function("publication", studio.publication),
            server_function("publish", studio.publish_checkpoint),
            server_function("errands", lambda q: {"errands": studio.data.follow(q)}),
            server_function("call_off", studio.data.cancel),
            server_function("table", training.table),
            server_function("control", control),
            server_function("twin_matrix", studio.twin_matrix),
            server_function("clip", lambda q: studio.clip(str(q["episode"]))),
            server_function("export_episode", studio.export_episode),
            server_function(
                "siblings", lambda q: {"members": studio.gallery.siblings(str(q["episode"]))}
            ),
        ],
    )


def preflight_html(found: Mapping[str, Any]) -> str:
    """What `Preflight.look` found, as a list."""
    rows = []
    for check in found["checks"]:
        tone, mark = MARKS[check["ok"]]
        rows.append(
            f'<li><b class="{tone}">{mark}</b> <span class="mute">{escape(check["name"])}</span> '
            f"<span>{escape(check['text'])}</span></li>"
        )
    return (
        f'<div class="wm"><ul class="preflight" aria-label="Preflight">{"".join(rows)}</ul></div>'
    )
