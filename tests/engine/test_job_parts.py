"""The pure parts of the jobs, worked by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.episode_set import episode_set
from engine.data.starts import Starts, load_starts, save_starts
from engine.dream.rollout import LateFrames, Rollout
from engine.jobs.clone import cut_pairs, smoothed_cross_entropy
from engine.jobs.demo.job import JobConfig as DemoConfig
from engine.jobs.demo.job import TaskDemo, in_words
from engine.jobs.demo.recipe import ARMS, RECIPES, TaskRecipe
from engine.jobs.optimise.update import chunk_rows
from engine.jobs.study.job import JobConfig as StudyConfig
from engine.jobs.train_world_model.job import to_targets
from engine.policy import tokens
from engine.records.manifest import write_manifest
from engine.records.types import JudgeRules, Normalization, Outcome, Trajectory
from engine.reward.learning import cut_windows
from engine.reward.scores import scores
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import references

IDENTITY = Normalization(q01=(-1.0,) * 2, q99=(1.0,) * 2, mask=(False, False))


def _trajectory(
    num_actions: int, *, success: bool, end_step: int, name: str = "episode"
) -> Trajectory:
    actions = np.linspace(-1, 1, num_actions * 2, dtype=np.float32).reshape(num_actions, 2)
    frames = np.arange(num_actions + 1, dtype=np.uint8)[:, None, None, None]
    return Trajectory(
        id=name,
        task="coffee-push",
        start_id=0,
        instruction="push",
        imagined=False,
        outcome=Outcome(success, end_step),
        frames=np.broadcast_to(frames, (num_actions + 1, 2, 2, 3)).copy(),
        actions=actions,
        arrays={"expert_actions": -actions},
    )


def test_a_pair_is_a_frame_and_the_chunk_after_it_with_the_last_action_repeated() -> None:
    episode = _trajectory(4, success=True, end_step=3)
    pairs = cut_pairs([episode], IDENTITY, 2, "executed")
    assert pairs.frames[:, 0, 0, 0].tolist() == [0, 1, 2]
    wanted = torch.from_numpy(episode.actions[[[0, 1], [1, 2], [2, 3]]])
    assert torch.equal(pairs.tokens, tokens.encode_actions(wanted))


def test_cloning_the_expert_takes_its_own_actions_and_says_when_there_are_none() -> None:
    episode = _trajectory(4, success=True, end_step=4)
    pairs = cut_pairs([episode], IDENTITY, 4, "expert")
    wanted = -torch.from_numpy(episode.actions)
    assert torch.equal(pairs.tokens[:1], tokens.encode_actions(wanted[None]))
    bare = Trajectory(**{**episode.__dict__, "arrays": {}})
    with pytest.raises(ValueError, match="has no expert_actions"):
        cut_pairs([bare], IDENTITY, 4, "expert")


def test_smoothing_keeps_the_minimum_at_the_target_and_zero_is_the_official_loss() -> None:
    logits = torch.zeros(1, 1, 256)
    logits[0, 0, 100] = 5.0
    near, far = torch.tensor([[102]]), torch.tensor([[200]])
    official = torch.nn.functional.cross_entropy(logits[0], near[0])
    assert smoothed_cross_entropy(logits, near, 0.0).item() == pytest.approx(official.item())
    assert smoothed_cross_entropy(logits, near, 3.0) < smoothed_cross_entropy(logits, far, 3.0)


def test_windows_are_sorted_into_success_early_and_failure() -> None:
    episodes = episode_set(
        [
            _trajectory(12, success=True, end_step=9, name="a"),
            _trajectory(9, success=False, end_step=9, name="b"),
        ]
    )
    copies = (torch.from_numpy(episodes.frames),)
    windows = cut_windows(episodes, copies, 8, late=2, gap=1)
    # the success is first seen in the window that ends at frame 9, end 10 exclusive
    assert windows.successes.rows.tolist() == [2, 3, 4]
    assert windows.early.rows.tolist() == [0]
    assert windows.failures.rows.tolist() == [13, 14, 15]


def test_a_reward_model_needs_failures_to_learn_from() -> None:
    episodes = episode_set([_trajectory(12, success=True, end_step=9)])
    with pytest.raises(ValueError, match="both successful and failed"):
        cut_windows(episodes, (), 8, late=2, gap=1)


def test_scores_count_trajectories_not_windows() -> None:
    episodes = [
        _trajectory(12, success=True, end_step=9, name="a"),
        _trajectory(12, success=False, end_step=12, name="b"),
    ]
    ends = np.arange(8, 14)
    judged = [(ends, np.full(6, 0.9, np.float32)), (ends, np.full(6, 0.9, np.float32))]
    found = scores(judged, episodes, 0.5, JudgeRules())
    assert (found["precision"], found["recall"], found["accuracy"]) == (0.5, 1.0, 0.5)


def test_changes_are_counted_from_the_last_context_latent() -> None:
    latents = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    targets = to_targets(latents, 4, 0.5)
    assert targets.flatten().tolist() == [0.0, 1.0, 2.0, 3.0, 2.0, 4.0]
    assert torch.equal(to_targets(latents, 4, 0.0), latents)


def test_chunks_beyond_the_end_step_weigh_nothing_and_rows_add_up_to_one() -> None:
    rollout = Rollout(
        start_id=0,
        member=0,
        video=LateFrames([torch.zeros(5, 2, 2, 3, dtype=torch.uint8)]),
        policy_frames=torch.zeros(2, 2, 2, 3, dtype=torch.uint8),
        tokens=torch.zeros(2, 4, dtype=torch.int64),
        normalized_actions=torch.zeros(4, 2),
        overridden=torch.zeros(4, 2, dtype=torch.bool),
        log_probs=torch.zeros(2, 4),
        entropy=torch.zeros(2, 4),
        latents=torch.zeros(5, 1, 1, 1),
        window_ends=torch.zeros(0, dtype=torch.int64),
        window_probabilities=torch.zeros(0),
        outcome=Outcome(True, 1),
    )
    rows = chunk_rows([rollout, rollout], torch.tensor([1.0, -1.0]), action_dim=2)
    assert rows.weights[:2].tolist() == [[0.25, 0.25, 0.0, 0.0], [0.0] * 4]
    assert rows.weights.sum().item() == pytest.approx(1.0)
    assert rows.advantages[:, 0].tolist() == [1.0, 1.0, -1.0, -1.0]


def test_starts_survive_the_file_and_unknown_ones_are_named(tmp_path: Path) -> None:
    frames = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 2, 3)
    save_starts(tmp_path / "starts.npz", Starts("coffee-push", np.array([5, 7]), frames))
    starts = load_starts(tmp_path / "starts.npz")
    np.testing.assert_array_equal(starts.frame(7), frames[1])
    with pytest.raises(LookupError, match="start 6"):
        starts.frame(6)
    with pytest.raises(ValueError, match="no file of starts"):
        load_starts(tmp_path / "absent.npz")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.task)
def test_every_stage_of_a_recipe_is_a_valid_config_and_names_what_is_there(
    recipe: TaskRecipe, tmp_path: Path
) -> None:
    study = StudyConfig.from_dict(json.loads(Path(recipe.study).read_text()))
    assert recipe.seed in study.seeds and {arm.name for arm in study.arms} >= set(ARMS)
    own = {stage.name for stage in study.per_seed}
    names = {stage.name for stage in study.shared} | {f"{name}-{recipe.seed}" for name in own}
    exports = {item.name for item in recipe.exports}
    later = {stage.name for stage in recipe.stages}
    assert {item.stage for item in recipe.exports} <= names | later
    for stage in recipe.stages:
        assert set(references(stage.options)) <= names | later | exports
        for name in names:
            (tmp_path / name / "checkpoints" / "step-000001").mkdir(parents=True, exist_ok=True)
        assert stage.config(tmp_path.joinpath)


def test_a_stage_names_the_earlier_stage_that_is_missing(tmp_path: Path) -> None:
    [stage] = [stage for stage in RECIPES[0].stages if stage.name == "reward"]
    with pytest.raises(ValueError, match="stage ae has no checkpoint yet"):
        stage.config(tmp_path.joinpath)


def test_a_demo_made_again_says_of_each_checkpoint_whether_it_is_the_shipped_one(
    tmp_path: Path,
) -> None:
    def written(demo: str, name: str, weights: bytes, card: str) -> None:
        directory = tmp_path / demo / "checkpoints" / name
        directory.mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(weights)
        (directory / "card.json").write_text(card)
        write_manifest(directory)

    for name, weights in (("base", b"same"), ("world", b"mine"), ("wmpo", b"new")):
        written("made", f"coffee-push-{name}", weights, "measured today")
    for name, weights in (("base", b"same"), ("world", b"older")):
        written("shipped", f"coffee-push-{name}", weights, "measured then")
    run = RunDirectory(tmp_path / "run")
    demo = TaskDemo(RECIPES[0], DemoConfig(export=str(tmp_path / "made")), run)
    run.close()
    found = demo.compare_with(tmp_path / "shipped")
    assert found == {"coffee-push-base/as_shipped": True, "coffee-push-world/as_shipped": False}
    assert demo.compare_with(tmp_path / "made") == {}


def test_a_figure_is_told_with_its_unit_and_its_interval() -> None:
    metrics = {
        "a/success_rate": 0.6325,
        "a/success_low": 0.584,
        "a/success_high": 0.678,
        "b": 21.94,
    }
    assert in_words(metrics, "a/success_rate", "percent") == "63.2 % [58.4, 67.8]"
    assert in_words(metrics, "b", "") == "21.940"
    assert in_words({"f1": 0.8977}, "f1", "") == "0.898"
