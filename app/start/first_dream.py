"""The dream that plays by itself on Start: a false success, recorded beside reality.

It moves by CSS alone, from the moment it is there; reality is uncovered by a tap, which a checkbox
takes without any script, or by itself once the dream was seen to its end.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

FRAMES_A_SECOND = 10.0
REST = 1.6  # seconds on the last frame, with the verdict


@dataclass(frozen=True, kw_only=True)
class FirstDream:
    """A recorded dream and the same actions in the simulator, as films of equal length.

    Attributes:
        dream, reality: WebP images, the frames side by side.
        frames: in each of them.
        verdict: what the reward model said at the end, and what the simulator said.
        onset: frame at which the two part; None if they do not.
    """

    dream: bytes
    reality: bytes
    frames: int
    start_id: int
    seed: int
    imagined: bool
    real: bool
    end_step: int
    onset: int | None


def load_first_dream(folder: Path) -> FirstDream | None:
    """The dream that `python -m studies.first_sight` recorded; None where there is none."""
    if not (folder / "first.json").is_file():
        return None
    told = json.loads((folder / "first.json").read_text())
    return FirstDream(
        dream=(folder / "dream.webp").read_bytes(),
        reality=(folder / "reality.webp").read_bytes(),
        frames=told["frames"],
        start_id=told["start_id"],
        seed=told["seed"],
        imagined=told["imagined"]["success"],
        real=told["real"]["success"],
        end_step=told["imagined"]["end_step"],
        onset=told["onset"],
    )


def first_dream_html(first: FirstDream) -> str:
    """Dream and reality side by side, and what to make of them."""
    claim = (
        f"The policy pushes the mug inside the world model, and the reward model calls it a "
        f"success at frame {first.end_step}."
    )
    truth = (
        f"The same {first.frames - 1} actions in the simulator end without one"
        + (f"; the two part at frame {first.onset}." if first.onset is not None else ".")
        + " A policy that trains on such dreams learns to make the world model lie. The studio "
        "finds them, shows them beside reality, and lets you correct the judge."
    )
    return (
        f'<section class="wm card first" aria-label="A dream beside reality">{_motion(first)}'
        f'<figure><div class="film dreamt" role="img" aria-label="A dream, playing" '
        f'style="background-image:url({_uri(first.dream)})">{_verdict("dreamt", first.imagined)}'
        "</div><figcaption><b class=dream>Dreamt</b> by the world model</figcaption></figure>"
        '<figure><input type="checkbox" id="uncover" aria-label="Show reality">'
        '<label class="film real" for="uncover" '
        f'style="background-image:url({_uri(first.reality)})">{_verdict("really", first.real)}'
        '<span class="cover"><b>Reality</b>tap to see</span></label>'
        "<figcaption><b class=real>Reality</b>, same actions</figcaption></figure>"
        f'<div class="story"><h2>Would you have believed it?</h2><p>{claim}</p>'
        f'<p class="truth">{truth}</p><p class="row">'
        '<a class="button primary" href="fidelity">Where does this world model lie?</a>'
        f'<a class="button" href="imagine?start={first.start_id}&amp;seed={first.seed}">'
        "Dream it yourself</a></p></div></section>"
    )


def _verdict(word: str, success: bool) -> str:
    tone, text = ("ok", "✓ success") if success else ("bad", "✕ fail")
    return f'<span class="tag {tone} said">{word}: {text}</span>'


def _uri(picture: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def _motion(first: FirstDream) -> str:
    """The films as animations: both begin when they are drawn, so they stay in step."""
    moving = (first.frames - 1) / FRAMES_A_SECOND
    whole = moving + REST
    share = 100 * moving / whole
    return (
        f"<style>@keyframes first-film{{0%{{background-position-x:0;"
        f"animation-timing-function:steps({first.frames - 1})}}"
        f"{share:.2f}%,100%{{background-position-x:100%}}}}"
        f"@keyframes first-said{{0%,{share - 1:.2f}%{{opacity:0}}{share:.2f}%,100%{{opacity:1}}}}"
        f".first{{--length:{whole:.2f}s;--width:{100 * first.frames}%}}</style>"
    )
