"""Task records and the pools of start ids."""

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.tasks import (
    POOLS,
    Task,
    add_task,
    get_task,
    parse_task,
    pool_of,
    pool_starts,
    task_folder,
    tasks,
)

TABLE = Path(__file__).parents[2] / "docs" / "tasks.md"  # of those that are collected


@pytest.mark.parametrize("task", list(tasks().values()), ids=list(tasks()))
def test_a_task_record_is_complete(task: Task) -> None:
    assert get_task(task.name) is task
    assert task.instruction
    assert task.action_low < task.action_high
    assert task.horizon % 8 == 0
    assert task.horizon >= task.judge.first_end >= task.judge.window


@pytest.mark.parametrize("name", re.findall(r"^\| (\w+-\w+) \|", TABLE.read_text(), re.MULTILINE))
def test_whoever_judges_a_task_that_is_collected_is_told_what_counts(name: str) -> None:
    assert re.match("It succeeds as soon as .* It fails where ", get_task(name).rule)


def test_an_unknown_task_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(ValueError, match="unknown task 'pour'; known tasks: coffee-push"):
        get_task("pour")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(POOLS, 2)))
def test_no_start_is_in_two_pools(one: str, other: str) -> None:
    assert max(POOLS[one][0], POOLS[other][0]) > min(POOLS[one][-1], POOLS[other][-1])


@pytest.mark.parametrize("pool", list(POOLS))
def test_the_ends_of_a_pool_belong_to_it(pool: str) -> None:
    assert pool_of(POOLS[pool][0]) == pool_of(POOLS[pool][-1]) == pool


@pytest.mark.parametrize(
    ("start_id", "pool"),
    [(-1, "upload"), (1_000_400, "unassigned"), (500_000, "unassigned"), (1_000_399, "test")],
)
def test_a_start_outside_the_pools_says_so(start_id: int, pool: str) -> None:
    assert pool_of(start_id) == pool


@given(st.sampled_from(tuple(POOLS)), st.integers(-10, 500), st.integers(-10, 500))
def test_starts_come_from_their_pool_or_not_at_all(pool: str, first: int, episodes: int) -> None:
    fits = first >= 0 and episodes >= 1 and first + episodes <= len(POOLS[pool])
    try:
        starts = pool_starts(pool, first, episodes)
    except ValueError as error:
        assert not fits
        assert re.search(f"pool {pool} has {len(POOLS[pool])} starts", str(error))
    else:
        assert fits
        assert list(starts) == [POOLS[pool][0] + first + i for i in range(episodes)]
        assert {pool_of(start) for start in starts} == {pool}


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pool 'holdout'; known pools: demonstrations"):
        pool_starts("holdout", 0, 1)


def test_every_dimension_of_an_action_has_a_name() -> None:
    assert get_task("coffee-push").dimension_names == ("x", "y", "z", "gripper")
    assert get_task("square").dimension_names[-2:] == ("yaw", "gripper")
    assert get_task("aloha").dimension_names[0] == "a0"
    assert all(len(task.dimension_names) == task.action_dim for task in tasks().values())


# Records are files.

DRAWER = {
    "name": "my-drawer",
    "instruction": "open the drawer",
    "other_instructions": ["ouvre le tiroir"],
    "action_dim": 2,
    "dimensions": ["dx", "gripper"],
    "box": None,
    "image_size": 32,
    "horizon": 40,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WMPO_DATA_DIR", str(tmp_path))
    task_folder().mkdir()
    return task_folder()


def test_a_record_written_by_hand_is_a_task_at_once(folder: Path) -> None:
    with pytest.raises(ValueError, match="unknown task 'my-drawer'"):
        get_task("my-drawer")
    (folder / "my-drawer.json").write_text(json.dumps(DRAWER))
    task = get_task("my-drawer")
    assert (task.dimension_names, task.passthrough, task.simulator) == (("dx", "gripper"), (1,), "")
    assert (task.action_low, task.action_high) == (float("-inf"), float("inf"))
    assert list(tasks())[-1] == "my-drawer"
    version = task.version
    (folder / "my-drawer.json").write_text(json.dumps(DRAWER | {"horizon": 48}))
    assert get_task("my-drawer").horizon == 48
    assert get_task("my-drawer").version != version


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"colour": "red"}, "no option colour"),
        ({"dimensions": ["dx"]}, "2 action dimensions, but 1 names"),
        ({"box": [1, -1]}, "the box .* is empty"),
        ({"name": "other"}, "call the file other.json"),
        ({"name": "../up"}, "cannot be a task's name"),
        ({"horizon": 4}, "horizon ≥ first_end ≥ window"),
        ({"unscaled": [2]}, "unscaled names a dimension"),
        ({"instruction": " "}, "needs an instruction"),
        ({"image_size": "64"}, "must be of type int"),
    ],
)
def test_a_file_that_is_no_record_says_why_and_hides_no_other(
    folder: Path, change: dict[str, object], sentence: str
) -> None:
    (folder / "my-drawer.json").write_text(json.dumps(DRAWER | change))
    assert "coffee-push" in tasks()
    assert "my-drawer" not in tasks()
    with pytest.raises(ValueError, match=f"my-drawer.json cannot be used: .*{sentence}"):
        get_task("my-drawer")


def test_a_record_the_studio_makes_is_kept_once_and_never_replaced(folder: Path) -> None:
    task = parse_task(DRAWER)
    path = add_task(task)
    assert get_task("my-drawer") == task
    assert add_task(task) == path
    with pytest.raises(ValueError, match="another task my-drawer"):
        add_task(task.replace(horizon=48))
    with pytest.raises(ValueError, match="another task coffee-push"):
        add_task(task.replace(name="coffee-push"))


def test_the_shipped_records_say_what_they_always_said() -> None:
    """Against the values written by hand in the code before the records were files."""
    push, aloha = get_task("coffee-push"), get_task("aloha")
    assert (push.horizon, push.image_size, push.action_repeat, push.env) == (
        *(48, 64, 2),
        "coffee-push-v3",
    )
    assert (aloha.box, aloha.judge.first_end, aloha.judge.last_window_counts) == (None, 108, False)
    assert list(tasks())[:2] == ["coffee-push", "coffee-button"]
    assert get_task("window-open").camera != push.camera
