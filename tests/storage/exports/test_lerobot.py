"""Episodes as a LeRobotDataset v3.0: the published format, field by field, and the way back."""

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.types import Label, Outcome, Trajectory
from storage.exports.lerobot import pack_lerobot, write_lerobot
from storage.exports.lerobot_format import LabelledEpisode
from storage.exports.lerobot_reading import FOREIGN, is_lerobot, unpack_lerobot
from storage.labels import LabelEvent

CAMERA = "observation.images.main"


def dream(number: int = 0, **changes: Any) -> Trajectory:
    """Four actions on 8 x 8 frames; a success in step 3; windows of two frames."""
    draw = np.random.default_rng(number)
    values: dict[str, Any] = {
        "id": f"dream-{number}",
        "task": "coffee-push",
        "start_id": 7,
        "instruction": f"push {number % 2}",
        "imagined": True,
        "outcome": Outcome(True, 3),
        "frames": draw.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8),
        "actions": draw.standard_normal((4, 4)).astype(np.float32),
        "arrays": {
            "window_ends": np.array([3, 5]),
            "window_probabilities": np.array([0.25, 0.75], np.float32),
            "overridden": np.array([[False] * 4, [True] * 4, [False] * 4, [False] * 4]),
            "latents": np.ones((5, 2, 1, 1), np.float32),
        },
        "lineage": {"policy": "p"},
        "replay": {"seed": 3},
    }
    return Trajectory(**values | changes)


def labelled(number: int = 0, **changes: Any) -> LabelledEpisode:
    first = Label(event_id=f"one-{number}", episode_id=f"dream-{number}", outcome="fail")
    second = dataclasses.replace(
        first, event_id=f"two-{number}", outcome="success", supersedes=first.event_id
    )
    events = [LabelEvent(label=n, seq=i, at=0.1, hash="h") for i, n in enumerate((first, second))]
    return LabelledEpisode(
        episode=dream(number, **changes), events=events, standing=second.event_id
    )


def silent(number: int, **changes: Any) -> LabelledEpisode:
    return LabelledEpisode(episode=dream(number, **changes))


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exact")
    write_lerobot(root, [labelled(0), silent(1), silent(2, outcome=Outcome(False, 4))])
    return root


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filmed")
    smooth = np.linspace(60, 190, 5).astype(np.uint8)[:, None, None, None]
    frames = np.broadcast_to(smooth, (5, 32, 32, 3)).copy()
    write_lerobot(root, [silent(0, frames=frames), silent(1, frames=frames)], images=False)
    return root


def info(root: Path) -> dict[str, Any]:
    return json.loads((root / "meta/info.json").read_text())


def table(root: Path, name: str) -> pa.Table:
    return pq.read_table(root / name)


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.is_file())


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


# The way back


def test_what_was_written_is_read_back_equal() -> None:
    items = [labelled(0), silent(1, outcome=Outcome(False, 4), arrays={})]
    data = pack_lerobot(items)
    assert is_lerobot(data)
    again = unpack_lerobot(data)
    assert again.problems == ()
    for one, other in zip(items, again.episodes, strict=True):
        assert other.episode.actions.tobytes() == one.episode.actions.tobytes()
        np.testing.assert_array_equal(other.episode.frames, one.episode.frames)
        assert list(other.episode.arrays) == list(one.episode.arrays)
        for name, values in one.episode.arrays.items():
            np.testing.assert_array_equal(other.episode.arrays[name], values)
        nothing = {"frames": dream().frames, "actions": dream().actions, "arrays": {}}
        assert dataclasses.replace(other.episode, **nothing).__dict__ == (
            dataclasses.replace(one.episode, **nothing).__dict__
        )
        assert (list(other.events), other.standing) == (list(one.events), one.standing)


def test_a_video_is_read_back_with_the_loss_of_a_video(filmed: Path) -> None:
    [first, _] = unpack_lerobot(zipped(filmed)).episodes
    smooth = np.linspace(60, 190, 5).astype(int)
    np.testing.assert_allclose(first.episode.frames.mean(axis=(1, 2, 3)), smooth, atol=3)
    assert first.episode.frames[-1].min() == first.episode.frames[-1].max() == 190  # exact


def test_episodes_that_cannot_be_one_dataset_are_refused() -> None:
    other = silent(1, actions=np.zeros((4, 7), np.float32))
    with pytest.raises(ValueError, match="dream-1 differs"):
        pack_lerobot([silent(0), other])
    with pytest.raises(ValueError, match="choose at least one episode"):
        pack_lerobot([])
    still = silent(0, frames=dream().frames[:1], actions=np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="dream-0 has no actions"):
        pack_lerobot([still])


def zipped(root: Path, change: Callable[[str, bytes], bytes | None] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names(root):
            content = (root / name).read_bytes()
            changed = content if change is None else change(name, content)
            if changed is not None:
                archive.writestr(name, changed)
    return buffer.getvalue()


def with_column(name: str, row: int, value: object) -> Callable[[bytes], bytes]:
    """A table with one cell changed."""

    def change(data: bytes) -> bytes:
        old = pq.read_table(io.BytesIO(data))
        cells = old[name].to_pylist()
        cells[row] = value
        at = old.column_names.index(name)
        field = old.schema.field(name)
        buffer = io.BytesIO()
        new = old.set_column(at, field, pa.array(cells, field.type))
        pq.write_table(new.replace_schema_metadata(old.schema.metadata), buffer)
        return buffer.getvalue()

    return change


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


DATA, META = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
OURS = "wmpo/episodes.parquet"


@pytest.mark.parametrize(
    ("file", "change", "problem"),
    [
        ("meta/stats.json", lambda data: None, "meta/stats.json: is missing"),
        ("meta/info.json", lambda data: b"{", "meta/info.json: is not JSON"),
        ("meta/info.json", lambda data: b"[]", "meta/info.json: must be an object"),
        ("meta/info.json", lambda data: b"{}", "meta/info.json: 'codebase_version' is missing"),
        (
            "meta/info.json",
            replaced(b"v3.0", b"v2.1"),
            "meta/info.json: codebase_version is v2.1, not v3.0",
        ),
        ("meta/info.json", replaced(b'"fps": 16', b'"fps": 30'), "meta/info.json: fps is 30"),
        (
            "meta/info.json",
            replaced(b'"intervention"', b'"meddling"'),
            "meta/info.json: the feature intervention is not",
        ),
        (
            "meta/info.json",
            replaced(b'"total_frames": 12', b'"total_frames": 13'),
            "meta/info.json: 13 rows, not 12",
        ),
        (
            "meta/info.json",
            replaced(b'"total_episodes": 3', b'"total_episodes": 4'),
            "meta/info.json: 4 episodes, but 3 are kept",
        ),
        ("meta/tasks.parquet", lambda data: data[:40], "meta/tasks.parquet: "),
        (
            "meta/tasks.parquet",
            with_column("task", 1, "pull"),
            "meta/tasks.parquet: 'push 1' is missing",
        ),
        (
            "meta/tasks.parquet",
            with_column("task_index", 1, 5),
            "meta/tasks.parquet: task_index must count from 0",
        ),
        (META, with_column("length", 1, 5), f"{META}, row 1: dataset_to_index is 8, not 9"),
        (META, with_column("episode_index", 2, 7), f"{META}, row 2: episode_index is 7, not 2"),
        (META, with_column("tasks", 0, ["pull"]), f"{META}, row 0: tasks must be ['push 0']"),
        (DATA, lambda data: data[:-9], f"{DATA}: "),
        (
            DATA,
            with_column("next.reward", 5, 1.0),
            f"{DATA}, row 5: next.reward is 1.0, but the episode makes it 0.0",
        ),
        (DATA, with_column("imagined", 9, False), f"{DATA}, row 9: imagined is False"),
        (DATA, with_column("index", 3, 4), f"{DATA}, row 3: index is 4"),
        (DATA, with_column("timestamp", 1, 9.0), f"{DATA}, row 1: timestamp is 9.0"),
        (DATA, with_column("timestamp", 1, None), f"{DATA}, row 1: timestamp is nan"),
        (DATA, with_column("human.success", 0, 0), f"{DATA}, row 0: human.success is 0"),
        (DATA, with_column("action", 1, None), f"{OURS}, row 0: an action is missing"),
        (
            DATA,
            with_column("action", 6, [float("nan")] * 4),
            f"{OURS}, row 1: the actions of this episode are not finite",
        ),
        (
            DATA,
            with_column(CAMERA, 7, {"bytes": b"\x89PNG", "path": None}),
            f"{DATA}, row 7: {CAMERA} is not a picture of this size",
        ),
        (DATA, with_column(CAMERA, 7, None), f"{DATA}, row 7: {CAMERA} is not a picture"),
        (OURS, with_column("record", 0, "{}"), f"{OURS}, row 0: 'num_actions'"),
        (OURS, with_column("arrays", 2, b"zip"), f"{OURS}, row 2: File is not a zip file"),
        (OURS, with_column("last_frame", 1, b""), f"{OURS}, row 1: cannot identify image"),
        (OURS, with_column("labels", 1, "[{}]"), f"{OURS}, row 1: actor, at, "),
        (OURS, with_column("standing", 1, "ghost"), f"{OURS}, row 1: the label ghost that"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_row(
    exact: Path, file: str, change: Callable[[bytes], bytes | None], problem: str
) -> None:
    data = zipped(exact, lambda name, content: change(content) if name == file else content)
    found = unpack_lerobot(data)
    assert found.episodes == ()
    assert str(found.problems[0]).startswith(problem)


def test_every_wrong_episode_is_reported(exact: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != OURS:
            return content
        return with_column("labels", 2, "[1]")(with_column("record", 0, "{}")(content))

    assert [problem.row for problem in unpack_lerobot(zipped(exact, change)).problems] == [0, 2]


def test_an_episode_twice_is_reported() -> None:
    [problem] = unpack_lerobot(pack_lerobot([silent(1), silent(1)])).problems
    assert str(problem) == f"{OURS}, row 1: dream-1 is there twice"


def test_a_video_that_is_not_of_these_episodes_is_refused(filmed: Path, exact: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content[:-200] if name.endswith("mp4") else content

    [problem] = unpack_lerobot(zipped(filmed, change)).problems
    assert problem.file.endswith("file-000.mp4")


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip" * 50])
def test_what_is_no_dataset_is_refused(data: bytes) -> None:
    assert not is_lerobot(data)
    with pytest.raises(ValueError, match="that is no LeRobot dataset exported from a studio"):
        unpack_lerobot(data)


def test_other_files_and_large_ones_are_refused(exact: Path) -> None:
    buffer = io.BytesIO(zipped(exact))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("../evil", b"x")
    with pytest.raises(ValueError) as refusal:
        unpack_lerobot(buffer.getvalue())
    assert str(refusal.value) == FOREIGN
    with pytest.raises(ValueError, match="unpacks to more than"):
        unpack_lerobot(zipped(exact), largest=1_000)
