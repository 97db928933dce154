"""LeRobotDataset v3.0 as the studio writes it: paths, features, and the columns of an episode.

Row i of an episode is frame i with action i; `next.*` speak of frame i + 1. The format has no row
for the last frame, and no place for lineage, latents and label events: those are in a folder of
our own, `wmpo/`, which other readers pass over.

Columns beyond the format:
    imagined: bool, made by a world model and not by a simulator.
    reward_model.probability: float32, success probability of the window that ends with frame
        i + 1; NaN where none does.
    human.success: int64, the label that stands: 1 success, 0 fail, -1 unsure or nothing said.
    dream_broke: bool, as that label says.
    intervention: bool, a person chose a number of this action.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.records.types import Frames, Trajectory
from storage.exports.contents import LabelledEpisode
from storage.exports.pictures import FRAMES_PER_SECOND

CODEBASE_VERSION = "v3.0"
CAMERA = "observation.images.main"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-000/file-000.parquet"
VIDEO = f"videos/{CAMERA}/chunk-000/file-000.mp4"
OURS, CARD = "wmpo/episodes.parquet", "README.md"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

LARGEST_EXACT = 64  # pixels of a side; above it frames are a video unless asked otherwise
HUMAN = {"success": 1, "fail": 0}

_SCALARS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
    "next.reward": "float32",
    "next.success": "bool",
    "next.done": "bool",
    "imagined": "bool",
    "reward_model.probability": "float32",
    "human.success": "int64",
    "dream_broke": "bool",
    "intervention": "bool",
}
_IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
OURS_SCHEMA = pa.schema(
    [
        pa.field("episode_index", pa.int64()),
        pa.field("record", pa.string()),  # as `episode.json`
        pa.field("arrays", pa.binary()),  # an .npz of `Trajectory.arrays`
        pa.field("last_frame", pa.binary()),  # PNG
        pa.field("labels", pa.string()),  # label events, oldest first
        pa.field("standing", pa.string()),  # event id of the label that stands
    ]
)

Columns = dict[str, npt.NDArray[Any]]


def video_size(frames: Frames) -> tuple[int, int]:
    """(height, width) of a video of these frames: 4:2:0 colours need even sides."""
    _, height, width, _ = frames.shape
    return height // 2 * 2, width // 2 * 2


def features(action_names: Sequence[str], size: tuple[int, int], *, images: bool) -> dict[str, Any]:
    """The `features` of info.json for frames of a size (height, width)."""
    camera: dict[str, Any] = {
        "dtype": "image" if images else "video",
        "shape": [*size, 3],
        "names": ["height", "width", "channels"],
    }
    if not images:
        camera["info"] = {
            "video.height": size[0],
            "video.width": size[1],
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": FRAMES_PER_SECOND,
            "video.channels": 3,
            "has_audio": False,
        }
    action = {"dtype": "float32", "shape": [len(action_names)], "names": list(action_names)}
    scalars = {n: {"dtype": kind, "shape": [1], "names": None} for n, kind in _SCALARS.items()}
    return {CAMERA: camera, "action": action, **scalars}


def data_schema(described: Mapping[str, Any]) -> pa.Schema:
    """The Arrow schema of the data file, with the types that Hugging Face `datasets` reads."""
    fields: list[pa.Field] = []
    hints: dict[str, Any] = {}
    for name, feature in described.items():
        if feature["dtype"] == "image":
            fields.append(pa.field(name, _IMAGE))
            hints[name] = {"_type": "Image"}
        elif name == "action":
            [dims] = feature["shape"]
            fields.append(pa.field(name, pa.list_(pa.float32(), dims)))
            value = {"dtype": "float32", "_type": "Value"}
            hints[name] = {"feature": value, "length": dims, "_type": "Sequence"}
        elif feature["dtype"] != "video":
            fields.append(pa.field(name, pa.type_for_alias(feature["dtype"])))
            hints[name] = {"dtype": feature["dtype"], "_type": "Value"}
    return pa.schema(fields).with_metadata(
        {"huggingface": json.dumps({"info": {"features": hints}})}
    )


def columns(item: LabelledEpisode, *, number: int, first: int, task_index: int) -> Columns:
    """Every column of an episode but the camera, [t, ...] each.

    Args:
        number: the episode's index in the dataset.
        first: index of its first row in the dataset.
    """
    episode, label = item.episode, item.label
    count = len(episode.actions)
    steps = np.arange(count)
    success, end_step = episode.outcome.success, episode.outcome.end_step
    overridden = episode.arrays.get("overridden", np.zeros((count, 1), np.bool_))
    values: Columns = {
        "action": episode.actions,
        "timestamp": steps / FRAMES_PER_SECOND,
        "frame_index": steps,
        "episode_index": np.full(count, number),
        "index": first + steps,
        "task_index": np.full(count, task_index),
        "next.reward": (steps + 1 == end_step) & success,
        "next.success": (steps + 1 >= end_step) & success,
        "next.done": steps == count - 1,
        "imagined": np.full(count, episode.imagined),
        "reward_model.probability": _probabilities(episode),
        "human.success": np.full(count, HUMAN.get(str(label and label.outcome), -1)),
        "dream_broke": np.full(count, bool(label and label.dream_broke)),
        "intervention": np.asarray(np.any(overridden, axis=1)),
    }
    types = {"action": "float32", **_SCALARS}
    return {name: values[name].astype(kind) for name, kind in types.items()}


def _probabilities(episode: Trajectory) -> npt.NDArray[np.float32]:
    found = np.full(len(episode.actions), np.nan, np.float32)
    ends = episode.arrays.get("window_ends", np.zeros(0, np.int64))
    rows = ends - 2  # a window ends before frame `end`; row i speaks of frame i + 1
    inside = (rows >= 0) & (rows < len(found))
    if inside.any():
        found[rows[inside]] = episode.arrays["window_probabilities"][inside]
    return found
