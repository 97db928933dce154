"""The policy against the reference vectors."""

from pathlib import Path

import pytest
import torch

from engine.parity.items import load_vectors
from engine.parity.policy import CHECKS, check_vla, released_policy

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("family", sorted(CHECKS))
def test_every_reference_number_is_met(family: str) -> None:
    items = CHECKS[family](GOLDEN / f"{family}_a.safetensors")
    assert [item for item in items if not item.passed] == []


def test_every_output_and_gradient_of_the_reference_is_compared() -> None:
    _, tensors = load_vectors(GOLDEN / "vla_a")
    due = {n for n in tensors if n.startswith(("mid.", "out.", "grad.", "token.d", "token.i"))}
    inputs = {"out.sampled_tokens"}
    assert due - inputs - {item.name for item in check_vla(GOLDEN / "vla_a.safetensors")} == set()


def test_a_causal_language_model_would_be_noticed() -> None:
    scalars, tensors = load_vectors(GOLDEN / "vla_a")
    policy = released_policy(scalars, tensors)
    embeddings, keep, first = policy._sequence(
        policy.projector(policy.vision_backbone(tensors["in.pixel_values"])),
        tensors["in.input_ids"],
        tensors["in.attention_mask"].bool(),
    )
    before = torch.ones(2 * embeddings.shape[1:2], dtype=torch.bool).tril()
    mask = before & keep[:, None, None]
    causal = policy.language_model.model(inputs_embeds=embeddings, attention_mask=mask)
    logits = policy.language_model.lm_head(causal.last_hidden_state[:, first[0]])
    assert (logits - tensors["out.logits_action"][:, 0]).abs().max() > 1e-2


def test_the_unused_parameters_of_a_released_file_are_never_run() -> None:
    scalars, tensors = load_vectors(GOLDEN / "vla_a")
    policy = released_policy(scalars, tensors)
    mask = tensors["in.attention_mask"].bool()
    policy(tensors["in.pixel_values"], tensors["in.input_ids"], mask).sum().backward()
    unused = {name for name, p in policy.named_parameters() if p.grad is None}
    last_blocks = tuple(
        f"vision_backbone.{trunk}.{part}."
        for trunk in ("featurizer", "fused_featurizer")
        for part in ("blocks.2", "norm", "attn_pool")
    )
    assert unused
    assert all(name.startswith(last_blocks) for name in unused)


def test_a_strict_state_dict_round_trip_keeps_every_released_name() -> None:
    scalars, tensors = load_vectors(GOLDEN / "vla_a")
    own = released_policy(scalars, tensors).state_dict()
    released = {n.removeprefix("weight.") for n in tensors if n.startswith("weight.")}
    assert set(own) == released
    name = "language_model.lm_head.weight"
    assert torch.equal(own[name], tensors[f"weight.{name}"])
