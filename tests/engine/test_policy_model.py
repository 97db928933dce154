"""The policy as a whole: tokens, log-probabilities and independence of rows."""

import pytest
import torch

from engine.policy.config import LanguageConfig, PolicyConfig, TrunkConfig, tiny_policy_config
from engine.policy.model import OpenVLAPolicy, inverse_cdf
from engine.policy.prompt import demo_tokenizer
from engine.protocols import Policy
from engine.records.types import Normalization
from engine.seeding import row_generators

INSTRUCTIONS = ["push the mug", "open the drawer", "push the mug", "put the ring on the peg"] * 2


def tiny(**changes: object) -> OpenVLAPolicy:
    torch.manual_seed(0)
    trunk = TrunkConfig(width=32, depth=2, num_heads=2, mlp_dim=64, image_size=32, stem="conv")
    config = PolicyConfig(
        dino=trunk.replace(prefix_tokens=5, layer_scale=True),
        siglip=trunk,
        language=LanguageConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2),
        chunk_size=3,
        action_dim=2,
    ).replace(**changes)
    statistics = Normalization(q01=(-1.0,) * 2, q99=(1.0,) * 2, mask=(True,) * 2)
    return OpenVLAPolicy(config, normalization=statistics, tokenizer=demo_tokenizer()).eval()


def frames(batch: int, size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, size, size, 3), generator=generator, dtype=torch.uint8)


def generators(rows: range) -> list[torch.Generator]:
    return row_generators(7, "policy", rows=[(row,) for row in rows])


def test_it_is_a_policy() -> None:
    assert isinstance(tiny(), Policy)


@pytest.mark.parametrize("placeholder", ["zero", "learned"])
@pytest.mark.parametrize("instructions", [["push the mug"] * 8, INSTRUCTIONS])
def test_a_row_is_the_same_alone_and_in_a_batch(placeholder: str, instructions: list[str]) -> None:
    policy, images = tiny(placeholder=placeholder), frames(8)
    batch = policy.act(images, instructions, generators(range(8)), 1.6)
    alone = policy.act(images[5:6], instructions[5:6], generators(range(5, 6)), 1.6)
    assert torch.equal(batch.tokens[5:6], alone.tokens)
    assert torch.equal(batch.log_probs[5:6], alone.log_probs)


@pytest.mark.parametrize("intermediate_size", [448, 400])
def test_a_row_of_the_demo_keeps_its_bits_in_a_batch(intermediate_size: int) -> None:
    torch.manual_seed(0)
    config = tiny_policy_config()
    language = config.language.replace(num_hidden_layers=2, intermediate_size=intermediate_size)
    statistics = Normalization(q01=(-1.0,) * 4, q99=(1.0,) * 4, mask=(True,) * 4)
    policy = OpenVLAPolicy(
        config.replace(language=language), normalization=statistics, tokenizer=demo_tokenizer()
    )
    instructions = ["push the mug under the coffee machine"] * 3
    together = policy.act(frames(3, 64), instructions, generators(range(3)), 1.6)
    alone = policy.act(frames(3, 64)[1:2], instructions[:1], generators(range(1, 2)), 1.6)
    assert torch.equal(together.log_probs[1:2], alone.log_probs)


def test_a_policy_in_bfloat16_scores_in_float32() -> None:
    policy = tiny(placeholder="learned").to(torch.bfloat16)
    log_probs, entropy = policy.log_probs(
        frames(2), ["push", "pull the mug"], torch.zeros(2, 6, dtype=torch.int64), 1.0
    )
    assert log_probs.dtype == entropy.dtype == torch.float32


def test_log_probs_of_what_was_sampled_are_those_of_sampling() -> None:
    policy, images = tiny(), frames(4)
    chunk = policy.act(images, INSTRUCTIONS[:4], generators(range(4)), 1.6)
    log_probs, entropy = policy.log_probs(images, INSTRUCTIONS[:4], chunk.tokens, 1.6)
    torch.testing.assert_close(log_probs, chunk.log_probs, atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy, chunk.entropy, atol=1e-5, rtol=0)


def test_temperature_zero_takes_the_likeliest_token_and_leaves_the_generators() -> None:
    policy, images, rows = tiny(), frames(2), generators(range(2))
    before = [row.get_state() for row in rows]
    chunk = policy.act(images, INSTRUCTIONS[:2], rows, 0.0)
    assert torch.equal(chunk.tokens, policy.logits(images, INSTRUCTIONS[:2]).argmax(dim=2))
    assert all(torch.equal(row.get_state(), old) for row, old in zip(rows, before, strict=True))


def test_padding_changes_no_logit() -> None:
    policy, images = tiny(), frames(2)
    together = policy.logits(images, ["push", "put the ring on the peg"])
    alone = policy.logits(images[:1], ["push"])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)


def test_the_first_token_sees_the_last_placeholder() -> None:
    policy, images = tiny(placeholder="learned"), frames(1)
    before = policy.logits(images, ["push"])
    with torch.no_grad():
        policy.placeholders[-1] += 1.0
    assert not torch.allclose(policy.logits(images, ["push"])[:, 0], before[:, 0], atol=1e-6)


def test_the_image_and_the_instruction_matter() -> None:
    policy, images = tiny(), frames(2)
    logits = policy.logits(images[[0, 1, 0]], ["push", "push", "pull"])
    assert (logits[0] - logits[1]).abs().max() > 1e-6
    assert (logits[0] - logits[2]).abs().max() > 1e-6


def test_gradients_reach_every_parameter_that_is_run() -> None:
    policy = tiny(placeholder="learned")
    log_probs, entropy = policy.log_probs(
        frames(2), INSTRUCTIONS[:2], torch.zeros(2, 6, dtype=torch.int64), 1.0
    )
    (log_probs.mean() + entropy.mean()).backward()
    without = [name for name, parameter in policy.named_parameters() if parameter.grad is None]
    assert without == []


def test_noise_selects_the_first_outcome_whose_cumulated_probability_exceeds_it() -> None:
    log_probs = torch.tensor([0.0, 0.25, 0.0, 0.75]).log()[None, None].expand(1, 5, 4)
    noise = torch.tensor([[0.0, 0.2, 0.26, 0.3, 0.9999999]])
    assert inverse_cdf(log_probs, noise).tolist() == [[1, 1, 3, 3, 3]]


def test_sampling_follows_the_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4])
    noise = torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0))
    chosen = inverse_cdf(probabilities.log().expand(1, 20_000, 4), noise)
    frequencies = chosen.flatten().bincount(minlength=4) / 20_000
    torch.testing.assert_close(frequencies, probabilities, atol=0.015, rtol=0)


def test_statistics_of_another_action_dimension_are_refused() -> None:
    statistics = Normalization(q01=(-1.0,), q99=(1.0,), mask=(True,))
    with pytest.raises(ValueError, match="1 dimensions, the policy 2"):
        OpenVLAPolicy(tiny().config, normalization=statistics, tokenizer=demo_tokenizer())


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 32x32 frames, not 64x64"):
        tiny().logits(frames(1, size=64), ["push"])
