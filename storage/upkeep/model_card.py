"""The README.md of a published checkpoint, drawn from its card.json: what a Hub page shows."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_WORDS = {
    "policy": "a robot policy that answers an image and an instruction with a chunk of actions",
    "world_model": "a video world model that answers actions with the frames they lead to",
    "reward_model": "a reward model that says of a window of frames whether the task is done",
    "autoencoder": "a frame autoencoder, between pixels and the latents of a world model",
}
_TAGS = ("robotics", "world-model", "reinforcement-learning", "wmpo")


def model_card(config: Mapping[str, Any], card: Mapping[str, Any], digest: str) -> str:
    """Markdown with front matter: what it is, its figures, its data and its lineage.

    Args:
        config, card: the checkpoint's `config.json` and `card.json`.
        digest: its identity (`engine.records.manifest.checkpoint_hash`).
    """
    role = str(config.get("role", ""))
    lines = ["---", "library_name: wmpo-studio", "pipeline_tag: robotics", "tags:"]
    lines += [f"- {tag}" for tag in (*_TAGS, role.replace("_", "-"))]
    lines += ["---", "", f"# {_plain(card.get('name') or role)}", ""]
    lines += [f"This is {_WORDS[role]}, in the format of WMPO Studio (arXiv 2511.09515).", ""]
    if summary := card.get("summary"):
        lines += [_plain(summary), ""]
    lines += [f"Hash of weights and config: `{digest}`", ""]
    for title, names in (
        ("Figures", ("headline", "figures", "metrics")),
        ("Data", ("data",)),
        ("Lineage", ("lineage",)),
    ):
        rows = [row for name in names for row in _rows(card.get(name))]
        if rows:
            lines += [f"## {title}", "", "| | |", "|---|---|", *dict.fromkeys(rows), ""]
    if code := card.get("code"):
        lines += [f"Made by version `{_plain(code)}` of the code.", ""]
    if recipe := card.get("config"):
        shown = json.dumps(recipe, indent=1)
        lines += ["## Recipe", "", *(f"    {line}" for line in shown.splitlines()), ""]
    return "\n".join(lines)


def _rows(values: object) -> Iterator[str]:
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else _plain(value)
        yield f"| {_plain(name)} | {shown} |"


def _plain(value: object) -> str:
    """Text for one table cell or line: a card may be foreign, so nothing in it is markup."""
    text = " ".join(str(value).split())
    for sign in "\\`|<>[]*_":
        text = text.replace(sign, f"\\{sign}")
    return text
