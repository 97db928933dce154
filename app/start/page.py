"""Start: what this is, three ways in, what is loaded, what happened lately."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from app.imagine.starts import Shipped
from app.start.room import StartRoom
from app.web.calls import on_visit
from app.web.panel import text_panel

Record = Mapping[str, Any]

_ROLES = {"policy": "policy", "world_model": "world model", "reward_model": "reward model"}
_TILES = (
    ("imagine", "Play in the dream", "A policy acts inside a video world model, frame by frame."),
    ("label", "Judge 10 clips", "One key a clip. See where the reward model is wrong."),
    ("train", "Watch it learn", "GRPO in imagination, every video with its reward."),
)


def build(room: StartRoom, *, device: str) -> None:
    """Lay out the page; it is read anew at every visit."""

    def overview() -> str:
        return overview_html(
            starts=room.starts.shipped(Shipped())["starts"],
            checkpoints=room.slots.checkpoints(),
            episodes=room.gallery.records(limit=6),
            runs=room.runs.all()[:4],
        )

    def banner() -> str:
        return banner_html(banner_text(device, room.access.guest, room.simulator.missing))

    with gr.Column(elem_classes="page one"):
        text_panel(hero_html())
        mode = text_panel(banner_html(banner_text(device, room.access.guest, "")))
        page = text_panel(overview())
    on_visit(banner, None, mode)
    on_visit(overview, None, page)


def banner_text(device: str, public: bool, simulator: str) -> str:
    """What this machine can honestly do, in a sentence or two."""
    scale = (
        "Small demo models: the same classes as the released ones, sized for a CPU."
        if "CPU" in device
        else "A GPU is there: large checkpoints run at full size."
    )
    place = " On this public Space rollouts are capped and labels go to a guest pool." * public
    without = (
        f" Without the simulator ({simulator.rstrip('.')}) everything but real episodes works."
    )
    return f"{device}. {scale}{place}{without * bool(simulator)}"


def hero_html() -> str:
    """Headline and what the studio is for."""
    return (
        '<section class="wm hero"><h1>Train robot policies in imagination</h1>'
        "<p>Load a policy, a video world model and a reward model. Watch the policy act inside the "
        "world model, correct the judge where it errs, and let the policy learn from episodes that "
        "never happened.</p></section>"
    )


def banner_html(text: str) -> str:
    """The honest banner."""
    return f'<p class="wm banner mode">{escape(text)}</p>'


def overview_html(
    *,
    starts: Sequence[Record],
    checkpoints: Sequence[Record],
    episodes: Sequence[Record],
    runs: Sequence[Record],
) -> str:
    """Ways in, checkpoints and recent activity as HTML; every text from outside is escaped."""
    pictures = [str(start["image"]) for start in starts]
    tiles = "".join(
        _tile(path, title, text, pictures[index : index + 1])
        for index, (path, title, text) in enumerate(_TILES)
    )
    return (
        f'<div class="wm start"><section class="tiles" aria-label="Ways in">{tiles}</section>'
        '<div class="halves">'
        f'<section class="card"><h3>Checkpoints</h3>{_checkpoints(checkpoints)}</section>'
        f'<section class="card"><h3>Lately</h3>{_activity(episodes, runs)}</section></div></div>'
    )


def _tile(path: str, title: str, text: str, pictures: Sequence[str]) -> str:
    shown = "".join(f'<img class="pixel" alt="" src="{escape(image)}">' for image in pictures)
    return (
        f'<a class="card tile" href="{path}"><span class="picture">{shown}</span>'
        f"<b>{escape(title)}</b><span>{escape(text)}</span></a>"
    )


def _checkpoints(checkpoints: Sequence[Record]) -> str:
    known = {role: [r for r in checkpoints if r["role"] == role] for role in _ROLES}
    rows = "".join(
        "".join(map(_checkpoint, records[:3])) + _more(len(records) - 3)
        for records in known.values()
    )
    if rows:
        return f'<ul class="rows">{rows}</ul>'
    return (
        '<p class="empty"><b>No checkpoints yet</b>'
        "<code>python -m engine demo --out DIR</code> trains the demo ones.</p>"
    )


def _more(count: int) -> str:
    if count <= 0:
        return ""
    return f'<li class="mute"><span class="role"></span>and {count} more, from runs</li>'


def _checkpoint(record: Record) -> str:
    metrics = "".join(
        f'<span class="chip mono">{escape(name)} {value}</span>'
        for name, value in card_metrics(record.get("card") or {})
    )
    return (
        f'<li><span class="role">{_ROLES[record["role"]]}</span>'
        f'<span class="grow"><b>{escape(str(record["id"]))}</b> '
        f'<span class="mono mute">{escape(str(record["short"]))}</span>'
        f'<span class="row metrics">{metrics}</span></span></li>'
    )


def card_metrics(card: Record, *, most: int = 4) -> list[tuple[str, str]]:
    """A card's headline; without one, its first few plain numbers, named as in `noun/measure`."""
    if card.get("headline"):
        return [(str(label), str(text)) for label, text in card["headline"].items()]
    numbers = [
        (name.rsplit("/", 1)[-1].replace("_", " "), f"{value:.3g}")
        for name, value in (card.get("metrics") or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return numbers[:most]


def _activity(episodes: Sequence[Record], runs: Sequence[Record]) -> str:
    if not episodes and not runs:
        return (
            '<p class="empty"><b>Nothing has happened yet</b>'
            'Let the policy <a href="imagine">act in the dream</a> first.</p>'
        )
    return f'<ul class="rows">{"".join(map(_run, runs))}{"".join(map(_episode, episodes))}</ul>'


def _run(run: Record) -> str:
    done = f"{run['done']} of {run['total'] or '?'}"
    return (
        f'<li><i class="dot {escape(str(run["state"]))}"></i>'
        f'<a class="grow mono" href="train?run={escape(str(run["id"]))}">{escape(str(run["id"]))}'
        f'</a><span class="mute">{escape(str(run["job"]))} · {done}</span>'
        f'<span class="tag">{escape(str(run["state"]))}</span></li>'
    )


def _episode(episode: Record) -> str:
    kind = '<b class="dream">imagined</b>' if episode["imagined"] else '<b class="real">real</b>'
    verdict = (
        f'<span class="tag ok">✓ at {episode["end_step"]}</span>'
        if episode["success"]
        else '<span class="tag bad">✕ fail</span>'
    )
    name = escape(str(episode["id"]))
    return (
        f'<li>{kind}<a class="grow mono" href="label?episode={name}">{name}</a>'
        f'<span class="mute">{escape(str(episode["task"]))}</span>{verdict}</li>'
    )
