"""Train: the board (charts, groups), the panel (state, checkpoints, runs, events), preflight."""

from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from app.train.alarms import Thresholds
from app.train.methods import offered
from app.train.plots import OTHER, skeleton, skeletons
from app.train.room import TrainRoom
from app.web.assets import plotly_address
from app.web.calls import serve
from app.web.panel import live_panel

MARKS = {True: ("ok", "✓"), False: ("bad", "✕"), None: ("mute", "–")}


def run_board() -> gr.HTML:
    """Live charts and videos of the run that the panel is attached to."""
    thresholds = Thresholds()
    return live_panel(
        "mountRunBoard",
        plotly=plotly_address(),
        figures=skeletons(offered()),
        other=skeleton(OTHER),
        thresholds=[
            {
                "name": name,
                "value": value,
                "help": thresholds.__dataclass_fields__[name].metadata["help"],
            }
            for name, value in thresholds.to_dict().items()
        ],
    )


def run_panel(room: TrainRoom) -> gr.HTML:
    """State and buttons of a run, its checkpoints, all runs, events; value {run} attaches to it."""
    training, episodes = room.training, room.episodes

    return live_panel(
        "mountRunPanel",
        public=room.access.guest,
        server_functions=serve(
            room.access,
            "train",
            **episodes.judging.answers,
            follow=training.follow,
            strip=training.strip,
            films=training.films,
            flip=training.flip,
            probes=training.probes,
            differences=training.differences,
            checkpoints=training.checkpoints,
            publication=room.sources.publication,
            publish=room.sources.publish,
            errands=room.errands.follow,
            call_off=room.errands.cancel,
            table=training.table,
            control=room.runs.control,
            describe=room.runs.describe,
            twin_matrix=episodes.twins.matrix,
            clip=episodes.clips.clip,
            export_episode=episodes.exports.export,
            siblings=episodes.gallery.siblings,
        ),
    )


def preflight_html(found: Mapping[str, Any]) -> str:
    """What `Preflight.look` found: what is against a run in full, what is for it folded."""
    checks = found["checks"]
    passed = [check for check in checks if check["ok"]]
    rows = "".join(_row(check) for check in checks if check["ok"] is not True)
    if passed:
        time = next((check["text"] for check in passed if check["name"] == "time"), "")
        noun = "checks" if len(passed) > 1 else "check"
        words = f"{len(passed)} {noun} passed" + (f": {time}" if time else "")
        rows += (
            f'<li><details><summary><b class="ok">✓</b> {escape(words)}</summary>'
            f"<ul>{''.join(map(_row, passed))}</ul></details></li>"
        )
    return f'<div class="wm"><ul class="preflight" aria-label="Preflight">{rows}</ul></div>'


def _row(check: Mapping[str, Any]) -> str:
    tone, mark = MARKS[check["ok"]]
    return (
        f'<li><b class="{tone}">{mark}</b> <span class="mute">{escape(check["name"])}</span> '
        f"<span>{escape(check['text'])}</span></li>"
    )
