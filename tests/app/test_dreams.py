"""Live rollouts on the imagination thread, with models whose dreams are known."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.live.dream_settings import DreamSettings
from app.live.dreams import Dreams
from app.live.models import Models
from app.rates import TooMuchError
from engine.device import Placement
from engine.dream.imagine import imagine
from engine.records.manifest import checkpoint_hash
from engine.records.tasks import get_task
from storage.checkpoints.catalogue import Checkpoint
from tests.app.conftest import CHUNK, CONFIGS, START, load_fake, make_checkpoint


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dreams(clock: Clock) -> Iterator[Dreams]:
    dreams = Dreams(
        Models(load_fake), capacity=3, spare_seconds=5.0, idle_seconds=60.0, clock=clock
    )
    yield dreams
    dreams.close()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., DreamSettings]:
    def checkpoint(name: str) -> Checkpoint:
        config = CONFIGS.get(name, CONFIGS["base"])
        directory = tmp_path / name
        if not directory.exists():
            make_checkpoint(directory, config)
        return Checkpoint(
            id=f"demo/{name}",
            role=config["role"],
            name=name,
            directory=directory,
            hash=checkpoint_hash(directory),
            config=config,
            card={},
        )

    def make(policy: str = "base", **changes: Any) -> DreamSettings:
        values: dict[str, Any] = {
            "policy": checkpoint(policy),
            "world_model": checkpoint("world"),
            "reward_model": checkpoint("reward"),
            "task": get_task("coffee-push"),
            "start": np.zeros((64, 64, 3), np.uint8),
            "start_id": START,
            "instruction": "get brighter",
            "seed": 7,
            "denoising_steps": 4,
            "temperature": 1.0,
            "horizon": 48,
            "chunk_size": CHUNK,
        }
        return DreamSettings(**values | changes)

    return make


def pace(dreams: Dreams, dream: str, action: str) -> None:
    """Every frame in its time, as from the second chunk of a dream that runs."""
    dreams.get(dream).reel.control(action)
    dreams.pull(dream, 0)


def settle(dreams: Dreams) -> None:
    """Wait until everything that was queued on the imagination thread is done."""
    for _ in range(3):
        dreams.call(int)


def test_pulling_never_imagines_by_itself(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    settle(dreams)
    seen = dreams.pull(dream, 0)
    assert (seen["state"], seen["next"], seen["threshold"]) == ("paused", 1, 0.6)


def test_a_chunk_is_imagined_at_once_and_shown_frame_by_frame(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    pace(dreams, dream, "chunk")
    settle(dreams)
    assert dreams.pull(dream, 0)["next"] == 2
    clock.now += 10.0
    seen = dreams.pull(dream, 0)
    assert (seen["next"], seen["state"], len(seen["frames"])) == (9, "paused", 9)
    assert seen["actions"] == [[0.25] * 4] * 8
    assert seen["ends"] == [8, 9]


def test_the_reward_is_known_as_soon_as_eight_frames_are_there(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    pace(dreams, dream, "chunk")
    settle(dreams)
    clock.now += 10.0
    seen = dreams.pull(dream, 0)
    # the first eight frames have brightness 0, 15, 31 ... 111 of 255, mean 55.125
    assert seen["probabilities"][0] == pytest.approx(55.125 / 255, abs=1e-4)


def test_a_finished_dream_equals_the_engine_s_own_rollout(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    settings = make_settings()
    dream = dreams.open(settings)
    dreams.complete(dream, seconds=30.0)
    episode = dreams.trajectory(dream)
    [expected] = imagine(
        load_fake(Path("world")),
        load_fake(Path("base")),
        load_fake(Path("reward")),
        torch.zeros(1, 64, 64, 3, dtype=torch.uint8),
        ["get brighter"],
        rows=[(START, 0)],
        horizon=48,
        seed=7,
        temperature=1.0,
        denoising_steps=4,
        rules=settings.task.judge,
    )
    np.testing.assert_array_equal(episode.frames, expected.frames.numpy())
    np.testing.assert_array_equal(episode.arrays["latents"], expected.latents.numpy())
    np.testing.assert_array_equal(
        episode.arrays["window_probabilities"], expected.window_probabilities.numpy()
    )
    assert episode.outcome == expected.outcome


def test_the_episode_carries_what_is_needed_to_replay_it(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    settings = make_settings()
    dream = dreams.open(settings)
    dreams.complete(dream, seconds=30.0)
    episode = dreams.trajectory(dream)
    assert episode.lineage["policy"] == settings.policy.hash
    assert episode.replay["micro_batches"] == {"autoencoder": 16, "reward_model": 8}
    wanted = ("seed", "start_id", "denoising_steps", "temperature", "instruction", "horizon")
    assert [episode.replay[name] for name in wanted] == [7, START, 4, 1.0, "get brighter", 48]


def test_saving_the_same_dream_twice_gives_one_id(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    first, second = dreams.open(make_settings()), dreams.open(make_settings())
    dreams.complete(first, seconds=30.0)
    dreams.complete(second, seconds=30.0)
    assert dreams.trajectory(first).id == dreams.trajectory(second).id


def test_an_episode_saved_early_holds_the_chunks_that_were_seen(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    pace(dreams, dream, "run")
    settle(dreams)
    pace(dreams, dream, "pause")
    episode = dreams.trajectory(dream)
    assert (len(episode.actions), len(episode.frames)) == (8, 9)
    assert (episode.outcome.success, episode.outcome.end_step) == (False, 8)


def test_a_dream_nobody_ran_cannot_be_saved(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    with pytest.raises(ValueError, match="nothing was imagined yet"):
        dreams.trajectory(dream)


def test_a_reset_dream_goes_the_same_way_again(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings())
    dreams.complete(dream, seconds=30.0)
    first = dreams.pull(dream, 0)
    pace(dreams, dream, "reset")
    assert dreams.pull(dream, 0)["next"] == 1
    dreams.complete(dream, seconds=30.0)
    second = dreams.pull(dream, 0)
    assert (second["frames"], second["probabilities"]) == (first["frames"], first["probabilities"])


def test_models_that_do_not_fit_end_the_dream_in_a_sentence(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    dream = dreams.open(make_settings("seven"))
    settle(dreams)
    seen = dreams.pull(dream, 0)
    assert seen["state"] == "failed"
    assert seen["error"] == ("the policy's actions have 7 numbers, but the world model takes 4")


def test_an_unforeseen_error_ends_one_dream_and_no_other(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    broken = dreams.open(make_settings("broken"))
    settle(dreams)
    error = dreams.pull(broken, 0)["error"]
    assert error == "the dream stopped: RuntimeError: the weights are on strike"
    healthy = dreams.open(make_settings())
    dreams.complete(healthy, seconds=30.0)
    assert dreams.pull(healthy, 0)["state"] == "done"


def test_a_failure_is_told_to_who_waits_for_the_end(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    with pytest.raises(ValueError, match="the weights are on strike"):
        dreams.complete(dreams.open(make_settings("broken")), seconds=30.0)


def test_dreams_take_turns(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    both = [dreams.open(make_settings(seed=seed)) for seed in (1, 2)]
    for dream in both:
        pace(dreams, dream, "chunk")
    settle(dreams)
    clock.now += 10.0
    assert [dreams.pull(dream, 0)["next"] for dream in both] == [9, 9]


def test_a_full_registry_forgets_the_dream_unseen_for_longest(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    opened = []
    for seed in range(3):
        clock.now += 1.0
        opened.append(dreams.open(make_settings(seed=seed)))
    clock.now += 10.0
    dreams.pull(opened[0], 0)
    dreams.open(make_settings(seed=9))
    assert dreams.pull(opened[0], 0)["state"] == "paused"
    with pytest.raises(LookupError, match="this dream is over"):
        dreams.pull(opened[1], 0)


def test_a_registry_full_of_watched_dreams_refuses_another_in_a_sentence(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    opened = [dreams.open(make_settings(seed=seed)) for seed in range(3)]
    with pytest.raises(TooMuchError, match="3 dreams are being watched here already"):
        dreams.open(make_settings(seed=9))
    assert all(dreams.pull(dream, 0)["next"] == 1 for dream in opened)


def test_an_unseen_dream_is_forgotten_in_time(
    dreams: Dreams, clock: Clock, make_settings: Callable[..., DreamSettings]
) -> None:
    old, seen = dreams.open(make_settings()), dreams.open(make_settings(seed=2))
    clock.now += 61.0
    dreams.pull(seen, 0)
    assert dreams.forget_unseen() == 1  # nobody has to open another
    with pytest.raises(LookupError, match="this dream is over"):
        pace(dreams, old, "run")


def test_a_model_is_loaded_once_and_the_longest_unused_dropped(tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(directory: Path, placement: Placement | None) -> str:
        loaded.append(directory.name)
        return directory.name

    def checkpoint(name: str) -> Checkpoint:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        return Checkpoint(
            id=name, role="policy", name=name, directory=directory, hash=name, config={}, card={}
        )

    models = Models(load, capacity=2)
    for name in ("a", "b", "a", "c", "b"):
        assert models.get(checkpoint(name)) == name
    assert loaded == ["a", "b", "c", "b"]


def test_a_checkpoint_that_is_gone_ends_the_dream_in_a_sentence(
    dreams: Dreams, make_settings: Callable[..., DreamSettings]
) -> None:
    settings = make_settings()
    shutil.rmtree(settings.policy.directory)
    dream = dreams.open(settings)
    settle(dreams)
    error = "the checkpoint demo/base is not on the disk any more"
    assert dreams.pull(dream, 0)["error"] == error
