"""The published transformer in its plainest form, to measure ours against.

This is not the official code, which cannot be had here. It is written from the description of the
network (method.md §1.2) with the habits of the code that was measured once beside ours: no
context cache, attention as two products with a softmax between them, both modulations of a frame
computed and one chosen by the mask, RMS norms, rotary turns and GELU as operations of their own.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from engine.world_model.blocks import Attention, Block, position_table
from engine.world_model.transformer import STDiT

EPSILON = 1e-6


def plain_forward(
    model: STDiT, x: Tensor, timestep: Tensor, actions: Tensor, mask: Tensor, side: int
) -> Tensor:
    """Velocity [b c t y x] of all frames, with the parameters of `model`."""
    config = model.config
    frames, patch = x.shape[2], config.patch_size
    tokens = model.x_embedder.proj(x)
    down, across = tokens.shape[-2:]
    tokens = rearrange(tokens, "b d t y x -> b t (y x) d")
    scale = math.sqrt(side * side) / config.input_sq_size
    tokens = tokens + position_table(down, across, config.hidden_size, scale, x.device)
    time, given = _time(model, timestep), _time(model, torch.full_like(timestep, 15.0))
    pads = model.action_embedder.none_action.weight.expand(len(x), frames - actions.shape[1], -1)
    action = torch.cat([pads, model.action_embedder.fc(actions)], dim=1)
    spatial = model.t_block(time[:, None] + action)
    temporal = model.t_block(time)[:, None].expand(-1, frames, -1)
    still = model.t_block(given)[:, None].expand(-1, frames, -1)
    chosen = mask[:, :, None, None]
    for within, between in model._pairs():
        tokens = _block(within, tokens, spatial, still, chosen, None)
        tokens = _block(between, tokens, temporal, still, chosen, model.rope.freqs)
    table = model.final_layer.scale_shift_table
    moved = _modulated(tokens, *(table + time[:, None])[:, :, None, None].unbind(1))
    again = _modulated(moved, *(table + given[:, None])[:, :, None, None].unbind(1))
    patches = model.final_layer.linear(torch.where(chosen, moved, again))
    return rearrange(
        patches, "b t (i j) (p q c) -> b c t (i p) (j q)", i=down, j=across, p=patch, q=patch
    )


def _time(model: STDiT, timestep: Tensor) -> Tensor:
    steps = torch.arange(128, dtype=torch.float32)
    angles = timestep[:, None] * torch.exp(-math.log(10000.0) * steps / 128)
    return model.t_embedder.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift


def _block(
    block: Block,
    x: Tensor,
    moving: Tensor,
    still: Tensor,
    chosen: Tensor,
    frequencies: Tensor | None,
) -> Tensor:
    ways = [
        (block.scale_shift_table + vectors.unflatten(-1, (6, -1))).unsqueeze(-2).unbind(2)
        for vectors in (moving, still)
    ]

    def modulated(first: int) -> Tensor:
        both = [_modulated(x, way[first], way[first + 1]) for way in ways]
        return torch.where(chosen, *both)

    def gated(y: Tensor, gate: int) -> Tensor:
        return torch.where(chosen, *(y * way[gate] for way in ways))

    attended = _attention(block.attn, modulated(0), frequencies)
    x = x + gated(attended, 2)
    hidden = F.gelu(block.mlp.fc1(modulated(3)), approximate="tanh")
    return x + gated(block.mlp.fc2(hidden), 5)


def _attention(attention: Attention, x: Tensor, frequencies: Tensor | None) -> Tensor:
    """Over the tokens of a frame or, with frequencies, over the frames of a place, causally."""
    b, t, s, _ = x.shape
    over = "b t s d -> (b t) s d" if frequencies is None else "b t s d -> (b s) t d"
    qkv = attention.qkv(rearrange(x, over))
    q, k, v = rearrange(qkv, "n l (three h e) -> three n h l e", three=3, h=attention.heads)
    q, k = _normed(q, attention.q_norm.weight), _normed(k, attention.k_norm.weight)
    if frequencies is not None:
        q, k = _turned(q, frequencies), _turned(k, frequencies)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if frequencies is not None:
        future = torch.ones(t, t, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    attended = attention.proj(rearrange(scores.softmax(dim=-1) @ v, "n h l e -> n l (h e)"))
    back = "(b t) s d -> b t s d" if frequencies is None else "(b s) t d -> b t s d"
    return rearrange(attended, back, b=b, **({"t": t} if frequencies is None else {"s": s}))


def _normed(x: Tensor, weight: Tensor) -> Tensor:
    return weight * (x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + EPSILON))


def _turned(x: Tensor, frequencies: Tensor) -> Tensor:
    places = torch.arange(x.shape[-2], dtype=torch.float32)
    angles = torch.outer(places, frequencies).repeat_interleave(2, dim=-1)
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    half = torch.stack([-second, first], dim=-1).flatten(-2)
    return x * angles.cos() + half * angles.sin()
