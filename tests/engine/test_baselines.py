"""The baselines and variants of WMPO, for real, in miniature."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.starts import FIRST_KEY_FRAME, key_frames
from engine.jobs.optimise import job as optimise
from engine.jobs.optimise.groups import RealGroups, Sampling
from engine.loading.models import load_policy, load_world_model
from engine.records.episodes import list_episodes, read_episode, write_episode
from engine.records.events import read_run_events
from engine.records.ledger import read_ledger
from engine.records.manifest import file_sha256
from engine.records.types import Outcome
from engine.runs.run_directory import RunDirectory
from tests.engine.tiny import do, fit, last_checkpoint
from tests.fakes import CountingEnv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

Tiny = tuple[Path, dict[str, str]]


class SteepEnv(CountingEnv):
    """Achieved in step 5 if the action then moves more along x than along y; may lose power."""

    def __init__(self, *, steps_of_power: int = 10**9) -> None:
        super().__init__()
        self.left = steps_of_power

    def step(self, action: np.ndarray) -> bool:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().step(action)
        return self.steps == 5 and bool(action[0] > action[1])


def _simulator(policy: str, **changes: Any) -> optimise.JobConfig:
    return optimise.JobConfig(
        environment="simulator",
        policy=policy,
        pool="budget",
        num_starts=4,
        real_budget=10,
        iterations=50,
        groups=1,
        max_groups=2,
        group_size=4,
        learning_rate=1e-3,
        **changes,
    )


def _weights(directory: Path) -> tuple[str, str]:
    last = Path(last_checkpoint(directory))
    return file_sha256(last / "model.safetensors"), file_sha256(last / "state.safetensors")


def _play(config: optimise.JobConfig, directory: Path, env: SteepEnv) -> None:
    run = RunDirectory(directory)
    try:
        optimise.optimise(config, run, env)
    finally:
        run.close()


def test_grpo_in_the_simulator_learns_and_spends_its_budget_to_the_last_episode(
    tiny: Tiny, tmp_path: Path
) -> None:
    config = _simulator(tiny[1]["policy"], weight_decay=0.0)
    _play(config, tmp_path / "run", SteepEnv())
    entries = read_ledger(tmp_path / "run")
    assert len(entries) == 10
    assert {entry["use"] for entry in entries} == {"policy"}
    assert {entry["success"] for entry in entries} == {True, False}
    before = file_sha256(Path(tiny[1]["policy"]) / "model.safetensors")
    assert _weights(tmp_path / "run")[0] != before
    _play(config, tmp_path / "run", SteepEnv())
    assert len(read_ledger(tmp_path / "run")) == 10


def test_episodes_that_are_only_counted_teach_the_same_as_recorded_ones(
    tiny: Tiny, tmp_path: Path
) -> None:
    for name, recorded in (("recorded", True), ("counted", False)):
        _play(_simulator(tiny[1]["policy"], record_played=recorded), tmp_path / name, SteepEnv())
    assert _weights(tmp_path / "counted") == _weights(tmp_path / "recorded")
    assert not (tmp_path / "counted" / "episodes").exists()
    ledgers = [read_ledger(tmp_path / name) for name in ("counted", "recorded")]
    told = [[(e["start_id"], e["use"], e["success"]) for e in ledger] for ledger in ledgers]
    assert told[0] == told[1]


def test_a_simulator_run_that_lost_power_ends_with_the_same_weights_and_ledger(
    tiny: Tiny, tmp_path: Path
) -> None:
    config = _simulator(tiny[1]["policy"])
    _play(config, tmp_path / "whole", SteepEnv())
    for power in (150, 120):
        with pytest.raises(KeyboardInterrupt):
            _play(config, tmp_path / "cut", SteepEnv(steps_of_power=power))
    _play(config, tmp_path / "cut", SteepEnv())
    assert _weights(tmp_path / "cut") == _weights(tmp_path / "whole")
    cut, whole = (read_ledger(tmp_path / name) for name in ("cut", "whole"))
    assert [{**e, "run": ""} for e in cut] == [{**e, "run": ""} for e in whole]


def test_the_log_probabilities_of_a_played_chunk_are_those_the_update_finds(tiny: Tiny) -> None:
    from_policy = load_policy(Path(tiny[1]["policy"]))
    sampling = Sampling(group_size=2, horizon=8, temperature=1.3, denoising_steps=1, seed=0)
    groups = RealGroups(SteepEnv(), from_policy, [200_000], sampling, budget=2)
    first, second = groups.sample(0, [0])
    found, _ = from_policy.log_probs(
        first.policy_frames,
        ["push the mug under the coffee machine"] * len(first.tokens),
        first.tokens,
        1.3,
    )
    torch.testing.assert_close(found, first.log_probs)
    assert not torch.equal(first.tokens[0], second.tokens[0])


@pytest.fixture(scope="module")
def mixed(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rollouts of three starts, two each; on two starts the first is declared a success."""
    root = tmp_path_factory.mktemp("mixed")
    options = {"source": "policy", "policy": tiny[1]["policy"], "pool": "budget"}
    do("collect", root / "run", **options, episodes=6, episodes_per_start=2)
    for path in list_episodes(root / "run" / "episodes"):
        episode = read_episode(path)
        if episode.start_id < 200_002 and episode.lineage["seed"] == 0:
            episode = replace(episode, outcome=Outcome(True, 12))
        else:
            episode = replace(episode, outcome=Outcome(False, len(episode.actions)))
        write_episode(root / "episodes", episode)
    return root / "episodes"


def test_several_episodes_of_a_start_differ_and_are_collected_once(
    tiny: Tiny, mixed: Path, tmp_path: Path
) -> None:
    options = {"source": "policy", "policy": tiny[1]["policy"], "pool": "budget"}
    run = mixed.parent / "run"
    do("collect", run, **options, episodes=6, episodes_per_start=2)
    assert len(read_ledger(run)) == 6
    first, second, *others = [read_episode(path) for path in list_episodes(run / "episodes")]
    starts = [episode.start_id for episode in (first, second, *others)]
    assert starts == [200_000, 200_000, 200_001, 200_001, 200_002, 200_002]
    np.testing.assert_array_equal(first.frames[0], second.frames[0])
    assert not np.array_equal(first.arrays["tokens"], second.arrays["tokens"])
    do("collect", tmp_path / "single", **options, episodes=1)
    [single] = list_episodes(tmp_path / "single" / "episodes")
    np.testing.assert_array_equal(read_episode(single).actions, first.actions)


def _prefer(mixed: Path, policy: str, **changes: Any) -> dict[str, Any]:
    return {
        "episodes_from": [str(mixed)],
        "policy": policy,
        "batch_size": 2,
        "held_out_share": 0.0,
        "fit": fit(6) | {"checkpoint_every": 2, "average_decay": 0.0, "learning_rate": 1e-3},
        **changes,
    }


def test_dpo_comes_to_prefer_the_successes(tiny: Tiny, mixed: Path, tmp_path: Path) -> None:
    metrics = do("prefer", tmp_path / "run", **_prefer(mixed, tiny[1]["policy"]))
    assert metrics == {
        "prefer/mixed_starts": 2,
        "prefer/skipped_starts": 1,
        "prefer/pairs": 2,
        "prefer/held_out_pairs": 0,
    }
    assert _margin(mixed, Path(last_checkpoint(tmp_path / "run"))) > _margin(
        mixed, Path(tiny[1]["policy"])
    )


def _margin(mixed: Path, policy: Path) -> float:
    """Log-probability of the successes minus that of the failures, plainly added up."""
    model, total = load_policy(policy), 0.0
    for path in list_episodes(mixed):
        episode = read_episode(path)
        if episode.start_id == 200_002:
            continue
        tokens = torch.from_numpy(episode.arrays["tokens"])
        frames = torch.from_numpy(episode.frames[:-1:8][: len(tokens)])
        log_probs, _ = model.log_probs(frames, [episode.instruction] * len(tokens), tokens, 1.0)
        valid = log_probs.flatten()[: 4 * episode.outcome.end_step].sum().item()
        total += valid if episode.outcome.success else -valid
    return total


def test_dpo_without_a_mixed_start_says_what_to_do(tiny: Tiny, mixed: Path, tmp_path: Path) -> None:
    shutil.copytree(mixed, tmp_path / "same")
    for path in list_episodes(tmp_path / "same"):
        if read_episode(path).start_id != 200_002:
            shutil.rmtree(path)
    options = _prefer(tmp_path / "same", tiny[1]["policy"])
    with pytest.raises(ValueError, match="collect with more episodes_per_start"):
        do("prefer", tmp_path / "run", **options)


def test_the_best_of_a_sweep_is_chosen_by_its_held_out_result(
    tiny: Tiny, mixed: Path, tmp_path: Path
) -> None:
    policy = tiny[1]["policy"]
    for name, beta in (("weak", 0.001), ("strong", 0.5)):
        options = _prefer(mixed, policy, beta=beta, held_out_share=0.5)
        metrics = do("prefer", tmp_path / name, **options)
        assert metrics is not None and metrics["prefer/held_out_pairs"] == 1
    candidates = [str(tmp_path / name) for name in ("weak", "strong")]
    found = do("choose", tmp_path / "best", candidates=candidates, lowest="prefer/held_out_loss")
    assert found is not None
    losses = [found[f"choose/{index}/prefer/held_out_loss"] for index in (0, 1)]
    assert found["choose/best"] == int(np.argmin(losses))
    chosen = Path(candidates[found["choose/best"]])
    assert _hash(tmp_path / "best") == _hash(chosen)
    load_policy(Path(last_checkpoint(tmp_path / "best")))


def _hash(directory: Path) -> str:
    return file_sha256(Path(last_checkpoint(directory)) / "model.safetensors")


def test_cloning_the_successes_starts_from_the_policy_that_rolled_out(
    tiny: Tiny, mixed: Path, tmp_path: Path
) -> None:
    options = {
        "episodes_from": [str(mixed)],
        "policy": tiny[1]["policy"],
        "targets": "executed",
        "held_out": 1,
        "real_episodes": 1,
        "batch_size": 2,
        "fit": fit(1) | {"learning_rate": 0.0},
    }
    do("clone", tmp_path / "run", **options)
    points = [
        e for e in read_run_events(tmp_path / "run" / "events.jsonl") if e["kind"] == "metric"
    ]
    assert [e["step"] for e in points if "real/success_rate" in e["metrics"]] == [0, 1]
    assert _hash(tmp_path / "run") == file_sha256(Path(tiny[1]["policy"]) / "model.safetensors")


def test_a_policy_is_not_tested_on_starts_it_learnt_from(
    tiny: Tiny, mixed: Path, tmp_path: Path
) -> None:
    do("prefer", tmp_path / "run", **_prefer(mixed, tiny[1]["policy"]))
    policy = last_checkpoint(tmp_path / "run")
    with pytest.raises(ValueError, match="learnt from 3 of the 5 starts it would be tested on"):
        do("evaluate", tmp_path / "test", policy=policy, pool="budget", episodes=5)
    assert read_ledger(tmp_path / "test") == []


def _imagined(models: dict[str, str], **changes: Any) -> dict[str, Any]:
    return {
        **models,
        "num_starts": 4,
        "iterations": 1,
        "groups": 2,
        "max_groups": 2,
        "group_size": 3,
        "horizon": 16,
        "denoising_steps": 1,
        "record_groups": 2,
        "keep_low": 0.0,
        "keep_high": 1.0,
        **changes,
    }


def test_dreams_may_begin_from_any_stored_frame(tiny: Tiny, mixed: Path, tmp_path: Path) -> None:
    options = _imagined(tiny[1], key_frames_from=[str(mixed)])
    do("optimise", tmp_path / "run", **options)
    stored = {episode.id: episode for episode in map(read_episode, list_episodes(mixed))}
    dreams = [read_episode(path) for path in list_episodes(tmp_path / "run" / "episodes")]
    assert len({dream.start_id for dream in dreams}) == 2
    for dream in dreams:
        name, frame = dream.lineage["key_frame"].split("@")
        assert int(frame) < stored[name].outcome.end_step
        np.testing.assert_array_equal(dream.frames[0], stored[name].frames[int(frame)])


def test_dreams_may_keep_their_start_in_sight_or_blur_their_past(
    tiny: Tiny, mixed: Path, tmp_path: Path
) -> None:
    variants = {"usual": {}, "anchored": {"anchored": True}, "noisy": {"context_noise": 200.0}}
    told, latents = {}, {}
    for name, change in variants.items():
        options = _imagined(tiny[1], key_frames_from=[str(mixed)], **change)
        do("optimise", tmp_path / name, **options)
        paths = list_episodes(tmp_path / name / "episodes")
        dreams = [read_episode(path) for path in paths if path.name.startswith("iteration")]
        told[name] = [dream.replay.get("context") for dream in dreams]
        latents[name] = np.stack([dream.arrays["latents"][:17] for dream in dreams])
    assert told["usual"] == [None] * 6
    assert told["anchored"] == [{"anchored": True}] * 6
    assert told["noisy"] == [{"noise": 200.0}] * 6
    same = {name: latents[name] == latents["usual"] for name in ("anchored", "noisy")}
    # In the first chunk the whole context is the start: the anchor is felt in the second.
    assert same["anchored"][:, :9].all() and not same["anchored"][:, 9:].all(axis=(2, 3, 4)).any()
    assert same["noisy"][:, 0].all() and not same["noisy"][:, 1:].all(axis=(2, 3, 4)).any()


def test_key_frames_are_drawn_from_the_seed_and_have_ids_of_their_own(mixed: Path) -> None:
    episodes = [read_episode(path) for path in list_episodes(mixed)]
    first, again, other = (key_frames(episodes, 20, seed) for seed in (1, 1, 2))
    assert first.origins == again.origins != other.origins
    assert len(set(first.start_ids.tolist())) == 20
    assert first.start_ids.min() >= FIRST_KEY_FRAME
    everything = key_frames(episodes, 10**6, 0)
    assert len(everything.frames) == sum(episode.outcome.end_step for episode in episodes)


def test_an_anchored_world_model_says_so_and_learns_other_weights(
    tiny: Tiny, tmp_path: Path
) -> None:
    root, models = tiny
    options = {
        "world_model": models["world_model"],
        "episodes_from": [str(root / "play")],
        "held_out": 1,
        "batch_size": 4,
        "fit": fit(2),
    }
    variants = {"plain": {}, "anchored": {"anchored": True}, "clean": {"context_noise": False}}
    for name, change in variants.items():
        do("train_world_model", tmp_path / name, **options, **change)
    assert len({_hash(tmp_path / name) for name in variants}) == 3
    anchored = {
        name: load_world_model(Path(last_checkpoint(tmp_path / name))).anchored for name in variants
    }
    assert anchored == {"plain": False, "anchored": True, "clean": False}
