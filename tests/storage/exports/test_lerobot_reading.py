"""LeRobot datasets read back: equal, or refused by file and row."""

import dataclasses
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.records.types import Outcome
from storage.exports.lerobot.reading import FOREIGN, is_lerobot, unpack_lerobot
from storage.exports.lerobot.writing import pack_lerobot
from tests.storage.exports.lerobot_episodes import CAMERA, dream, labelled, names, silent


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
