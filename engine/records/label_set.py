"""A label set: what people said of episodes, frozen in a file that is named by its content.

The directory `<sha256>/` holds `labels.jsonl`, one label a line in order of the episodes; its name
is the hash of those bytes, so that equal content has one name and a changed file is noticed.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

LABELS = "labels.jsonl"
NOW = "now"  # in place of a version: what people have said by the time that a run is started


@dataclass(frozen=True, kw_only=True)
class SetLabel:
    """What stands of an episode.

    Attributes:
        episode_id: its studio-wide name.
        success: what the person said.
        end_step: frame at which the person saw the success, where they marked it.
    """

    episode_id: str
    task: str
    start_id: int
    imagined: bool
    run: str | None
    success: bool
    end_step: int | None = None


def encode_labels(labels: Iterable[SetLabel]) -> bytes:
    """The content of `labels.jsonl`: the same bytes for the same labels, in whatever order."""
    ordered = sorted(labels, key=lambda label: label.episode_id)
    lines = [json.dumps(asdict(label), sort_keys=True, separators=(",", ":")) for label in ordered]
    return "".join(f"{line}\n" for line in lines).encode()


def content_hash(content: bytes) -> str:
    """The name of a label set: SHA-256 of its labels, in hex."""
    return hashlib.sha256(content).hexdigest()


def read_label_set(directory: Path) -> list[SetLabel]:
    """The labels of a set, after its name was checked.

    Raises:
        ValueError: no label set, or one whose labels are not those it is named by.
    """
    path = directory / LABELS
    if not path.is_file():
        raise ValueError(f"there is no label set {directory.name}")
    content = path.read_bytes()
    if content_hash(content) != directory.name:
        raise ValueError(f"the labels of {directory.name[:12]} were changed after it was frozen")
    return [SetLabel(**json.loads(line)) for line in content.decode().splitlines()]


def start_key(task: str, start_id: int, episode_id: str) -> str:
    """What episodes must share to be kept on one side of a split: their start, if it has a number.

    Siblings from one start begin with the same frame; uploaded images (negative ids) do not.
    """
    return f"{task}/{start_id}" if start_id >= 0 else episode_id


def is_gold(key: str, share: float) -> bool:
    """Whether the clips of a `start_key` are kept for testing: always the same answer.

    It depends on the name alone, so that adding labels moves no clip across the split.
    """
    digest = hashlib.sha256(f"gold/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
