"""What is told of strangers' recordings, and every refusal in one sentence with file and row."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.recordings.description import Cut, UnusableError, cut_frames, describe
from engine.recordings.source import open_source
from tests.engine.recordings.datasets import (
    FRONT,
    WRIST,
    actions,
    films,
    is_picture,
    lerobot_v3,
    picture,
    write_film,
)

CASES = Path(__file__).parents[2] / "golden" / "recordings"
TARS = Path(__file__).parents[2] / "golden" / "foreign"


def decoded(path: Path, index: int, view: str) -> np.ndarray:
    return np.stack(list(open_source(path).frames(index, view)))


def known_frames(index: int, length: int) -> np.ndarray:
    return np.stack([picture(index, step) for step in range(length)])


# LeRobot.


@pytest.mark.parametrize("files", [1, 2])
def test_episodes_behind_each_other_in_a_video_are_told_apart(tmp_path: Path, files: int) -> None:
    root = lerobot_v3(tmp_path / "set", cameras=(FRONT, WRIST), files=files)
    source = open_source(root)
    found = describe(source)
    assert [view["name"] for view in found.views] == [FRONT, WRIST]
    assert (found.lengths, found.fps, found.action_names) == ((5, 7, 6), 10, ("dx", "dy", "grip"))
    assert found.instructions == {"do that": 2, "do this": 1}
    assert (found.succeeded, found.success_found) == ((None,) * 3, "")
    for index in (0, 1, 2, 1, 0):  # in order, then backwards
        seen = list(source.frames(index, WRIST))
        assert len(seen) == found.lengths[index]
        assert all(is_picture(one, picture(index, step)) for step, one in enumerate(seen))
        np.testing.assert_array_equal(source.actions(index), actions(index, found.lengths[index]))


@pytest.mark.parametrize("corner", [(0, 0, 32, 32), (4, 6, 24, 24), (3, 5, 24, 24)])
def test_a_decoder_that_cuts_and_shrinks_gives_what_is_cut_of_whole_frames(
    tmp_path: Path, corner: tuple[int, int, int, int]
) -> None:
    top, left, height, width = corner
    source = open_source(lerobot_v3(tmp_path / "set"))
    for size, off in ((8, 3), (height, 0), (40, 0)):
        cut = Cut(top=top, left=left, height=height, width=width, size=size, every=2)
        for index in (0, 1, 0):
            found = np.stack(list(source.frames(index, FRONT, cut)))
            wanted = np.stack(list(cut_frames(source.frames(index, FRONT), cut)))
            assert found.shape == ((5, 7, 6)[index] // 2 + 1, size, size, 3)
            assert np.abs(found.astype(int) - wanted).max() <= off
    outside = Cut(top=10, left=0, height=32, width=32, size=8)
    with pytest.raises(ValueError, match=r"\[10, 0, 32, 32\] is not inside a frame of 32×48"):
        list(source.frames(0, FRONT, outside))


def test_pictures_in_the_table_come_out_equal(tmp_path: Path) -> None:
    root = lerobot_v3(tmp_path, images=True)
    for index, length in enumerate((5, 7, 6)):
        np.testing.assert_array_equal(decoded(root, index, FRONT), known_frames(index, length))


def test_what_lerobot_0_3_wrote_is_read() -> None:
    """v2.1, AV1, an emoji in an instruction."""
    path = CASES / "drawer_v21_video"
    found = describe(open_source(path))
    assert (found.kind, found.lengths) == ("LeRobot v2.1", (50, 44, 60, 44, 49))
    assert sorted(found.instructions.values()) == [2, 3] and "🗄" in "".join(found.instructions)
    assert found.succeeded == (None,) * 5
    assert decoded(path, 1, FRONT).shape == (44, 96, 128, 3)


def test_flags_say_when_an_episode_succeeded(tmp_path: Path) -> None:
    flags = [0.0] * 18
    flags[3] = flags[4] = 1.0
    found = describe(open_source(lerobot_v3(tmp_path / "a", flags={"next.success": flags})))
    assert (found.succeeded, found.succeeded_at[0]) == ((True, False, False), 3)
    found = describe(open_source(lerobot_v3(tmp_path / "b", flags={"next.reward": flags})))
    assert (found.succeeded, found.success_found) == ((True, False, False), "next.reward")
    flags[0] = 0.5
    found = describe(open_source(lerobot_v3(tmp_path / "c", flags={"next.reward": flags})))
    assert (found.succeeded, found.success_found) == ((None,) * 3, "")
    assert "shaped" in found.notes[-1]


def _info(root: Path, **changes: object) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _table(root: Path, change: Callable[[dict[str, list[object]]], object]) -> None:
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path).to_pydict()
    change(table)
    pq.write_table(pa.table(table), path)


def _no_wrist_in_12(root: Path) -> None:
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[2][f"videos/{WRIST}/file_index"] = None
    pq.write_table(pa.Table.from_pylist(rows), path)


def _nan(table: dict[str, list[object]]) -> None:
    table["action"][6] = [0.0, float("nan"), 1.0]


def _short_action(table: dict[str, list[object]]) -> None:
    table["action"][6] = [0.0, 1.0]


def _truncate(root: Path) -> None:
    path = root / "data/chunk-000/file-000.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def _film(root: Path, length: int, **options: object) -> None:
    frames = [picture(0, step) for step in range(length)]
    write_film(root / f"videos/{FRONT}/chunk-000/file-000.mp4", frames, **options)


def _escape(root: Path) -> None:
    _info(root, data_path="../../{chunk_index}/{file_index}")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_no_wrist_in_12, f"episode 2: the camera {WRIST} is missing"),
        (lambda root: _table(root, _nan), "episode 1, action, row 1: it is not a finite number"),
        (lambda root: _table(root, _short_action), "action, row 6: has 2 numbers, the rows"),
        (_truncate, "data/chunk-000/file-000.parquet: is damaged"),
        (lambda root: _info(root, fps=0), "meta/info.json: fps is 0"),
        (lambda root: _info(root, codebase_version="v9"), "codebase_version is v9"),
        (lambda root: _info(root, total_episodes=4), "says 4 episodes, but 3 are listed"),
        (lambda root: _film(root, 17), "has 17 frames, but episode 2 ends at 18"),
        (lambda root: _film(root, 18, pix_fmt="yuv420p10le"), "has yuv420p10le pixels"),
        (_escape, "leads out of the dataset"),
        (lambda root: _table(root, lambda t: t.pop("action")), "has no column action"),
        (lambda root: shutil.rmtree(root / "videos"), "file-000.mp4: is no video"),
    ],
)
def test_a_dataset_that_cannot_be_used_says_where(
    tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    root = lerobot_v3(tmp_path, cameras=(FRONT, WRIST))
    damage(root)
    with pytest.raises(UnusableError) as refused:
        describe(open_source(root))
    assert sentence in str(refused.value)


def test_a_dataset_of_no_episodes_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(CASES / "drawer_v21_video", root)
    (root / "meta/episodes.jsonl").write_text("")
    with pytest.raises(UnusableError, match="it has no episode"):
        describe(open_source(root))


# HDF5.


@pytest.mark.parametrize(
    ("name", "views", "success", "note"),
    [
        ("demo", ["agentview_image"], (False,), ""),
        ("raw_mimicgen", ["agentview_image"], (True,), "all count as successes"),
        ("odd_dense", ["agentview_image"], (None,), "rewards are shaped"),
        ("chw", ["agentview_image"], (False,), "channels come first"),
        ("float", ["agentview_image"], (False,), "shares of 1"),
        ("lzf", ["agentview_image"], (False,), ""),
        ("odd_84", ["agentview_image"], (False,), ""),
        (
            "odd_two_cameras",
            ["robot0_eye_in_hand_image", "robot0_agentview_left_image"],
            (False,),
            "",
        ),
    ],
)
def test_an_hdf5_file_is_told_as_it_is(
    name: str, views: list[str], success: tuple[bool | None], note: str
) -> None:
    path = CASES / f"{name}.hdf5"
    found = describe(open_source(path))
    assert [view["name"] for view in found.views] == views
    assert found.succeeded == success
    assert note in " ".join(found.notes)
    frames = decoded(path, 0, views[0])
    view = found.views[0]
    assert frames.shape == (found.frames[0], view["height"], view["width"], 3)
    with h5py.File(path) as file:
        stored = file[f"data/{found.names[0]}/obs/{views[0]}"][()]
    if name == "chw":
        stored = np.moveaxis(stored, 1, -1)
    if name == "float":
        stored = np.rint(stored * 255).astype(np.uint8)
    np.testing.assert_array_equal(frames, stored)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("low_dim", "low_dim.hdf5, data/demo_0/obs: there are no pictures"),
        ("odd_nan_reward", "odd_nan_reward.hdf5, data/demo_7/rewards, row 0: the reward is not"),
    ],
)
def test_an_hdf5_file_that_cannot_be_used_says_where(name: str, sentence: str) -> None:
    with pytest.raises(UnusableError) as refused:
        describe(open_source(CASES / f"{name}.hdf5"))
    assert sentence in str(refused.value)


def test_a_filter_key_chooses_demonstrations(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for number in range(3):
            file[f"data/demo_{number}/actions"] = actions(number, 4)
            file[f"data/demo_{number}/obs/cam"] = np.zeros((4, 8, 8, 3), np.uint8)
        file["mask/train"] = np.array([b"demo_2", b"demo_0"])
        file["data"].attrs["problem_info"] = json.dumps({"language_instruction": "stack them"})
    found = describe(open_source(tmp_path / "a.hdf5", filter_key="train"))
    assert (found.names, found.instructions) == (("demo_0", "demo_2"), {"stack them": 2})
    with pytest.raises(UnusableError, match="no filter key 'test': train"):
        open_source(tmp_path / "a.hdf5", filter_key="test")


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    shutil.copy(CASES / "demo.hdf5", tmp_path / "other.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data/demo_0"] = h5py.ExternalLink("other.hdf5", "data/demo_0")
    with pytest.raises(UnusableError, match="is a link, which is not followed"):
        open_source(tmp_path / "a.hdf5")


# Tars and films.


@pytest.mark.parametrize(
    ("name", "passed_over"), [("plain", 0), ("dot", 0), ("macos", 4), ("extra", 1)]
)
def test_a_tar_is_told_whatever_else_lies_in_it(name: str, passed_over: int) -> None:
    found = describe(open_source(TARS / f"{name}.tar"))
    assert (found.lengths, found.frames, found.succeeded) == ((10,), (11,), (True,))
    assert (f"{passed_over} other member" in "".join(found.notes)) == bool(passed_over)


def test_films_with_tables_beside_them_are_recordings(tmp_path: Path) -> None:
    source = open_source(films(tmp_path))
    found = describe(source)
    assert (found.lengths, found.frames, found.fps) == ((5, 6), (5, 6), 10)
    assert (found.succeeded, found.succeeded_at) == ((True, False), (2, None))
    assert found.instructions == {"pour it": 1, "": 1}
    np.testing.assert_allclose(source.actions(0), actions(0, 5), rtol=1e-6)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda root: (root / "pour_0.csv").unlink(), "pour_0.mp4: needs a table beside it"),
        (
            lambda root: (root / "pour_0.csv").write_text("action.x\n1\nfast\n"),
            "pour_0.csv, action.x, row 1: 'fast' is no number",
        ),
        (
            lambda root: (root / "pour_0.csv").write_text("action.x\n1\n1,2\n"),
            "pour_0.csv, row 1: has 2 cells, the head 1",
        ),
        (
            lambda root: (root / "pour_0.csv").write_text("action.x\n" + "1\n" * 9),
            "pour_0.mp4: has 5 frames, its table 9 rows",
        ),
    ],
)
def test_a_film_that_cannot_be_used_says_where(
    tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    root = films(tmp_path, (5,))
    damage(root)
    with pytest.raises(UnusableError) as refused:
        describe(open_source(root))
    assert sentence in str(refused.value)


def test_something_else_is_refused_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UnusableError, match=r"notes.txt: is none of a LeRobot dataset"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(UnusableError, match=r"holds no \.mp4"):
        open_source(tmp_path)


def test_the_tars_of_a_folder_are_one_dataset(tmp_path: Path) -> None:
    """Members of one name in both are two recordings."""
    for name in ("plain", "dot"):
        shutil.copy(TARS / f"{name}.tar", tmp_path)
    (tmp_path / ".hidden.tar").write_bytes(b"")
    source, alone = open_source(tmp_path), open_source(TARS / "plain.tar")
    found = describe(source)
    assert found.kind == "WMPO WebDataset tars"
    assert len(set(found.names)) == source.count == 2 * alone.count
    assert {name.partition("/")[0] for name in found.names} == {"dot", "plain"}
    for index in range(alone.count):
        at = found.names.index(f"plain/{alone.episode(index).name}")
        np.testing.assert_array_equal(source.actions(at), alone.actions(index))
        np.testing.assert_array_equal(
            np.stack(list(source.frames(at, "video"))), decoded(TARS / "plain.tar", index, "video")
        )
