"""Which files of the released repository belong to which task (fangqi/WMPO; method.md §1.7)."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from storage.downloads.listings import RemoteFile

TASKS = ("coffee", "square", "stack_three", "three_piece_assembly", "aloha")

# What a task may need, and where it lies. The plain roles are the default choice: the base policy
# and the world model aligned on a budget of 128 real episodes.
PARTS = {
    "policy": "SFT_models/{task}/",
    "policy_128": "WMPO_models/{task}/P_128/",
    "policy_1280": "WMPO_models/{task}/P_1280/",
    "world_model": "world_models/{task}/P_128/",
    "world_model_1280": "world_models/{task}/P_1280/",
    "reward_model": "reward_models/videomae_{task}.pth",
    "autoencoder": "world_models/vae/",
}
DEFAULT_PARTS = ("policy", "world_model", "reward_model", "autoencoder")

_PREFIX = "checkpoint_files/"
_LAYOUT = ("SFT_models/", "WMPO_models/", "world_models/", "reward_models/")
# What only continues a training, or is code, which the studio never runs. The two configs of a
# world model are read as data.
_UNNEEDED = re.compile(
    r"(^|/)(optimizer|lora_adapter|tensorboard|wandb)/|(^|/)(lr_scheduler|running_states\.json)$"
    r"|(?<!_cfg)\.py$"
)
_AVERAGED = re.compile(r"(.*/|)ema\.(pt|pth|safetensors)")


def has_official_layout(files: Sequence[RemoteFile]) -> bool:
    """Whether a source holds folders of the released repository."""
    return any(_inside(file.path).startswith(_LAYOUT) for file in files)


def select(
    files: Sequence[RemoteFile], task: str, parts: Sequence[str] = DEFAULT_PARTS
) -> tuple[RemoteFile, ...]:
    """The files that some parts of one task need, each with the name of its part.

    Raises:
        ValueError: no such task or part, or the source has no file of one.
    """
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, not {task!r}")
    unknown = sorted(set(parts) - PARTS.keys())
    if unknown or not parts:
        raise ValueError(f"parts must be among {', '.join(PARTS)}, not {', '.join(unknown)!r}")
    chosen: list[RemoteFile] = []
    for part in dict.fromkeys(parts):
        place = PARTS[part].format(task=task)
        found = _needed([file for file in files if _lies_at(_inside(file.path), place)])
        if not found:
            raise ValueError(f"the source has no {part} for {task}: nothing lies at {place}")
        chosen += [dataclasses.replace(file, part=part) for file in found]
    return tuple(chosen)


def part_path(path: str, task: str, part: str) -> str:
    """The path of the folder or file that is a part, from that of one of its files."""
    place = PARTS[part].format(task=task).removesuffix("/")
    return path[: path.index(place) + len(place)]


def role_of(part: str) -> str:
    """The role of a checkpoint that is a part: `policy_128` is a policy."""
    return re.sub(r"_\d+$", "", part)


def find_parts(folder: Path, task: str) -> dict[str, Path]:
    """The parts of a task that a local copy of the release holds, in the order of `PARTS`."""
    return {
        part: path
        for part, place in PARTS.items()
        for root in (folder / _PREFIX, folder)
        if (path := root / place.format(task=task)).exists()
    }


def _lies_at(path: str, place: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


def _needed(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Without training leftovers and code, and of raw and averaged weights the averaged ones."""
    averaged = {found[1] for file in files if (found := _AVERAGED.fullmatch(file.path))}
    raw = tuple(f"{folder}model/" for folder in averaged)
    return [
        file
        for file in files
        if not _UNNEEDED.search(file.path) and not (raw and file.path.startswith(raw))
    ]


def _inside(path: str) -> str:
    return path.removeprefix(_PREFIX)
