"""Our world model gives the reference vectors' numbers (tests/golden/README.md)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.parity.items import load_vectors
from engine.parity.world_model import CHECKS
from engine.world_model.flow import sample, training_loss
from engine.world_model.transformer import STDiT, TransformerConfig
from tests.engine.test_world_model_transformer import inputs, trained

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("kind", CHECKS)
def test_every_quantity_of_the_vectors_is_within_its_tolerance(kind: str) -> None:
    items = CHECKS[kind](GOLDEN / f"{kind}_a.json")
    assert items
    assert [item for item in items if not item.passed] == []


def other_sizes(directory: Path) -> Path:
    """A wm_transformer file of other sizes, whose reference values are our full forward pass."""
    scalars, _ = load_vectors(GOLDEN / "wm_transformer_a.json")
    scalars["config"] |= {"hidden_size": 48, "depth": 1, "num_heads": 3, "pad_action_num": 2}
    scalars["B,T,H,W"] = [3, 7, 6, 10]
    config = TransformerConfig(
        hidden_size=48,
        depth=1,
        num_heads=3,
        in_channels=4,
        predict_sigma=True,
        action_dim=7,
        chunk_size=5,
        context_frames=2,
    )
    transformer = trained(config)
    x, time, actions, mask = inputs(config, 3, 6, 10)
    odd, noise, starts = x[:1, :, :, 1:, 1:], x.flip(0), x.flip(2)
    other_mask = torch.arange(7)[None].expand(3, -1) % 3 > 0
    rounding = STDiT(config.replace(round_timestep_to_bf16=True))
    rounding.load_state_dict(transformer.state_dict())
    with torch.no_grad():
        tensors = {
            "in.height": torch.tensor([48.0]),
            "in.width": torch.tensor([80.0]),
            "in.timestep": time,
            "in.actions": actions,
            "in.x": x,
            "in.x_mask": mask.byte(),
            "in.x_mask2": other_mask.byte(),
            "in.x_oddsize": odd,
            "in.train_noise": noise,
            "in.z": starts,
            "out.model": transformer(x, time, actions, mask, 48, 80),
            "out.model_mask2": transformer(x, time, actions, other_mask, 48, 80),
            "out.model_allnoised": transformer(x, time, actions, mask | True, 48, 80),
            "out.model_oddsize": transformer(odd, time[:1], actions[:1], mask[:1], 48, 80),
            "out.model_bf16": rounding(x, time, actions, mask, 48, 80),
            "out.train_loss": training_loss(transformer, x, actions, noise, time, 48, 80),
            "out.sample_steps3_tt1": torch.cat(
                [
                    starts[:, :, :2],
                    sample(transformer, starts[:, :, :2], starts[:, :, 2:], actions, 3, 48, 80),
                ],
                dim=2,
            ),
        }
    weights = {f"weight.{name}": value for name, value in transformer.state_dict().items()}
    path = directory / "wm_transformer_other-sizes.json"
    path.write_text(json.dumps(scalars))
    contiguous = {name: tensor.contiguous() for name, tensor in (tensors | weights).items()}
    save_file(contiguous, path.with_suffix(".safetensors"))
    return path


def test_sizes_are_read_from_the_file(tmp_path: Path) -> None:
    items = CHECKS["wm_transformer"](other_sizes(tmp_path))
    assert [item for item in items if not item.passed] == []
    assert "out.sample_steps3_tt1" in {item.name for item in items}


@pytest.mark.parametrize("name", ["out.model_mask2", "out.train_loss", "out.sample_steps3_tt1"])
def test_a_reference_that_differs_is_noticed(tmp_path: Path, name: str) -> None:
    path = other_sizes(tmp_path)
    tensors = load_file(path.with_suffix(".safetensors"))
    tensors[name] *= 1.001
    save_file(tensors, path.with_suffix(".safetensors"))
    failed = [item.name for item in CHECKS["wm_transformer"](path) if not item.passed]
    assert failed == [name]
