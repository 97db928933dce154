"""The VideoMAE reward model."""

from pathlib import Path

import pytest
import torch

from engine.parity.items import load_vectors, weights_of
from engine.protocols import RewardModel
from engine.records.types import JudgeRules
from engine.reward.classifier import RewardConfig, VideoReward, rename_released
from engine.seeding import generator

GOLDEN = Path(__file__).parents[1] / "golden" / "reward_videomae_a"


@pytest.fixture(scope="module")
def reward() -> VideoReward:
    torch.manual_seed(0)
    return VideoReward(RewardConfig.tiny())


def _frames(rows: int, num_frames: int, side: int = 16) -> torch.Tensor:
    shape = (rows, num_frames, side, side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "frames"))


def test_it_is_a_reward_model(reward: VideoReward) -> None:
    assert isinstance(reward, RewardModel)
    assert reward.window == 8


def test_one_probability_a_window_and_row(reward: VideoReward) -> None:
    ends, probabilities = reward.probabilities(_frames(2, 11), JudgeRules())
    assert ends.tolist() == [8, 9, 10, 11]
    assert probabilities.shape == (2, 4)


def test_a_video_shorter_than_a_window_gives_no_probabilities(reward: VideoReward) -> None:
    ends, probabilities = reward.probabilities(_frames(2, 7), JudgeRules())
    assert ends.tolist() == []
    assert probabilities.shape == (2, 0)


@pytest.mark.parametrize("row", range(8))
def test_a_row_is_the_same_alone_and_in_a_batch_of_eight(reward: VideoReward, row: int) -> None:
    frames = _frames(8, 13)
    together = reward.probabilities(frames, JudgeRules(first_end=9))[1][row]
    alone = reward.probabilities(frames[row : row + 1], JudgeRules(first_end=9))[1][0]
    assert torch.equal(alone, together)


def test_a_window_is_the_same_whatever_is_judged_around_it(reward: VideoReward) -> None:
    frames = _frames(1, 20)
    whole = reward.probabilities(frames, JudgeRules())[1][0, 5:]
    tail = reward.probabilities(frames[:, 5:], JudgeRules())[1][0]
    assert torch.equal(whole, tail)


@pytest.mark.parametrize("rules", [JudgeRules(), JudgeRules(stride=3), JudgeRules(first_end=10)])
def test_shared_tubelets_give_what_whole_windows_give(
    reward: VideoReward, rules: JudgeRules
) -> None:
    frames = _frames(1, 14)
    ends, probabilities = reward.probabilities(frames, rules)
    windows = torch.cat([frames[:, end - 8 : end] for end in ends.tolist()])
    with torch.no_grad():
        expected = torch.sigmoid(reward(reward.preprocess(windows))[:, 1])
    torch.testing.assert_close(probabilities[0], expected, atol=1e-6, rtol=0.0)


def test_the_features_of_a_window_are_what_its_logit_is_read_from(reward: VideoReward) -> None:
    frames, ends = _frames(2, 11), torch.tensor([8, 11])
    features = reward.window_features(frames, ends)
    assert features.shape == (2, 2, 32)
    logits = features @ reward.network.classifier.weight[1] + reward.network.classifier.bias[1]
    torch.testing.assert_close(logits, reward.window_logits(frames, ends))


def test_another_window_than_the_model_reads_is_refused(reward: VideoReward) -> None:
    with pytest.raises(ValueError, match="windows of 4 frames, but the reward model reads"):
        reward.probabilities(_frames(1, 9), JudgeRules(window=4))


def test_frames_of_the_models_size_are_not_resampled(reward: VideoReward) -> None:
    frames = _frames(1, 1)
    pixels = reward.preprocess(frames)[0, 0, 0]
    mean, std = reward.config.image_mean[0], reward.config.image_std[0]
    torch.testing.assert_close(pixels * std + mean, frames[0, 0, ..., 0] / 255.0)


def test_other_frames_are_resized_and_cropped_about_the_centre(reward: VideoReward) -> None:
    wide = torch.zeros(1, 1, 32, 96, 3, dtype=torch.uint8)
    wide[:, :, :, 32:64] = 255
    pixels = reward.preprocess(wide)
    assert pixels.shape == (1, 1, 3, 16, 16)
    assert (pixels[..., 1:-1] > 2.0).all()


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size 20 is not a multiple of patch_size 8"):
        RewardConfig(image_size=20)


def test_released_bias_names_become_transformers_names() -> None:
    weights = {"a.attention.attention.q_bias": torch.zeros(1), "classifier.bias": torch.ones(1)}
    assert list(rename_released(weights)) == ["a.attention.attention.query.bias", "classifier.bias"]


def test_released_weights_give_the_official_probabilities() -> None:
    scalars, tensors = load_vectors(GOLDEN)
    sizes = scalars["config"]
    reward = VideoReward(
        RewardConfig(
            image_size=sizes["image_size"],
            patch_size=sizes["patch_size"],
            tubelet_size=sizes["tubelet_size"],
            hidden_size=sizes["hidden_size"],
            num_hidden_layers=sizes["num_hidden_layers"],
            num_attention_heads=sizes["num_attention_heads"],
            intermediate_size=sizes["intermediate_size"],
            image_mean=(0.5, 0.5, 0.5),
            image_std=(0.5, 0.5, 0.5),
        )
    )
    reward.network.load_state_dict(rename_released(weights_of(tensors)), strict=True)
    _, probabilities = reward.probabilities(tensors["in.frames"], JudgeRules())
    torch.testing.assert_close(
        probabilities[:, 0], tensors["out.success_prob"], atol=1e-4, rtol=0.0
    )
