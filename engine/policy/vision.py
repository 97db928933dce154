"""The two vision trunks: ViTs with timm's parameter names (method.md §2.1, §2.6)."""

import itertools
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from engine.policy.activations import gelu
from engine.policy.config import TrunkConfig

LAYER_NORM_EPS = 1e-6


class PatchEmbed(nn.Module):
    """One linear map per patch: a convolution written as a matmul, whose bits do not depend on
    the batch."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b s d"]:
        p = self.patch_size
        patches = rearrange(pixels, "b c (y p) (x q) -> b (y x) (c p q)", p=p, q=p)
        weight = rearrange(self.proj.weight, "d c p q -> d (c p q)")
        return F.linear(patches, weight, self.proj.bias)


class StrideTwo(nn.Module):
    """A 3x3 stride-2 convolution, a norm over channels and a GELU; halves each side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear = nn.Linear(9 * before, after)
        self.norm = nn.LayerNorm(after, LAYER_NORM_EPS)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Float[Tensor, "b d y x"]) -> Float[Tensor, "b e half_y half_x"]:
        columns = rearrange(F.unfold(features, 3, padding=1, stride=2), "b c s -> b s c")
        convolved = gelu(self.norm(self.linear(columns)))
        return rearrange(convolved, "b (y x) e -> b e y x", y=features.shape[2] // 2)


class ConvStem(nn.Module):
    """Stride-2 convolutions down to the same grid as `PatchEmbed` (design.md §4).

    Patch tokens learn fine positions slowly on little data. The convolutions are matmuls over
    unfolded columns, so that a row's bits do not depend on the batch.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        num_convs = int(math.log2(config.patch_size))
        widths = [3] + [max(config.width >> (num_convs - 1 - i), 16) for i in range(num_convs)]
        self.convs = nn.Sequential(*itertools.starmap(StrideTwo, itertools.pairwise(widths)))
        self.proj = nn.Linear(widths[-1], config.width)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b s d"]:
        return self.proj(rearrange(self.convs(pixels), "b d y x -> b (y x) d"))


class Attention(nn.Module):
    """Full self-attention."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        query, key, value = rearrange(
            self.qkv(tokens), "b s (three heads e) -> three b heads s e", three=3, e=self._head_dim
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(rearrange(mixed, "b heads s e -> b s (heads e)"))

    @property
    def _head_dim(self) -> int:
        return self.proj.in_features // self.num_heads


class MLP(nn.Module):
    """Two layers with the exact (erf) GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        return self.fc2(gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned gain per channel; starts at 1 (small models train from scratch)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        return tokens * self.scale_factor


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, LAYER_NORM_EPS)
        self.attn = Attention(config)
        self.ls1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, LAYER_NORM_EPS)
        self.mlp = MLP(config.width, config.mlp_dim)
        self.ls2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(self, tokens: Float[Tensor, "b s d"]) -> Float[Tensor, "b s d"]:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class AttentionPool(nn.Module):
    """The weights of SigLIP's pooling head: stored in released checkpoints, never run."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.zeros(1, 1, config.width))
        self.q = nn.Linear(config.width, config.width)
        self.kv = nn.Linear(config.width, 2 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, LAYER_NORM_EPS)
        self.mlp = MLP(config.width, config.mlp_dim)


class VisionTrunk(nn.Module):
    """Normalised pixels to the patch features of the second-to-last block.

    No final norm; class and register tokens take part in the blocks and are dropped from the
    result. With `keep_unused` the module also owns the last block, the final norm and the pooling
    head, so that a released state dict loads and saves whole.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        width, num_prefix = config.width, config.prefix_tokens
        self.num_prefix = num_prefix
        self.num_run = config.depth - 1
        self.patch_embed = ConvStem(config) if config.stem == "conv" else PatchEmbed(config)
        self.pos_embed = nn.Parameter(torch.randn(1, config.num_patches, width) * 0.02)
        if num_prefix > 0:
            self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        if num_prefix > 1:
            self.reg_token = nn.Parameter(torch.randn(1, num_prefix - 1, width) * 0.02)
        num_blocks = config.depth if config.keep_unused else self.num_run
        self.blocks = nn.ModuleList(Block(config) for _ in range(num_blocks))
        if config.keep_unused:
            self.norm = nn.LayerNorm(width, LAYER_NORM_EPS)
            if num_prefix == 0:
                self.attn_pool = AttentionPool(config)

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b s d"]:
        tokens = self.patch_embed(pixels) + self.pos_embed
        prefix = []
        if self.num_prefix > 0:
            prefix.append(self.cls_token.expand(len(tokens), -1, -1))
        if self.num_prefix > 1:
            prefix.append(self.reg_token.expand(len(tokens), -1, -1))
        tokens = torch.cat([*prefix, tokens], dim=1)
        for block in self.blocks[: self.num_run]:
            tokens = block(tokens)
        return tokens[:, self.num_prefix :]


class VisionBackbone(nn.Module):
    """DINOv2 and SigLIP side by side, features concatenated per patch."""

    def __init__(self, dino: TrunkConfig, siglip: TrunkConfig) -> None:
        super().__init__()
        self.featurizer = VisionTrunk(dino)
        self.fused_featurizer = VisionTrunk(siglip)

    def forward(self, pixel_values: Float[Tensor, "b 6 h w"]) -> Float[Tensor, "b s d"]:
        """Channels 0-2 are normalised for DINOv2, 3-5 for SigLIP."""
        dino, siglip = pixel_values.split(3, dim=1)
        return torch.cat([self.featurizer(dino), self.fused_featurizer(siglip)], dim=2)
