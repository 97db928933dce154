"""Our world model against reference vectors: method.md §1, format in the vectors' README.

Sizes come from the JSON and the tensors, weights from the file: any folder of the format will do.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from engine.parity.items import Item, compare, load_vectors, weights_of
from engine.parity.rollout import check_rollout
from engine.parity.released import released_transformer
from engine.seeding import generator
from engine.world_model.flow import (
    add_noise,
    integrate,
    sample,
    sample_timesteps,
    sampling_timesteps,
    timestep_transform,
    training_loss,
    velocity_loss,
)
from engine.world_model.transformer import STDiT, TransformerConfig

BF16_MEAN = 0.02
STATISTICAL = 0.02
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


def check_scheduler(path: Path) -> list[Item]:
    """Noising, timestep transform, sampling loop and loss with the published toy network."""
    scalars, tensors = load_vectors(path)
    height, width = scalars["image_hw"]
    noised = add_noise(tensors["noise.x0"], tensors["noise.eps"], tensors["noise.t"])
    items = [compare("noise.out", noised, tensors["noise.out"])]
    for name in sorted(tensors):
        if match := re.fullmatch(r"tt\.out_(frames|scale)(\d+)(?:p(\d+))?", name):
            frames = int(match[2]) if match[1] == "frames" else tensors["noise.x0"].shape[2]
            scale = float(f"{match[2]}.{match[3] or 0}") if match[1] == "scale" else 1.0
            ours = timestep_transform(tensors["tt.in"], height, width, frames, scale=scale)
            items.append(compare(name, ours, tensors[name]))
        elif match := re.fullmatch(r"sample\.out_steps(\d+)", name):
            items += _toy_sampling(scalars, tensors, int(match[1]))
    return [*items, *_toy_training(scalars, tensors), _time_quantiles(tensors)]


def _toy_velocity(
    scalars: dict[str, Any], x: Tensor, time: Tensor, actions: Tensor, mask: Tensor
) -> Tensor:
    """The vectors' toy network; all shapes [b c t y x], [b], [b k a], [b t]."""
    toy = scalars["toy_coefficients"]
    offset = toy["b"] * torch.tanh(time / scalars["num_timesteps"]) + toy["c"] * actions.mean(
        (1, 2)
    )
    velocity = toy["a"] * x + offset[:, None, None, None, None]
    return velocity * mask[:, None, :, None, None]


def _toy_sampling(scalars: dict[str, Any], tensors: dict[str, Tensor], steps: int) -> list[Item]:
    height, width = scalars["image_hw"]
    start, mask = tensors["sample.z"], tensors["sample.mask"].bool()
    seen = []

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        seen.append(time)
        return _toy_velocity(scalars, x, time, tensors["sample.y"], mask)

    times = sampling_timesteps(steps, height, width, start.shape[2])
    moved = integrate(velocity, start, times)
    ours = torch.where(mask[:, None, :, None, None], moved, start)
    reference = f"sample.timesteps_steps{steps}"
    return [
        compare(f"sample.out_steps{steps}", ours, tensors[f"sample.out_steps{steps}"]),
        compare(reference, torch.stack(seen), tensors[reference]),
    ]


def _toy_training(scalars: dict[str, Any], tensors: dict[str, Tensor]) -> list[Item]:
    clean, noise, time = tensors["noise.x0"], tensors["noise.eps"], tensors["noise.t"]
    mask = tensors["train.mask"].bool()
    given = torch.full_like(time, float(scalars["cond_noise_timestep"]))
    active = mask[:, None, :, None, None]
    x = torch.where(active, add_noise(clean, noise, time), add_noise(clean, noise, given))
    velocity = _toy_velocity(scalars, x, time, tensors["train.y"], mask)
    losses = [
        velocity_loss(
            *(
                rearrange(part[row : row + 1], "b c t y x -> b t c y x")[:, mask[row]]
                for part in (velocity, clean, noise)
            )
        )
        for row in range(len(clean))
    ]  # a row may have any number of active frames
    return [
        compare("train.model_input", x, tensors["train.model_input"]),
        compare("train.model_t", time, tensors["train.model_t"]),
        compare("train.loss", torch.cat(losses), tensors["train.loss"]),
    ]


def _time_quantiles(tensors: dict[str, Tensor]) -> Item:
    one = generator(0, "parity", "times")
    levels = torch.tensor([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    ours = torch.quantile(sample_timesteps([one] * 20000), levels)
    name = "train.t_sample_quantiles"
    return compare(name, ours, tensors[name], STATISTICAL)


CHECKS: dict[str, Callable[[Path], list[Item]]] = {
    "wm_transformer": check_wm_transformer,
    "scheduler": check_scheduler,
    "rollout": check_rollout,
    "vae": check_vae,
}
