"""The episode directory: whole or absent, and never trusted when damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.episodes import check_episode_id, list_episodes, read_episode, write_episode
from engine.records.types import Outcome, Trajectory


def episode(episode_id: str = "a-0", *, num_actions: int = 3, seed: int = 0) -> Trajectory:
    draw = np.random.default_rng(seed)
    return Trajectory(
        id=episode_id,
        task="coffee-push",
        start_id=300_000,
        instruction="push the mug",
        imagined=True,
        outcome=Outcome(True, 2),
        frames=draw.integers(0, 256, (num_actions + 1, 4, 5, 3), dtype=np.uint8),
        actions=draw.normal(size=(num_actions, 4)).astype(np.float32),
        arrays={"tokens": draw.integers(0, 256, (1, 12)), "entropy": np.ones(1, np.float32)},
        lineage={"run": "r", "group": 1},
        replay={"seed": seed},
    )


def assert_equal(one: Trajectory, other: Trajectory) -> None:
    assert replace(one, frames=other.frames, actions=other.actions, arrays={}) == replace(
        other, arrays={}
    )
    assert sorted(one.arrays) == sorted(other.arrays)
    for name in one.arrays:
        np.testing.assert_array_equal(one.arrays[name], other.arrays[name], strict=True)
    np.testing.assert_array_equal(one.frames, other.frames, strict=True)
    np.testing.assert_array_equal(one.actions, other.actions, strict=True)


def flip_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    position %= 8 * len(content)
    content[position // 8] ^= 1 << position % 8
    path.write_bytes(content)


@given(num_actions=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_again(
    num_actions: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = episode(num_actions=num_actions, seed=seed)
    assert_equal(read_episode(write_episode(tmp_path_factory.mktemp("root"), written)), written)


def test_an_episode_that_is_already_there_is_kept(tmp_path: Path) -> None:
    first = episode(seed=1)
    write_episode(tmp_path, first)
    assert_equal(read_episode(write_episode(tmp_path, episode(seed=2))), first)


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_episode(tmp_path, replace(episode(), arrays={"tokens": np.array([{}])}))
    assert list(tmp_path.iterdir()) == []


def test_the_named_frames_and_actions_cannot_be_replaced_by_an_array(tmp_path: Path) -> None:
    written = episode()
    disguised = replace(written, arrays={**written.arrays, "frames": np.zeros(1)})
    assert_equal(read_episode(write_episode(tmp_path, disguised)), written)


def test_the_record_says_what_a_catalogue_needs(tmp_path: Path) -> None:
    record = json.loads((write_episode(tmp_path, episode()) / "episode.json").read_text())
    assert record == {
        "id": "a-0",
        "task": "coffee-push",
        "start_id": 300_000,
        "instruction": "push the mug",
        "imagined": True,
        "success": True,
        "end_step": 2,
        "num_actions": 3,
        "lineage": {"run": "r", "group": 1},
        "replay": {"seed": 0},
    }


def test_episodes_are_listed_by_name_without_those_half_written(tmp_path: Path) -> None:
    for name in ("b", "a.1", "a-0"):
        write_episode(tmp_path, episode(name))
    half_written = write_episode(tmp_path, episode("c")).rename(tmp_path / ".partial-c")
    assert half_written.is_dir()
    assert [path.name for path in list_episodes(tmp_path)] == ["a-0", "a.1", "b"]
    assert list_episodes(tmp_path / "absent") == []


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\n", "a b", "-a", "a" * 129])
def test_a_name_that_is_more_than_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an episode id"):
        check_episode_id(name)


@given(name=st.sampled_from(("episode.npz", "episode.json")), position=st.integers(0, 2**20))
def test_a_flipped_bit_is_a_value_error_or_harmless(
    name: str, position: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = write_episode(tmp_path_factory.mktemp("root"), episode())
    flip_bit(directory / name, position)
    try:
        damaged = read_episode(directory)
    except ValueError as error:
        assert "is not a readable episode" in str(error)
    else:
        np.testing.assert_array_equal(damaged.frames, episode().frames)


@given(name=st.sampled_from(("episode.npz", "episode.json")), kept=st.floats(0.0, 0.99))
def test_a_file_cut_short_is_a_value_error(
    name: str, kept: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = write_episode(tmp_path_factory.mktemp("root"), episode())
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="is not a readable episode"):
        read_episode(directory)


@pytest.mark.parametrize("record", ["[]", "3", "{}", '{"id": "a"}', "null"])
def test_a_record_of_another_form_is_a_value_error(record: str, tmp_path: Path) -> None:
    directory = write_episode(tmp_path, episode())
    (directory / "episode.json").write_text(record)
    with pytest.raises(ValueError, match="is not a readable episode"):
        read_episode(directory)


def test_an_absent_directory_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a readable episode"):
        read_episode(tmp_path / "absent")
