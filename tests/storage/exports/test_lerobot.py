"""Episodes as a LeRobotDataset v3.0: the published format, field by field."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.storage.exports.lerobot_episodes import CAMERA, dream, names


def info(root: Path) -> dict[str, Any]:
    return json.loads((root / "meta/info.json").read_text())


def table(root: Path, name: str) -> pa.Table:
    return pq.read_table(root / name)


# What follows was read from the published format (huggingface/lerobot, codebase v3.0:
# datasets/utils.py, dataset_metadata.py, dataset_writer.py, compute_stats.py).


def test_the_files_are_where_the_format_has_them(exact: Path, filmed: Path) -> None:
    common = [
        "README.md",
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
    ]
    assert names(exact) == [*common, "wmpo/episodes.parquet"]
    video = f"videos/{CAMERA}/chunk-000/file-000.mp4"
    assert names(filmed) == [*common, video, "wmpo/episodes.parquet"]


def test_info_has_every_field_of_the_format(exact: Path, filmed: Path) -> None:
    found = info(exact)
    described = found.pop("features")
    assert found == {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": 3,
        "total_frames": 12,
        "total_tasks": 2,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": 16,
        "splits": {"train": "0:3"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
    }
    assert info(filmed)["video_path"] == (
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    )
    assert described[CAMERA] == {
        "dtype": "image",
        "shape": [8, 8, 3],
        "names": ["height", "width", "channels"],
    }
    assert described["action"] == {
        "dtype": "float32",
        "shape": [4],
        "names": ["x", "y", "z", "gripper"],
    }
    kinds = {name: feature["dtype"] for name, feature in described.items()}
    assert [kinds[name] for name in ("timestamp", "next.reward")] == ["float32", "float32"]
    indices = ("frame_index", "episode_index", "index", "task_index", "human.success")
    assert {kinds[name] for name in indices} == {"int64"}
    flags = ("next.success", "next.done", "imagined", "dream_broke", "intervention")
    assert {kinds[name] for name in flags} == {"bool"}
    assert all("/" not in name for name in described)


def test_a_video_says_how_it_is_encoded(filmed: Path) -> None:
    assert info(filmed)["features"][CAMERA]["info"] == {
        "video.height": 32,
        "video.width": 32,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": 16,
        "video.channels": 3,
        "has_audio": False,
    }
    with av.open(str(filmed / f"videos/{CAMERA}/chunk-000/file-000.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        times = [float(frame.time) for frame in container.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(8) / 16, atol=1e-4)  # the format's own tolerance


def test_rows_are_frames_with_the_action_that_follows(exact: Path) -> None:
    data = table(exact, "data/chunk-000/file-000.parquet")
    assert data.num_rows == 12
    assert data.schema.field("action").type == pa.list_(pa.float32(), 4)
    hints = json.loads(data.schema.metadata[b"huggingface"])["info"]["features"]
    assert hints[CAMERA] == {"_type": "Image"}
    assert list(hints) == data.column_names == list(info(exact)["features"])
    expected = {
        "timestamp": [0.0, 0.0625, 0.125, 0.1875],
        "frame_index": [0, 1, 2, 3],
        "episode_index": [0, 0, 0, 0],
        "index": [0, 1, 2, 3],
        "task_index": [0, 0, 0, 0],
        "next.reward": [0.0, 0.0, 1.0, 0.0],
        "next.success": [False, False, True, True],
        "next.done": [False, False, False, True],
        "imagined": [True] * 4,
        "human.success": [1] * 4,
        "dream_broke": [False] * 4,
        "intervention": [False, True, False, False],
    }
    first = data.slice(0, 4)
    assert {name: first[name].to_pylist() for name in expected} == expected
    # windows end before frames 3 and 5: with the frames that rows 1 and 3 lead to
    probabilities = first["reward_model.probability"].to_numpy()
    np.testing.assert_array_equal(probabilities, [np.nan, 0.25, np.nan, 0.75])
    assert data["index"].to_pylist() == list(range(12))
    assert data["human.success"].to_pylist()[4:] == [-1] * 8
    assert data["next.reward"].to_pylist()[8:] == [0.0] * 4


def test_the_episodes_file_says_where_each_is(exact: Path, filmed: Path) -> None:
    rows = table(exact, "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    plain = {name: value for name, value in rows[1].items() if not name.startswith("stats/")}
    assert plain == {
        "episode_index": 1,
        "tasks": ["push 1"],
        "length": 4,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": 4,
        "dataset_to_index": 8,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    second = table(filmed, "meta/episodes/chunk-000/file-000.parquet").to_pylist()[1]
    video = f"videos/{CAMERA}"
    assert second[f"{video}/chunk_index"] == second[f"{video}/file_index"] == 0
    assert second[f"{video}/from_timestamp"] == 0.25
    assert second[f"{video}/to_timestamp"] == 0.5
    found = {name.split("/")[1] for name in rows[0] if name.startswith("stats/")}
    assert found == set(info(exact)["features"])


def test_tasks_are_indexed_by_their_instruction(exact: Path) -> None:
    tasks = table(exact, "meta/tasks.parquet")
    assert tasks.to_pylist() == [
        {"task_index": 0, "task": "push 0"},
        {"task_index": 1, "task": "push 1"},
    ]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_are_those_of_all_rows(exact: Path) -> None:
    stats = json.loads((exact / "meta/stats.json").read_text())
    assert set(stats) == set(info(exact)["features"])
    assert {tuple(found) for found in stats.values()} == {("min", "max", "mean", "std", "count")}
    actions = np.concatenate([dream(number).actions for number in range(3)])
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(axis=0), rtol=1e-6)
    assert stats["action"]["count"] == [12]
    pixels = np.stack([dream(number).frames[:4] for number in range(3)]) / 255
    assert np.shape(stats[CAMERA]["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(stats[CAMERA]["mean"]), pixels.mean(axis=(0, 1, 2, 3)))
    np.testing.assert_allclose(np.ravel(stats[CAMERA]["std"]), pixels.std(axis=(0, 1, 2, 3)))
    assert np.ravel(stats[CAMERA]["min"]).tolist() == pixels.min(axis=(0, 1, 2, 3)).tolist()
    judged = stats["reward_model.probability"]
    assert (judged["count"], judged["mean"], judged["max"]) == ([6], [0.5], [0.75])
