"""Start: a dream beside reality, ways in, and what is here: recordings, checkpoints, runs."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import gradio as gr

from app.episodes.gallery import UNJUDGED
from app.imagine.starts import Shipped
from app.start.first_dream import first_dream_html
from app.start.room import RECORDED, StartRoom
from app.web.calls import on_visit
from app.web.panel import text_panel

Record = Mapping[str, Any]
Points = Sequence[tuple[float, float]]

PAPER = "https://arxiv.org/abs/2511.09515"
_ROLES = {"policy": "policy", "world_model": "world model", "reward_model": "reward model"}


def build(room: StartRoom, *, device: str, space: str = "") -> None:
    """Lay out the page; what is here is read anew at every visit.

    Args:
        space: the name of the Space that the studio runs on; empty at home.
    """

    def here() -> str:
        return here_html(
            checkpoints=room.slots.checkpoints(),
            episodes=room.gallery.records(limit=5),
            runs=[run for run in room.runs.all() if run["id"] != RECORDED][:5],
            unjudged=room.gallery.count(imagined=False, judged=False, label="none"),
            takes_in=not room.access.guest,
        )

    def banner() -> str:
        return banner_html(banner_text(device, room.access.guest, room.simulator.missing))

    pictures = [str(start["image"]) for start in room.starts.shipped(Shipped())["starts"][:3]]
    with gr.Column(elem_classes="page one"):
        text_panel(hero_html(space))
        if room.first is not None:
            text_panel(first_dream_html(room.first))
        text_panel(ways_html(pictures, room.success_of(RECORDED)))
        page = text_panel(here())
        mode = text_panel(banner_html(banner_text(device, room.access.guest, "")))
    on_visit(here, None, page)
    on_visit(banner, None, mode)


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


def hero_html(space: str = "") -> str:
    """Headline, what the studio is for, and where it comes from."""
    links = f'<a href="{PAPER}">Paper</a>'
    if space:
        site = f"https://huggingface.co/spaces/{escape(space)}"
        links = (
            f'<b>{escape(space)}</b><a class="button" href="{site}?duplicate=true">Duplicate this '
            f'Space</a>{links}<a href="{site}/tree/main">Code</a>'
        )
    return (
        '<section class="wm hero"><h1>Train robot policies in imagination</h1>'
        "<p>A policy acts inside a video world model and learns from episodes that never happened. "
        "See where its dreams are wrong, correct the judge, train again.</p>"
        f'<p class="row links">{links}</p></section>'
    )


def banner_html(text: str) -> str:
    """The honest banner."""
    return f'<p class="wm banner mode">{escape(text)}</p>'


def ways_html(pictures: Sequence[str], success: Mapping[str, Points]) -> str:
    """Three ways in: to judge, to watch a run, to play; `success` is that of the recorded run."""
    films = [f'<img class="pixel" alt="" src="{escape(image)}">' for image in pictures]
    judge, play = (films[0], films[1]) if len(films) > 1 else ("", "")
    path, title = "train", "Watch it learn"
    if success:
        path, title = f"train?run={RECORDED}", "Watch a recorded training run"
    tiles = (
        ("label?goal=10", "Judge ten clips", judge, "One key or swipe a clip. See where you and "
         "the reward model disagree."),
        (path, title, _spark(success), _risen(success)),
        ("imagine", "Play in the dream", play, "Drive the robot yourself, rewind, and branch "
         "into other futures."),
    )  # fmt: skip
    shown = "".join(
        f'<a class="card tile" href="{path}"><span class="picture">{picture}</span>'
        f"<span><b>{title}</b><span>{text}</span></span></a>"
        for path, title, picture, text in tiles
    )
    return f'<section class="wm tiles" aria-label="Ways in">{shown}</section>'


def _risen(success: Mapping[str, Points]) -> str:
    said = ", ".join(
        f"{name} {100 * points[0][1]:.0f} → {100 * points[-1][1]:.0f}\N{NO-BREAK SPACE}%"
        for name, points in success.items()
    )
    return f"WMPO on these models. Success: {said}." if said else "GRPO on imagined episodes."


def _spark(success: Mapping[str, Points]) -> str:
    """Success over the iterations, imagined and real, as a small picture."""
    last = max((points[-1][0] for points in success.values()), default=1.0)
    lines = "".join(
        f'<polyline class="{name}" points="'
        + " ".join(f"{4 + 92 * x / last:.1f},{66 - 56 * y:.1f}" for x, y in points)
        + '"/>'
        for name, points in success.items()
    )
    return (
        f'<svg viewBox="0 0 100 76" preserveAspectRatio="none" aria-hidden="true">{lines}</svg>'
        if lines
        else ""
    )


def here_html(
    *,
    checkpoints: Sequence[Record],
    episodes: Sequence[Record],
    runs: Sequence[Record],
    unjudged: int = 0,
    takes_in: bool = True,
) -> str:
    """Recordings, checkpoints and runs as HTML; every text from outside is escaped."""
    parts = (
        ("Recordings", "episodes", _activity(episodes)),
        ("Checkpoints", "models", _checkpoints(checkpoints)),
        ("Runs", "train", _runs(runs)),
    )
    cards = "".join(
        f'<section class="card"><div class="between"><h3>{title}</h3>'
        f'<a href="{path}">all</a></div>{rows}</section>'
        for title, path, rows in parts
    )
    return f'{_own(unjudged, takes_in)}<div class="wm start thirds">{cards}</div>'


def _own(unjudged: int, takes_in: bool) -> str:
    """The way in for recordings of one's own robot, and those that wait for a verdict."""
    if not unjudged and not takes_in:
        return ""
    clips = f"{unjudged:,} real clip{'s' * (unjudged != 1)}"
    waiting = (
        f"<p><b>{clips}</b> of which nobody has said how they ended: "
        f'<a href="label?clips={quote(UNJUDGED)}">label them</a>, that is what a reward model '
        "learns from.</p>"
    )
    way = (
        '<a class="button" href="data#recordings">Take them in</a></div><p>LeRobot, robomimic, '
        "WMPO tars or videos of your robot: look at them, label what succeeded, and train all four "
        "models on them.</p>"
    )
    return (
        '<section class="wm card own" aria-label="Your own recordings"><div class="between">'
        f"<h3>Your own recordings</h3>{way if takes_in else '</div>'}"
        f"{waiting * bool(unjudged)}</section>"
    )


def _checkpoints(checkpoints: Sequence[Record]) -> str:
    known = {role: [r for r in checkpoints if r["role"] == role] for role in _ROLES}
    rows = "".join(
        "".join(map(_checkpoint, records[:2])) + _more(len(records) - 2)
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
    return f'<li class="mute">and {count} more</li>'


def _checkpoint(record: Record) -> str:
    metrics = "".join(
        f'<p>{escape(name)} <span class="mono">{escape(value)}</span></p>'
        for name, value in card_metrics(record.get("card") or {}, most=2)
        if any(map(str.isdigit, value))  # what else a card says is said on Models
    )
    shipped = ", shipped" * str(record["id"]).startswith("demo/")
    return (
        f'<li><span class="grow"><b>{escape(record["called"])}</b> <span class="mute">'
        f"{_ROLES[record['role']]}{shipped}</span>"
        f"{metrics}</span></li>"
    )


def card_metrics(card: Record, *, most: int = 4) -> list[tuple[str, str]]:
    """The first of a card's headline; without one, of its plain numbers, named `noun/measure`."""
    if card.get("headline"):
        return [(str(label), str(text)) for label, text in card["headline"].items()][:most]
    numbers = [
        (name.rsplit("/", 1)[-1].replace("_", " "), f"{value:.3g}")
        for name, value in (card.get("metrics") or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    return numbers[:most]


def _activity(episodes: Sequence[Record]) -> str:
    if not episodes:
        return (
            '<p class="empty"><b>Nothing recorded yet</b>'
            'Let the policy <a href="imagine">act in the dream</a> first.</p>'
        )
    return f'<ul class="rows">{"".join(map(_episode, episodes))}</ul>'


def _runs(runs: Sequence[Record]) -> str:
    if not runs:
        return (
            '<p class="empty"><b>No runs of yours yet</b>'
            '<a href="train">Train a policy</a>: a quick look takes minutes.</p>'
        )
    return f'<ul class="rows">{"".join(map(_run, runs))}</ul>'


def _run(run: Record) -> str:
    state = escape(str(run["state"]))
    done = f" {run['done']} of {run['total']}" if run["busy"] and run["total"] else ""
    return (
        f'<li><i class="dot {state}"></i><a class="grow" title="{escape(str(run["name"]))}" '
        f'href="train?run={escape(str(run["id"]))}">{escape(str(run["name"]))}</a>'
        f'<span class="tag">{state}{done}</span></li>'
    )


def _episode(episode: Record) -> str:
    kind = '<b class="dream">imagined</b>' if episode["imagined"] else '<b class="real">real</b>'
    verdict = (
        f'<span class="tag ok">✓ at {episode["end_step"]}</span>'
        if episode["success"]
        else '<span class="tag">? nobody judged it</span>'
        if not episode["judged"]
        else '<span class="tag bad">✕ fail</span>'
    )
    name = escape(str(episode["id"]))
    what = f"start {episode['start_id']:,}" if episode["start_id"] >= 0 else "uploaded image"
    return (
        f'<li>{kind}<a class="grow" href="label?episode={name}" title="{name}">'
        f"{escape(str(episode['task']))}, {what}</a>{verdict}</li>"
    )
