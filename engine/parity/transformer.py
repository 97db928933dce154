"""Our STDiT against reference vectors: outputs, sampling, loss and gradients (method.md §1.2).

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.parity.items import Item, compare, load_vectors, weights_of
from engine.world_model.flow import sample, training_loss
from engine.world_model.transformer import STDiT, TransformerConfig

BF16_MEAN = 0.02
UNUSED = ("fps_embedder.", "y_embedder.")


def released_transformer(scalars: dict[str, Any], tensors: dict[str, Tensor]) -> STDiT:
    """The transformer a wm_transformer file describes, with its weights, strictly loaded."""
    values, frames = scalars["config"], scalars["B,T,H,W"][1]
    context_frames = values["pad_action_num"]
    config = TransformerConfig(
        hidden_size=values["hidden_size"],
        depth=values["depth"],
        num_heads=values["num_heads"],
        mlp_ratio=float(values["mlp_ratio"]),
        in_channels=values["in_channels"],
        patch_size=values["patch_size"][-1],
        predict_sigma=values["pred_sigma"],
        action_dim=values["action_dim"],
        chunk_size=frames - context_frames,
        context_frames=context_frames,
        input_sq_size=values["input_sq_size"],
    )
    transformer = STDiT(config)
    transformer.load_state_dict(
        {
            name: weight
            for name, weight in weights_of(tensors).items()
            if not name.startswith(UNUSED) and ".cross_attn." not in name
        }
    )
    return transformer.eval()


def check_wm_transformer(path: Path) -> list[Item]:
    """Forward passes for all masks and sizes, sampling, training loss, gradients, bf16 times."""
    scalars, tensors = load_vectors(path)
    transformer = released_transformer(scalars, tensors)
    height, width = (int(tensors[name].flatten()[0]) for name in ("in.height", "in.width"))
    time, actions, mask = tensors["in.timestep"], tensors["in.actions"], tensors["in.x_mask"].bool()
    inputs = {
        "out.model": (tensors["in.x"], mask),
        "out.model_mask2": (tensors["in.x"], tensors["in.x_mask2"].bool()),
        "out.model_allnoised": (tensors["in.x"], torch.ones_like(mask)),
        "out.model_oddsize": (tensors["in.x_oddsize"], mask),
    }
    items = []
    with torch.no_grad():
        for name, (x, frames) in inputs.items():
            b = len(x)
            ours = transformer(x, time[:b], actions[:b], frames[:b], height, width)
            items.append(compare(name, ours, tensors[name]))
        items += _sampling(transformer, tensors, height, width)
        items.append(_bf16(transformer, tensors, height, width))
    return items + _training(transformer, tensors, height, width)


def _sampling(
    transformer: STDiT, tensors: dict[str, Tensor], height: int, width: int
) -> list[Item]:
    n, z = transformer.config.context_frames, tensors["in.z"]
    items = []
    for name in sorted(tensors):
        if match := re.fullmatch(r"out\.sample_steps(\d+)_tt([01])", name):
            future = sample(
                transformer,
                z[:, :, :n],
                z[:, :, n:],
                tensors["in.actions"],
                int(match[1]),
                height,
                width,
                transform=match[2] == "1",
            )
            items.append(compare(name, torch.cat([z[:, :, :n], future], dim=2), tensors[name]))
    return items


def _bf16(transformer: STDiT, tensors: dict[str, Tensor], height: int, width: int) -> Item:
    """Rounding the time alone to bf16 brings float32 close to an all-bf16 run (fact 2)."""
    rounding = STDiT(transformer.config.replace(round_timestep_to_bf16=True))
    rounding.load_state_dict(transformer.state_dict())
    time, actions, mask = tensors["in.timestep"], tensors["in.actions"], tensors["in.x_mask"].bool()
    ours = rounding(tensors["in.x"], time, actions, mask, height, width)
    error = (ours - tensors["out.model_bf16"]).abs().mean().item()
    return Item("out.model_bf16 (mean)", error, BF16_MEAN)


def _training(
    transformer: STDiT, tensors: dict[str, Tensor], height: int, width: int
) -> list[Item]:
    loss = training_loss(
        transformer,
        tensors["in.x"],
        tensors["in.actions"],
        tensors["in.train_noise"],
        tensors["in.timestep"],
        height,
        width,
    )
    items = [compare("out.train_loss", loss, tensors["out.train_loss"])]
    transformer.zero_grad()
    loss.mean().backward()
    for name in sorted(tensors):
        if name.startswith("grad."):
            parameter = transformer.get_parameter(name.removeprefix("grad."))
            # A parameter that only context frames would read gets no gradient at all.
            ours = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            items.append(compare(name, ours, tensors[name]))
    return items
