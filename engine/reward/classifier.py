"""The reward model: transformers' VideoMAE over windows of frames (method.md §3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import Config, knob
from engine.libraries import from_library
from engine.records.types import JudgeRules
from engine.reward.judge import window_ends
from engine.reward.resampling import resize_and_crop

SUCCESS = 1  # index of the success logit


@dataclass(frozen=True, kw_only=True)
class RewardConfig(Config):
    """Sizes of the classifier; the defaults judge a window in about 2 ms on one CPU thread."""

    image_size: int = knob(64, "Side of the frames the classifier sees, in pixels", low=8)
    patch_size: int = knob(8, "Side of a patch in pixels", low=2)
    tubelet_size: int = knob(8, "Frames joined in one token", low=1)
    num_frames: int = knob(8, "Frames in a window", low=1)
    hidden_size: int = knob(128, "Width of the tokens", low=8)
    num_hidden_layers: int = knob(4, "Transformer blocks", low=1)
    num_attention_heads: int = knob(4, "Attention heads; divides the width", low=1)
    intermediate_size: int = knob(384, "Hidden width of each block's MLP", low=8)
    layer_norm_eps: float = knob(1e-12, "Epsilon of the blocks' layer norms", low=0.0)
    image_mean: tuple[float, ...] = knob((0.485, 0.456, 0.406), "Mean of each colour, in [0, 1]")
    image_std: tuple[float, ...] = knob((0.229, 0.224, 0.225), "Deviation of each colour", low=1e-3)
    success_threshold: float = knob(
        0.5, "Probability counted as success; chosen on held-out episodes", low=0.0, high=1.0
    )
    micro_batch: int = knob(
        8, "Windows that go through the network together; part of the replay record", low=1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for whole, part in (
            ("image_size", "patch_size"),
            ("num_frames", "tubelet_size"),
            ("hidden_size", "num_attention_heads"),
        ):
            values = self.to_dict()
            if values[whole] % values[part]:
                raise ValueError(
                    f"{whole} {values[whole]} is not a multiple of {part} {values[part]}"
                )

    @classmethod
    def paper(cls) -> "RewardConfig":
        """VideoMAE-base as released; the threshold is coffee's (method.md §1.6)."""
        return cls(
            image_size=224,
            patch_size=16,
            tubelet_size=2,
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=3072,
            success_threshold=0.82,
            micro_batch=64,
        )

    @classmethod
    def tiny(cls) -> "RewardConfig":
        """Small enough for tests."""
        return cls(
            image_size=16,
            patch_size=8,
            tubelet_size=2,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
        )


class VideoReward(nn.Module):
    """Implements `RewardModel`: probability that a window of frames shows a success.

    The probability is the sigmoid of the success logit, as in the released code, although the two
    logits are trained with softmax cross-entropy.
    """

    def __init__(self, config: RewardConfig) -> None:
        super().__init__()
        self.config = config
        self.network = _network(config)
        self.eval()

    @property
    def window(self) -> int:
        """Frames in a window."""
        return self.config.num_frames

    @property
    def success_threshold(self) -> float:
        """Probability counted as success."""
        return self.config.success_threshold

    @property
    def micro_batch(self) -> int:
        """Windows that its layers take at once: what the bits of a window depend on."""
        return self.config.micro_batch

    def forward(self, pixels: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b 2"]:
        """Logits (failure, success) of windows as `preprocess` makes them; differentiable."""
        return self.network(pixels.to(self.network.classifier.weight)).logits.float()

    def preprocess(self, frames: UInt8[Tensor, "*b h w 3"]) -> Float[Tensor, "*b 3 y x"]:
        """Official preparation: shortest edge to the model's size, centre crop, standardise.

        Frames that already have the model's size are not resampled.
        """
        size = self.config.image_size
        *batch, height, width, _ = frames.shape
        flat = frames.reshape(-1, height, width, 3)
        if (height, width) != (size, size):
            flat = resize_and_crop(flat, size)
        mean = torch.tensor(self.config.image_mean, device=flat.device)
        std = torch.tensor(self.config.image_std, device=flat.device)
        pixels = (flat.float() / 255.0 - mean) / std
        return rearrange(pixels, "b h w c -> b c h w").reshape(*batch, 3, size, size)

    @torch.no_grad()
    def probabilities(
        self, frames: UInt8[Tensor, "b t h w 3"], rules: JudgeRules
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """(exclusive window ends, success probability of each window of each row), on the CPU.

        Tubelets shared by overlapping windows are embedded once. Everything runs in padded
        micro-batches of one size, so that a row's bits do not depend on its neighbours.

        Raises:
            ValueError: the rules ask for another window than the model reads.
        """
        if rules.window != self.window:
            raise ValueError(
                f"the judge asks for windows of {rules.window} frames, but the reward model reads "
                f"windows of {self.window}"
            )
        ends = torch.from_numpy(window_ends(frames.shape[1], rules))
        if len(ends) == 0:
            return ends, torch.zeros(len(frames), 0)
        logits = self.window_logits(frames.to(self.network.classifier.weight.device), ends)
        return ends, torch.sigmoid(logits.double()).float().cpu()

    @torch.no_grad()
    def window_logits(
        self, frames: UInt8[Tensor, "b t h w 3"], ends: Int64[Tensor, " windows"]
    ) -> Float[Tensor, "b windows"]:
        """Success logits of the windows that end, exclusively, at the given frames of each row."""
        clips, places = self.clips(frames, ends)
        tokens = self._embed(rearrange(clips, "b u t c h w -> (b u) t c h w"))
        rows = torch.arange(len(frames))[:, None, None] * clips.shape[1]
        index = rearrange(rows + places, "b w n -> (b w) n")
        logits = self._classify(tokens, index)[:, SUCCESS]
        return rearrange(logits, "(b w) -> b w", b=len(frames))

    @torch.no_grad()
    def window_features(
        self, frames: UInt8[Tensor, "b t h w 3"], ends: Int64[Tensor, " windows"]
    ) -> Float[Tensor, "b windows d"]:
        """What the last layer reads of each window, on the CPU: features to compare videos by."""
        clips, places = self.clips(frames.to(self.network.classifier.weight.device), ends)
        tokens = self._embed(rearrange(clips, "b u t c h w -> (b u) t c h w"))
        rows = torch.arange(len(frames))[:, None, None] * clips.shape[1]
        parts = self._pool(tokens, rearrange(rows + places, "b w n -> (b w) n"))
        features = torch.cat([pooled[:rows] for pooled, rows in parts]).float().cpu()
        return rearrange(features, "(b w) d -> b w d", b=len(frames))

    def clips(
        self, frames: UInt8[Tensor, "b t h w 3"], ends: Int64[Tensor, " windows"]
    ) -> tuple[Float[Tensor, "b u tubelet 3 y x"], Int64[Tensor, "windows n"]]:
        """(the u different tubelets of each row's windows, which n of them make each window)."""
        tubelet = self.config.tubelet_size
        first = torch.arange(0, self.window, tubelet)
        begins, places = torch.unique(ends[:, None] - self.window + first, return_inverse=True)
        return self.preprocess(frames)[:, begins[:, None] + torch.arange(tubelet)], places

    def _embed(self, clips: Tensor) -> Tensor:
        patches = self.network.videomae.embeddings.patch_embeddings
        dtype = self.network.classifier.weight.dtype
        parts = [
            patches(_pad(part.to(dtype), self.config.micro_batch))[: len(part)]
            for part in clips.split(self.config.micro_batch)
        ]
        return torch.cat(parts)

    def _classify(self, tokens: Tensor, index: Tensor) -> Tensor:
        """Logits of windows given as indices [m, n] of their n tubelets."""
        classify = self.network.classifier
        parts = self._pool(tokens, index)
        return torch.cat([_row_by_row(classify, pooled)[:rows] for pooled, rows in parts])

    def _pool(self, tokens: Tensor, index: Tensor) -> Iterator[tuple[Tensor, int]]:
        """What the classifier reads of windows: (padded micro-batch [micro_batch, d], its rows)."""
        network = self.network
        positions = network.videomae.embeddings.position_embeddings.to(tokens)
        for part in index.split(self.config.micro_batch):
            window = rearrange(tokens[part], "m n s d -> m (n s) d") + positions
            hidden = network.videomae.encoder(_pad(window, self.config.micro_batch))
            yield network.fc_norm(hidden.last_hidden_state.mean(dim=1)), len(part)


def rename_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of a released `.pth` to transformers' names, for `VideoReward.network`.

    transformers ≥ 5 silently drops `q_bias` and `v_bias` (method.md fact 10).
    """
    names = {"attention.q_bias": "attention.query.bias", "attention.v_bias": "attention.value.bias"}
    renamed = {}
    for name, tensor in weights.items():
        for old, new in names.items():
            if name.endswith(old):
                name = name.removesuffix(old) + new
        renamed[name] = tensor
    return renamed


def _network(config: RewardConfig) -> Any:
    sizes = from_library("transformers", "VideoMAEConfig")(
        image_size=config.image_size,
        patch_size=config.patch_size,
        num_channels=3,
        num_frames=config.num_frames,
        tubelet_size=config.tubelet_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        layer_norm_eps=config.layer_norm_eps,
        qv_bias=True,
        use_mean_pooling=True,
        num_labels=2,
    )
    return from_library("transformers", "VideoMAEForVideoClassification")(sizes)


def _row_by_row(linear: nn.Linear, batch: Tensor) -> Tensor:
    # A matrix product with two columns rounds rows differently by their place in the batch.
    return (batch[:, None] * linear.weight).sum(dim=-1) + linear.bias


def _pad(batch: Tensor, size: int) -> Tensor:
    padding = [0, 0] * (batch.ndim - 1) + [0, size - len(batch)]
    return F.pad(batch, padding)
