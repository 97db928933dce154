"""Every job for real, in miniature: a real simulator, real training steps, real kills."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.episode_set import load_episodes
from engine.episodes import list_episodes, read_episode
from engine.events import read_events
from engine.jobs.twins import imagine_twins
from engine.loading import load_policy, load_world_model
from engine.manifest import checkpoint_hash, file_sha256
from engine.run_directory import read_ledger
from engine.types import Trajectory
from tests.engine.tiny import do, fit, last_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

Tiny = tuple[Path, dict[str, str]]


def _optimise_options(models: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        **models,
        "num_starts": 4,
        "iterations": 3,
        "groups": 1,
        "max_groups": 2,
        "group_size": 3,
        "horizon": 16,
        "denoising_steps": 1,
        "keep_low": 0.0,
        "keep_high": 1.0,
        "learning_rate": 1e-3,
        **changes,
    }


def test_collected_episodes_are_whole_and_in_the_ledger(tiny: Tiny) -> None:
    root, _ = tiny
    episodes = [read_episode(path) for path in list_episodes(root / "demos" / "episodes")]
    assert all(episode.outcome.success for episode in episodes)
    assert all(len(e.frames) == len(e.actions) + 1 for e in episodes)
    entries = read_ledger(root / "demos")
    assert {entry["use"] for entry in entries} == {"demonstration"}
    assert {entry["pool"] for entry in entries} == {"demonstrations"}


def test_a_failed_demonstration_is_not_kept_but_counted_once(tmp_path: Path) -> None:
    options = {"episodes": 2, "only_successes": True, "noise": 40.0}
    first = do("collect", tmp_path / "run", **options)
    assert first is not None and first["rollout/success_rate"] == 0.0
    assert do("collect", tmp_path / "run", **options) == first
    assert [entry["use"] for entry in read_ledger(tmp_path / "run")] == ["discarded"] * 2


def test_the_same_collect_gives_the_same_frames(tiny: Tiny, tmp_path: Path) -> None:
    root, _ = tiny
    do("collect", tmp_path / "again", source="play", pool="play", episodes=1)
    [path] = list_episodes(tmp_path / "again" / "episodes")
    again, first = read_episode(path), read_episode(root / "play" / "episodes" / path.name)
    np.testing.assert_array_equal(again.frames, first.frames)
    np.testing.assert_array_equal(again.actions, first.actions)


def test_alignment_starts_from_the_world_model_and_mixes_in_old_data(
    tiny: Tiny, tmp_path: Path
) -> None:
    root, models = tiny
    do(
        "collect",
        tmp_path / "rollouts",
        source="policy",
        policy=models["policy"],
        pool="budget",
        episodes=2,
    )
    metrics = do(
        "train_world_model",
        tmp_path / "aligned",
        world_model=models["world_model"],
        episodes_from=[str(tmp_path / "rollouts")],
        replay_from=[str(root / "play")],
        normalization_from=[str(root / "demos")],
        held_out=1,
        batch_size=4,
        fit=fit(2),
    )
    assert metrics is not None
    card = json.loads((Path(last_checkpoint(tmp_path / "aligned")) / "card.json").read_text())
    assert set(card["lineage"]) == {"world_model"}
    assert str(tmp_path) not in json.dumps(card)


def test_evaluate_counts_every_real_episode_once_even_when_run_again(
    tiny: Tiny, tmp_path: Path
) -> None:
    _, models = tiny
    options = {"policy": models["policy"], "pool": "calibration", "episodes": 2}
    first = do("evaluate", tmp_path / "run", **options)
    again = do("evaluate", tmp_path / "run", **options)
    assert first == again
    assert len(read_ledger(tmp_path / "run")) == 2


def test_fidelity_reports_every_kind_at_every_depth(tiny: Tiny, tmp_path: Path) -> None:
    root, models = tiny
    metrics = do(
        "fidelity",
        tmp_path / "run",
        world_model=models["world_model"],
        reward_model=models["reward_model"],
        episodes_from=[str(root / "demos"), str(root / "play")],
        episodes=3,
        denoising_steps=1,
    )
    assert metrics is not None
    matrix = [metrics[f"fidelity/{name}"] for name in _CONFUSION]
    assert sum(matrix) == 3
    depths = [e for _, e in read_events(tmp_path / "run" / "events.jsonl") if e["kind"] == "metric"]
    assert depths[0]["metrics"]["fidelity/repeat_psnr"] > 0.0
    pairs = [read_episode(path) for path in list_episodes(tmp_path / "run" / "episodes")]
    real = {read_episode(path).id for path in list_episodes(root / "demos" / "episodes")}
    assert len(pairs) == 3
    assert all(pair.imagined and pair.lineage["real_run"] == "demos" for pair in pairs)
    assert {pair.lineage["real"] for pair in pairs} <= real
    assert sum(pair.outcome.success for pair in pairs) == matrix[0] + matrix[1]


def test_a_twin_has_its_episodes_length_and_does_not_depend_on_its_batch(tiny: Tiny) -> None:
    root, models = tiny
    model = load_world_model(Path(models["world_model"]))
    episodes = load_episodes([str(root / "demos"), str(root / "play")])
    actions = [episode.actions.clip(-1.0, 1.0) for episode in episodes]
    sampler = {"seed": 3, "denoising_steps": 1}
    together = imagine_twins(model, episodes, actions, **sampler)
    assert [len(video) for video in together] == [len(e.frames) for e in episodes]
    for episode, own, video in zip(episodes, actions, together, strict=True):
        [alone] = imagine_twins(model, [episode], [own], **sampler)
        np.testing.assert_array_equal(alone, video)
        np.testing.assert_array_equal(video[0], episode.frames[0])


_CONFUSION = ("true_success", "false_success", "false_failure", "true_failure")


def test_optimise_changes_the_policy_and_stores_the_videos_it_learnt_from(
    tiny: Tiny, tmp_path: Path
) -> None:
    _, models = tiny
    # Where every dream fails the gradient is 0: the weight decay is what changes the policy.
    options = _optimise_options(models, weight_decay=20.0)
    metrics = do("optimise", tmp_path / "run", **options)
    assert metrics is not None
    weights = "model.safetensors"
    before = file_sha256(Path(models["policy"]) / weights)
    assert file_sha256(Path(last_checkpoint(tmp_path / "run")) / weights) != before
    episodes = [read_episode(p) for p in list_episodes(tmp_path / "run" / "episodes")]
    assert episodes and all(episode.imagined for episode in episodes)
    siblings = [episode for episode in episodes if "group" in episode.lineage]
    assert {episode.lineage["iteration"] for episode in siblings} == {1, 2, 3}
    _check_credit([e for e in siblings if e.lineage["iteration"] == 3], tmp_path / "run")
    probes = [episode for episode in episodes if episode not in siblings]
    assert [probe.lineage["iteration"] for probe in probes] == [0, 1, 2, 3]
    assert len({probe.start_id for probe in probes}) == 1
    first, *_, last = probes
    np.testing.assert_array_equal(first.frames[0], last.frames[0])
    assert first.lineage["policy"] == checkpoint_hash(Path(models["policy"]))
    assert last.replay["policy"] == checkpoint_hash(Path(last_checkpoint(tmp_path / "run")))


def _check_credit(episodes: list[Trajectory], directory: Path) -> None:
    """Log-ratios are those of the policy as the update left it, of the tokens that count."""
    policy = load_policy(Path(last_checkpoint(directory)))
    for episode in episodes:
        tokens = torch.from_numpy(episode.arrays["tokens"])
        frames = torch.from_numpy(episode.frames[:-1:8].copy())
        now, _ = policy.log_probs(frames, [episode.instruction] * len(tokens), tokens, 1.0)
        change = (now.detach() - torch.from_numpy(episode.arrays["log_probs"])).flatten()
        change[episode.outcome.end_step * 4 :] = 0.0
        wanted = change.reshape(len(tokens), -1).sum(dim=1).numpy()
        np.testing.assert_allclose(episode.arrays["log_ratio"], wanted, atol=1e-5)
        assert np.abs(wanted).max() > 1e-4
        assert (episode.arrays["clipped"] >= 0.0).all() and (episode.arrays["clipped"] <= 1.0).all()


def test_an_optimise_run_killed_and_resumed_ends_with_the_same_weights(
    tiny: Tiny, tmp_path: Path
) -> None:
    _, models = tiny
    options = _optimise_options(models)
    whole = _spawned(tmp_path / "whole", options)
    assert whole.wait() == 0
    victim = _spawned(tmp_path / "killed", options)
    while not (tmp_path / "killed" / "checkpoints" / "step-000001").exists():
        assert victim.poll() is None
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert _spawned(tmp_path / "killed", options).wait() == 0
    ours, theirs = (Path(last_checkpoint(tmp_path / name)) for name in ("killed", "whole"))
    assert file_sha256(ours / "model.safetensors") == file_sha256(theirs / "model.safetensors")
    assert file_sha256(ours / "state.safetensors") == file_sha256(theirs / "state.safetensors")


def _spawned(directory: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    directory.mkdir(exist_ok=True)
    spec = {"job": "optimise", "config": options}
    (directory / "config.json").write_text(json.dumps(spec))
    return subprocess.Popen([sys.executable, "-m", "engine.worker", str(directory)])


@pytest.mark.parametrize(
    ("job", "options", "sentence"),
    [
        ("optimise", {}, "optimise needs policy=CHECKPOINT_DIRECTORY"),
        ("clone", {"episodes_from": ["nowhere"]}, "nowhere holds no episodes"),
        ("evaluate", {"policy": "nowhere"}, "there is no checkpoint directory nowhere"),
        ("collect", {"pool": "attic"}, "unknown pool 'attic'"),
        ("collect", {"episodes": 0}, "JobConfig.episodes must be at least 1, not 0"),
        ("fly", {}, "unknown job 'fly'"),
    ],
)
def test_bad_input_is_one_clear_sentence(
    tmp_path: Path, job: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        do(job, tmp_path / "run", **options)
