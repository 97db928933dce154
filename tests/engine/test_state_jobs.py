"""State models by the real jobs: learnt, put into a world model, calibrated, measured at gates."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.data.episode_set import episode_set, load_episodes
from engine.data.states import PRIVILEGED, states_of
from engine.dream.open_loop import Dreamt, dream_latents, held_actions
from engine.dream.tree import decode_frames
from engine.jobs.calibrate import choose_radii
from engine.jobs.fidelity.twins import imagine_twins
from engine.jobs.train_world_model.clips import BALANCE, Clips, balanced, cut_clips
from engine.loading import trial
from engine.loading.models import (
    check_same_actions,
    load_judge,
    load_normalization,
    load_state_reward,
    load_world_model,
)
from engine.records.episodes import write_episode
from engine.records.tasks import get_task
from engine.records.types import Normalization, Trajectory
from engine.runs.run_directory import read_documents
from engine.world_model.latents import encode_moments, encode_videos
from tests.engine.state_models import (
    TINY_LEARNING,
    TINY_STATES,
    episode_with_states,
    sibling_with_states,
    varied_world_model,
)
from tests.engine.tiny import AUTOENCODER, TRANSFORMER, do, last_checkpoint

FIT = {"steps": 4, "warmup_steps": 1, "log_every": 2, "checkpoint_every": 100}
VARIANTS = {"convolutions": 4, "cumulative_actions": True, "state_map": 8}
CELLS = ("true_success", "false_success", "false_failure", "true_failure")
PLAIN = Normalization(q01=(-1.0,) * 4, q99=(1.0,) * 4, mask=(False,) * 4)


def shelf(directory: Path, episodes: list[Trajectory]) -> str:
    for episode in episodes:
        write_episode(directory / "episodes", episode)
    return str(directory)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Checkpoints and runs of the whole chain in miniature, by name."""
    root = tmp_path_factory.mktemp("states")
    data = shelf(root / "data", [episode_with_states(n) for n in range(6)])
    aside = shelf(root / "aside", [episode_with_states(n) for n in range(10, 16)])
    siblings = [sibling_with_states(n, m) for n in (20, 21) for m in range(4)]
    parted = shelf(root / "siblings", siblings)
    cache = str(root / "cache")
    do("train_autoencoder", root / "ae", episodes_from=[data], held_out=1, batch_size=4,
       model=AUTOENCODER, fit=FIT)  # fmt: skip
    made = {"ae": last_checkpoint(root / "ae"), "aside": aside, "siblings": parted}
    do("train_states", root / "states", episodes_from=[data], autoencoder=made["ae"], held_out=1,
       model=TINY_STATES, learning=TINY_LEARNING, latents_cache=cache)  # fmt: skip
    made["states"] = last_checkpoint(root / "states")
    do("train_world_model", root / "wm", episodes_from=[data], autoencoder=made["ae"], held_out=1,
       batch_size=4, mix="balanced", first_clips=2, carried_share=0.5, deterministic=True,
       state_model=made["states"], latents_cache=cache, fit=FIT,
       transformer=TRANSFORMER | VARIANTS)  # fmt: skip
    made["wm"] = last_checkpoint(root / "wm")
    do("calibrate", root / "judge", reward_model=made["states"], world_model=made["wm"],
       episodes_from=[data])  # fmt: skip
    made["judge"] = last_checkpoint(root / "judge")
    do("gates", root / "gates", world_model=made["wm"], reward_model=made["judge"],
       held_out=[aside], siblings=[parted], sibling_chunks=1)  # fmt: skip
    return made | {"gates": str(root / "gates"), "cache": cache}


def card_of(directory: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((Path(directory) / "card.json").read_text())
    return card


def test_cards_say_that_states_are_privileged(made: dict[str, str]) -> None:
    assert [card_of(made[name])["privileged"] for name in ("states", "wm", "judge")] == (
        [PRIVILEGED] * 3
    )
    assert set(card_of(made["wm"])["lineage"]) == {"autoencoder", "state_model"}


def test_the_world_model_s_state_model_is_the_judge_s_and_is_not_trained(
    made: dict[str, str],
) -> None:
    world, judge = load_world_model(Path(made["wm"])), load_state_reward(Path(made["states"]))
    assert world.state_model is not None and world.config.deterministic
    theirs = judge.state_model.state_dict()
    assert all(torch.equal(own, theirs[n]) for n, own in world.state_model.state_dict().items())
    assert load_judge(Path(made["judge"])).config.family == "states"


def test_checkpoints_with_variants_pass_the_trial_of_adopted_models(made: dict[str, str]) -> None:
    for name in ("wm", "judge"):
        assert trial.main([made[name]])["outputs"]


def test_a_dream_of_latents_is_the_twin_that_is_decoded(made: dict[str, str]) -> None:
    world, statistics = load_world_model(Path(made["wm"])), load_normalization(Path(made["wm"]))
    episodes = [episode_with_states(40)]
    actions = held_actions(episodes, statistics, 8)
    latents = dream_latents(world, episodes, actions, seed=3, denoising_steps=1)
    [twin] = imagine_twins(world, episodes, [statistics.normalize(episodes[0].actions)], seed=3,
                            denoising_steps=1)  # fmt: skip
    assert np.array_equal(decode_frames(world, latents[:, 1:])[0].numpy(), twin.frames[1:])
    assert torch.equal(twin.latents, latents[0])


def test_fidelity_judges_dreams_by_their_latents_and_real_videos_by_their_frames(
    made: dict[str, str], tmp_path: Path
) -> None:
    result = do("fidelity", tmp_path / "fid", world_model=made["wm"], reward_model=made["judge"],
                episodes_from=[made["aside"]], episodes=3, denoising_steps=1)  # fmt: skip
    assert "frechet" not in result["curves"]
    assert sum(result["curves"]["matrix"]["imagined"][-1][cell] for cell in CELLS) == 3
    world, statistics = load_world_model(Path(made["wm"])), load_normalization(Path(made["wm"]))
    judge, rules = load_state_reward(Path(made["judge"])), get_task("coffee-push").judge
    dreams = [e for e in load_episodes([str(tmp_path / "fid")]) if "real" in e.lineage]
    reals = {episode.id: episode for episode in load_episodes([made["aside"]])}
    for dream in dreams:
        real = reals[dream.lineage["real"]]
        acted = statistics.normalize(real.actions)
        [twin] = imagine_twins(world, [real], [acted], seed=0, denoising_steps=1)
        told = {"window_probabilities": judge.latent_probabilities(twin.latents[None],
                                                                  twin.actions[None], rules),
                "real_probabilities": judge.probabilities(torch.from_numpy(real.frames)[None],
                                                          rules)}  # fmt: skip
        for name, (_, values) in told.items():
            found = dream.arrays[name]
            np.testing.assert_allclose(found, values[0, : len(found)].numpy(), atol=1e-5)


def test_a_dream_is_judged_anew_by_its_latents_and_a_real_episode_by_its_frames(
    made: dict[str, str], tmp_path: Path
) -> None:
    world, statistics = load_world_model(Path(made["wm"])), load_normalization(Path(made["wm"]))
    judge, rules = load_state_reward(Path(made["judge"])), get_task("coffee-push").judge
    real = load_episodes([made["aside"]])[0]
    acted = statistics.normalize(real.actions)
    [twin] = imagine_twins(world, [real], [acted], seed=0, denoising_steps=1)
    kept = {"latents": twin.latents.numpy(), "normalized_actions": twin.actions.numpy()}
    dream = replace(real, id="dream", imagined=True, frames=twin.frames, arrays=kept)
    run = shelf(tmp_path / "run", [real, dream])
    do("rejudge", tmp_path / "again", reward_model=made["judge"], episodes_from=[run])
    [batch] = read_documents(tmp_path / "again", "judgements").values()
    told = {row["imagined"]: row["probabilities"] for row in batch["rows"]}
    frames = torch.from_numpy(real.frames)[None]
    _, dreamt = judge.latent_probabilities(twin.latents[None], twin.actions[None], rules)
    np.testing.assert_allclose(told[True], dreamt[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(told[False], judge.probabilities(frames, rules)[1][0], atol=1e-5)


def test_the_report_names_checkpoints_counts_and_every_gate(made: dict[str, str]) -> None:
    report = read_documents(Path(made["gates"]))["gates"]
    held_out = report["measured"]["held out"]
    assert held_out["false_successes"]["of"] == held_out["missed"]["of"] == 3
    assert held_out["enough"]["value"] == 0.0
    assert report["measured"]["siblings"]["siblings"]["of"] == 2
    named = {(gate["on"], gate["name"]) for gate in report["gates"]}
    assert named == {
        *(("held out", n) for n in ("false_successes", "missed", "balanced_accuracy", "auc")),
        ("held out", "object_error_cm"),
        ("siblings", "siblings"),
    }
    assert set(report["checkpoints"]) == {"world_model", "reward_model"}


def test_gates_refuse_what_was_learnt_from(made: dict[str, str], tmp_path: Path) -> None:
    learnt = shelf(tmp_path / "learnt", [episode_with_states(0)])
    with pytest.raises(ValueError, match="gates need held-out ones"):
        do("gates", tmp_path / "run", world_model=made["wm"], reward_model=made["judge"],
           held_out=[learnt])  # fmt: skip


def test_a_policy_s_own_action_statistics_normalise_and_others_are_refused(
    made: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    known = load_normalization(Path(made["wm"]))
    own = replace(known, q01=tuple(value - 0.5 for value in known.q01))
    (policy / "normalization.json").write_text(json.dumps(own.to_dict()))
    with pytest.raises(ValueError, match="not the same movement for the policy policy"):
        do("gates", tmp_path / "gates", world_model=made["wm"], reward_model=made["judge"],
           held_out=[made["aside"]], policy=str(policy))  # fmt: skip
    common = {"episodes_from": [made["aside"]], "held_out": 1, "normalization_of": str(policy),
              "autoencoder": made["ae"]}  # fmt: skip
    do("train_states", tmp_path / "states", model=TINY_STATES, learning=TINY_LEARNING, **common)
    states = last_checkpoint(tmp_path / "states")
    assert load_normalization(Path(states)) == own
    do("train_world_model", tmp_path / "wm", state_model=states, batch_size=4, fit=FIT,
       transformer=TRANSFORMER | VARIANTS, deterministic=True, **common)  # fmt: skip
    world = Path(last_checkpoint(tmp_path / "wm"))
    assert load_normalization(world) == own
    check_same_actions(policy, world)


def test_frames_are_encoded_once(made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    world = load_world_model(Path(made["wm"]))
    video = episode_with_states(0).frames
    known = set(Path(made["cache"]).iterdir())
    kept = encode_videos(world.autoencoder, [video, video], made["cache"])
    anew = encode_moments(world.autoencoder, video)
    assert set(Path(made["cache"]).iterdir()) == known  # the jobs had encoded it already
    assert torch.equal(kept[0], torch.cat([anew[0]] * 2))


def test_an_episode_without_states_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no simulator states"):
        states_of([replace(episode_with_states(0), arrays={})])


def clips_of(*kinds: tuple[str, bool]) -> Clips:
    rows = np.zeros((len(kinds), 1), np.int64)
    none = torch.zeros(0)
    return Clips(none, none, none, rows, rows, kinds)


def test_a_balanced_batch_has_fixed_shares_of_what_there_is() -> None:
    own = clips_of(("policy", True), ("policy", False), ("policy", False), ("play", False))
    old = clips_of(("play", False), ("expert", True), ("play", False))
    total = sum(BALANCE[k] for k in (("policy", True), ("policy", False), ("play", False),
                                     ("expert", True)))  # fmt: skip
    found = {(number, tuple(rows)): share for number, rows, share in balanced([own, old])}
    assert found == {
        (0, (0,)): pytest.approx(0.27 / total),
        (0, (1, 2)): pytest.approx(0.27 / total),
        (0, (3,)): pytest.approx(0.23 / total / 3),
        (1, (0, 2)): pytest.approx(0.23 / total * 2 / 3),
        (1, (1,)): pytest.approx(0.15 / total),
    }
    assert sum(found.values()) == pytest.approx(1.0)


def small(episode: Trajectory) -> Trajectory:
    return replace(episode, frames=episode.frames[:, ::2, ::2].copy())


def test_first_clips_are_repeated_and_what_siblings_share_is_taken_once() -> None:
    model = varied_world_model()
    siblings = [small(sibling_with_states(20, m, branch=10)) for m in range(2)]
    clips = cut_clips(model, episode_set(siblings), PLAIN)
    # 16 actions: clips 0 to 8; of the second only those that end after step 10.
    assert len(clips) == 9 + 6
    again = cut_clips(model, episode_set([small(episode_with_states(0))]), PLAIN, first_clips=3)
    assert (again.frame_rows[:, 3] == 0).sum() == 4 and len(again) == 9 + 3


def test_carried_memory_is_what_a_dream_would_remember() -> None:
    model = varied_world_model()
    episode = small(episode_with_states(0))
    clips = cut_clips(model, episode_set([episode]), PLAIN)
    start = clips.mean[:1]
    actions = torch.from_numpy(episode.actions)[None]
    begun = model.begin(start)
    later = model.remember(begun, actions[:, :8])
    assert torch.allclose(clips.seen[0], begun[0], atol=1e-5)
    assert torch.allclose(clips.carried[8], later[0], atol=1e-5)
    assert not torch.allclose(clips.seen[8], later[0], atol=1e-3)
    random = np.random.default_rng(0)
    chosen = np.array([8])
    for share, table in ((0.0, clips.seen), (1.0, clips.carried)):
        assert torch.equal(clips.batch(chosen, random, share)[2], table[chosen])


def test_radii_are_those_that_agree_best_and_lie_least() -> None:
    def states(x: list[float]) -> torch.Tensor:
        found = torch.zeros(len(x), 3, 9)
        found[..., 3] = torch.tensor(x)[:, None]
        return found

    truth = [True, True, False, False]
    dreamt = Dreamt(
        states([0.05, 0.08, 0.09, 0.04]),
        [states([0.05, 0.06, 0.2, 0.2])],
        torch.zeros(4, 3, 9),
        [2] * 4,
        truth,
    )
    radii = np.array([0.03, 0.06, 0.1])
    alone = choose_radii(dreamt, radii, 0)
    # Every radius agrees in half of the cases: the least one lies least.
    assert (alone.radius, alone.counts.false_positives) == (0.03, 0)
    both = choose_radii(dreamt, radii, 1)
    assert both.counts.balanced_accuracy == 1.0
    assert both.radius == 0.1 and both.chain_radius in (0.06, 0.1)


def test_slack_takes_radii_that_flatter_less_and_agree_almost_as_well() -> None:
    def dreamt(x: list[float], successes: list[bool]) -> Dreamt:
        states = torch.zeros(len(x), 3, 9)
        states[..., 3] = torch.tensor(x)[:, None]
        return Dreamt(states, [], torch.zeros(len(x), 3, 9), [2] * len(x), successes)

    # 10 cm: every success and one of four failures, .875; 5.5 cm: two of three and none, .833.
    found = dreamt([0.05, 0.05, 0.09, 0.06, 0.2, 0.2, 0.2], [True] * 3 + [False] * 4)
    radii = np.array([0.055, 0.1])
    assert choose_radii(found, radii, 0).radius == 0.1
    assert choose_radii(found, radii, 0, slack=0.05).radius == 0.055
