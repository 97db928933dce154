"""Every job for real, in miniature: a real simulator, real training steps."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from engine.data.episode_set import load_episodes
from engine.jobs.fidelity.twins import imagine_twins
from engine.loading.models import load_normalization, load_policy, load_world_model
from engine.records.episodes import list_episodes, read_episode
from engine.records.events import read_events
from engine.records.ledger import read_ledger
from engine.records.manifest import checkpoint_hash, file_sha256
from engine.records.tasks import get_task
from engine.records.types import Trajectory
from engine.reward.judge import outcome
from engine.runs.control import write_control
from engine.statistics.metrics import verdict_onset
from tests.engine.test_exact_resume import account
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
        held_out=1,
        record_dreams=True,
        batch_size=4,
        fit=fit(2),
    )
    assert metrics is not None
    dreams = [read_episode(path) for path in list_episodes(tmp_path / "aligned" / "episodes")]
    assert [dream.lineage["iteration"] for dream in dreams] == [0, 2]
    assert len({dream.frames[0].tobytes() for dream in dreams}) == 1  # of the same start
    assert dreams[0].frames.shape == dreams[1].frames.shape
    assert (dreams[0].frames != dreams[1].frames).any()
    aligned, parent = Path(last_checkpoint(tmp_path / "aligned")), Path(models["world_model"])
    # An action means what it meant before, whatever the rollouts' own statistics are.
    assert load_normalization(aligned) == load_normalization(parent)
    card = json.loads((aligned / "card.json").read_text())
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
    filmed = do("evaluate", tmp_path / "filmed", **options, record_episodes=1)
    assert filmed == first
    [path] = list_episodes(tmp_path / "filmed" / "episodes")
    episode = read_episode(path)
    assert (episode.imagined, episode.start_id) == (False, 400_000)
    assert [entry["episode"] for entry in read_ledger(tmp_path / "filmed")] == [episode.id, None]


@pytest.fixture(scope="module")
def fidelity(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A fidelity run that plays its own real episodes, and what it returned."""
    directory = tmp_path_factory.mktemp("fidelity") / "run"
    metrics = do("fidelity", directory, **_fidelity_options(tiny[1]))
    assert metrics is not None
    return directory, metrics


def _fidelity_options(models: dict[str, str]) -> dict[str, Any]:
    return {
        **models,
        "baseline_world_model": models["world_model"],
        "episodes": 3,
        "batch_size": 2,
        "denoising_steps": 1,
    }


@pytest.mark.soak
def test_fidelity_measures_every_kind_at_every_depth(fidelity: tuple[Path, dict[str, Any]]) -> None:
    directory, metrics = fidelity
    matrix = [metrics[f"fidelity/{name}"] for name in _CONFUSION]
    assert sum(matrix) == 3
    assert metrics["fidelity/mean_baseline_psnr"] == metrics["fidelity/mean_imagined_psnr"]
    depths = [e for _, e in read_events(directory / "events.jsonl") if e["kind"] == "metric"]
    assert any(event["metrics"].get("fidelity/repeat_psnr", 0.0) > 0.0 for event in depths)
    found = metrics["curves"]
    assert [point[3] for point in found["depth"]["zero/ssim"]["all"][:8]] == [3] * 8
    assert len(found["position"]["imagined/psnr"]["all"]) == found["chunk_size"] == 8
    assert found["frechet"]["baseline"] == found["frechet"]["imagined"]
    assert "LPIPS is not measured here" in metrics["notes"][0]


def test_the_pairs_of_fidelity_name_their_real_twins(
    fidelity: tuple[Path, dict[str, Any]],
) -> None:
    directory, metrics = fidelity
    episodes = [read_episode(path) for path in list_episodes(directory / "episodes")]
    real = {e.id: e for e in episodes if not e.imagined}
    pairs = [e for e in episodes if e.lineage["source"] == "fidelity"]
    assert (len(real), len(pairs), len(episodes)) == (3, 3, 9)
    assert all(pair.lineage["real_run"] == directory.name for pair in pairs)
    assert {pair.lineage["real"] for pair in pairs} == set(real)
    twins = [(real[p.lineage["real"]].outcome, p.lineage) for p in pairs]
    assert all(o.end_step == lineage["real_end_step"] for o, lineage in twins)
    assert all(len(pair.lineage["psnr"]) == len(pair.actions) for pair in pairs)
    judged_real = [pair.arrays["real_probabilities"] for pair in pairs]
    assert [len(values) for values in judged_real] == [len(p.arrays["window_ends"]) for p in pairs]
    for pair, values in zip(pairs, judged_real, strict=True):
        onset = verdict_onset(pair.arrays["window_probabilities"], values)
        expected = None if onset is None else pair.arrays["window_ends"][onset] - 1
        assert pair.lineage["onset"] == expected
    judged = sum(pair.outcome.success for pair in pairs)
    assert judged == metrics["fidelity/true_success"] + metrics["fidelity/false_success"]


@pytest.mark.soak
def test_an_interrupted_fidelity_ends_with_the_very_same_numbers(
    tiny: Tiny, fidelity: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    directory = tmp_path / "run"

    def pause(event: dict[str, Any]) -> None:
        if event["kind"] == "checkpoint":
            write_control(directory, "pause")

    assert do("fidelity", directory, listener=pause, **_fidelity_options(tiny[1])) is None
    write_control(directory, "run")
    progress = []
    again = do("fidelity", directory, listener=progress.append, **_fidelity_options(tiny[1]))
    assert again == fidelity[1]
    assert [e["step"] for e in progress if e["kind"] == "checkpoint"] == [3]


def test_fidelity_refuses_what_a_model_has_learnt_from(tiny: Tiny, tmp_path: Path) -> None:
    root, models = tiny
    given = models | {"policy": "", "episodes_from": [str(root / "play")]}
    with pytest.raises(ValueError, match="the world model learnt from the starts of 4 of the 4"):
        do("fidelity", tmp_path / "given", **given)
    with pytest.raises(ValueError, match="the world model learnt from 4 of the 9 starts"):
        do("fidelity", tmp_path / "played", **models, pool="play", episodes=9)


def test_a_twin_has_its_episodes_length_and_does_not_depend_on_its_batch(tiny: Tiny) -> None:
    root, models = tiny
    model = load_world_model(Path(models["world_model"]))
    episodes = load_episodes([str(root / "demos"), str(root / "play")])
    actions = [episode.actions.clip(-1.0, 1.0) for episode in episodes]
    sampler = {"seed": 3, "denoising_steps": 1}
    together = imagine_twins(model, episodes, actions, **sampler)
    assert [len(twin.frames) for twin in together] == [len(e.frames) for e in episodes]
    for episode, own, twin in zip(episodes, actions, together, strict=True):
        [alone] = imagine_twins(model, [episode], [own], **sampler)
        np.testing.assert_array_equal(alone.frames, twin.frames)
        np.testing.assert_array_equal(twin.frames[0], episode.frames[0])
        assert len(twin.latents) == 1 + len(twin.actions) >= len(twin.frames)


_CONFUSION = ("true_success", "false_success", "false_failure", "true_failure")


def test_optimise_changes_the_policy_and_stores_the_videos_it_learnt_from(
    tiny: Tiny, tmp_path: Path
) -> None:
    _, models = tiny
    # Where every dream fails the gradient is 0: the weight decay is what changes the policy.
    options = _optimise_options(models, weight_decay=20.0, success_threshold=0.4)
    phases: list[str] = []
    metrics = do(
        "optimise",
        tmp_path / "run",
        **options,
        listener=lambda event: phases.extend([event["phase"]] if "phase" in event else []),
    )
    assert metrics is not None
    planned, came = metrics["time/planned_frames_per_second"], metrics["rollout/frames_per_second"]
    assert planned > 0.0 and came > 0.0
    assert phases[1].startswith(f"about {planned:.0f} imagined frames/s on the CPU")
    most, took = (metrics[f"time/{name}iteration_seconds"] for name in ("planned_", ""))
    assert f" at most {most:.0f} s: planned from" in phases[1]
    assert took >= metrics["time/imagine_seconds"]
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
    assert {episode.lineage["threshold"] for episode in episodes} == {0.4}
    rules = get_task("coffee-push").judge
    for episode in episodes:
        windows = episode.arrays["window_ends"], episode.arrays["window_probabilities"]
        assert episode.outcome == outcome(*windows, 0.4, rules, len(episode.frames))


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


def test_a_restart_from_an_iteration_is_the_run_it_left_and_names_it(
    tiny: Tiny, tmp_path: Path
) -> None:
    _, models = tiny
    do("optimise", tmp_path / "whole", **_optimise_options(models))
    kept = tmp_path / "whole" / "checkpoints"
    restart_from = str(kept / "step-000002")
    do("optimise", tmp_path / "again", **_optimise_options(models, restart_from=restart_from))
    again = Path(last_checkpoint(tmp_path / "again"))
    assert again.name == "step-000003"
    for name in ("model.safetensors", "state.safetensors"):
        assert file_sha256(again / name) == file_sha256(kept / "step-000003" / name)
    card = json.loads((again / "card.json").read_text())
    assert card["lineage"]["restarted_from"] == checkpoint_hash(Path(restart_from))


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


@pytest.mark.soak
@pytest.mark.parametrize("job", ["collect", "evaluate"])
def test_two_processes_play_what_one_plays(tiny: Tiny, job: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"policy": tiny[1]["policy"], "episodes": 3}
    options |= {"source": "policy"} if job == "collect" else {"record_episodes": 1}

    def played(workers: int) -> tuple[Any, ...]:
        run = tmp_path / str(workers)
        metrics = do(job, run, **options, pool="budget", workers=workers)
        files = [
            file_sha256(path / name)
            for path in list_episodes(run / "episodes")
            for name in ("episode.npz", "episode.json")
        ]
        return metrics, files, [{**entry, "run": ""} for entry in read_ledger(run)]

    assert played(1) == played(2)


def test_optimise_refuses_a_world_model_for_which_actions_are_other_movements(
    tiny: Tiny, tmp_path: Path
) -> None:
    models = dict(tiny[1])
    other = tmp_path / "world"
    shutil.copytree(models["world_model"], other)
    known = load_normalization(other)
    wider = replace(known, q99=tuple(value + 0.5 for value in known.q99))
    (other / "normalization.json").write_text(json.dumps(wider.to_dict()))
    models["world_model"] = str(other)
    with pytest.raises(ValueError, match="one action is not the same movement"):
        do("optimise", tmp_path / "run", **_optimise_options(models))


@pytest.mark.parametrize(
    "environment", ["imagination", pytest.param("simulator", marks=pytest.mark.soak)]
)
def test_two_workers_of_whom_one_dies_optimise_as_one_process_does(
    tiny: Tiny, environment: str, tmp_path: Path
) -> None:
    changes = {"environment": environment, "iterations": 2, "real_budget": 12}
    options = _optimise_options(tiny[1], **changes, groups=2)
    told, stale = [], set(_workers())  # of an earlier test, about to end

    def kill_one(event: dict[str, Any]) -> None:
        """The first checkpoint is written while the workers get ready."""
        told.append(event["kind"])
        if told.count("checkpoint") == 1 and told[-1] == "checkpoint":
            (set(_workers()) - stale).pop().kill()

    def optimised(name: str, **where: Any) -> dict[str, Any]:
        do("optimise", tmp_path / name, **options, **where)
        return account(tmp_path / name)

    alone = optimised("alone")
    assert told == []
    assert alone == optimised("two", workers=2, listener=kill_one)
    assert "alarm" in told
    assert _workers() == []
    before = file_sha256(Path(tiny[1]["policy"]) / "model.safetensors")
    assert alone["weights"]["step-000002/model.safetensors"] != before


def _workers() -> list[psutil.Process]:
    """Processes of a crew: the children of the process that forks them."""
    children = psutil.Process().children()
    return [child for server in children for child in server.children()]
