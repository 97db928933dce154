"""The parts of the transformer: embeddings, attention within and across frames, blocks, last layer.

Everything follows method.md §1.2. Attribute names are the released parameter names (§1.3).
Only matrix products: no convolution runs here, so a row never depends on the size of its batch.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from engine.world_model.linear import Linear

EPSILON = 1e-6
TIME_FREQUENCIES = 128
ROPE_BASE = 10000.0
STEADY_ROWS = 32
CPU_LANES = 16
CUDA_BATCH = 65535  # blocks of a launch in its second and third dimension
FEW_KEYS = 64
FRAMES = 3, 0, 1, 4, 2, 5  # from t b s 3 h e: frames, then tokens that see each other
PLACES = 3, 1, 2, 4, 0, 5  # the same with places before frames


@dataclass(frozen=True)
class KeysValues:
    """What one temporal block remembers of the context frames: keys are normalised and rotated."""

    keys: Float[Tensor, "n heads c e"]
    values: Float[Tensor, "n heads c e"]

    def before(self, places: "FramePlaces") -> "KeysValues":
        """The same, laid before frames at those places: in memory of their own, as views would
        keep queries alive, and with the unused columns of their mask."""
        unused = places.mask.shape[1] - len(places.mask) - self.keys.shape[2]
        return KeysValues(*(_widened(part, unused) for part in (self.keys, self.values)))


def steady(layers: nn.Module, x: Float[Tensor, "*x d"]) -> Float[Tensor, "*x e"]:
    """Apply layers to vectors, never to fewer than 32 at once.

    Products of a few rows take other CPU kernels that round differently; padded, a row's result
    does not depend on how many rows it came with. Tokens of frames are many anyway.
    """
    rows = x.flatten(0, -2)
    padded = F.pad(rows, (0, 0, 0, max(0, STEADY_ROWS - len(rows))))
    return layers(padded)[: len(rows)].unflatten(0, x.shape[:-1])


def modulate(
    x: Float[Tensor, "*x d"], shift: Float[Tensor, "*m d"], gain: Float[Tensor, "*m d"]
) -> Float[Tensor, "*x d"]:
    """LayerNorm without own parameters, times gain (1 + scale), plus shift.

    Where all tokens share one gain and shift, as in a dream's temporal blocks, it is one kernel.
    A CPU's kernel with parameters, even idle ones, takes two thirds of the time of that without.
    """
    width = x.shape[-1:]
    if shift.numel() == x.shape[-1]:
        return F.layer_norm(x, width, gain.view(-1), shift.view(-1), EPSILON)
    idle = x.device.type == "cpu"
    one, none = (x.new_ones(width), x.new_zeros(width)) if idle else (None, None)
    normed = F.layer_norm(x, width, one, none, EPSILON)
    return torch.addcmul(shift, normed, gain, out=_free(normed, shift, gain))


@dataclass(frozen=True)
class FramePlaces:
    """What every temporal block has to know of t frames in a row, found once for all of them.

    Attributes:
        turn: cosine and sine of the angle by which pair p of frame first + i is turned:
            (first + i) * frequency p.
        mask: of columns for the frames before, unused ones that fill the CPU's vector registers,
            and these frames: True where a frame may look, at itself and at what was before. On a
            CPU it is what is added to scores there: 0 or minus infinity.
    """

    turn: Float[Tensor, "t p 2"]
    mask: Bool[Tensor, "t columns"] | Float[Tensor, "t columns"]

    @classmethod
    def of(cls, frequencies: Float[Tensor, " p"], first: int, count: int) -> "FramePlaces":
        """Of frames first … first + count - 1."""
        device, last = frequencies.device, first + count
        frames = torch.arange(first, last, device=device, dtype=torch.float32)
        angles = torch.outer(frames, frequencies.float())
        turn = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))
        mask = torch.ones(count, last, dtype=torch.bool, device=device).tril(first)
        if device.type != "cpu":
            return cls(turn, mask)
        # Softmax over whole vector registers is many times faster than over parts of them.
        unused = -last % CPU_LANES
        none = mask.new_zeros(count, unused if unused < CPU_LANES // 2 else 0)
        looks = torch.cat([mask[:, :first], none, mask[:, first:]], dim=1)
        return cls(turn, torch.zeros(looks.shape).masked_fill(~looks, -torch.inf))


def position_table(
    rows: int, columns: int, width: int, scale: float, device: torch.device
) -> Float[Tensor, "s d"]:
    """Sine-cosine positions of a rows × columns grid of tokens, column half first.

    Args:
        width: length of a token's vector, a multiple of 4.
        scale: size of the image relative to the reference size, sqrt(height * width) / 512.
    """
    base = round(math.sqrt(rows * columns))
    exponents = torch.arange(0, width // 2, 2, device=device, dtype=torch.float32) / (width // 2)
    frequencies = 1.0 / (ROPE_BASE**exponents)

    def waves(count: int) -> Tensor:
        places = torch.arange(count, device=device, dtype=torch.float32) / scale * (base / count)
        angles = torch.outer(places, frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    across = waves(columns)[None].expand(rows, -1, -1)
    down = waves(rows)[:, None].expand(-1, columns, -1)
    return torch.cat([across, down], dim=-1).flatten(0, 1)


class PatchEmbedding(nn.Module):
    """Patches to tokens. A convolution's parameters, used as a matrix."""

    def __init__(self, in_channels: int, width: int, patch_size: int) -> None:
        super().__init__()
        size = (1, patch_size, patch_size)
        self.proj = nn.Conv3d(in_channels, width, kernel_size=size, stride=size)

    def forward(self, patches: Float[Tensor, "t b s p"]) -> Float[Tensor, "t b s d"]:
        """Patches, each flattened in the order channel, row, column, to tokens."""
        weight = self.proj.weight.flatten(1)
        return F.linear(patches.to(weight.dtype), weight, self.proj.bias)


class TimestepEmbedding(nn.Module):
    """Diffusion time in [0, 1000] to a vector (method.md §1.2, 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2 * TIME_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, timestep: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """One vector for each time."""
        steps = torch.arange(TIME_FREQUENCIES, device=timestep.device, dtype=torch.float32)
        frequencies = torch.exp(-math.log(10000.0) * steps / TIME_FREQUENCIES)
        angles = timestep.float()[:, None] * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return steady(self.mlp, waves.to(next(self.mlp.parameters()).dtype))


class ActionEmbedding(nn.Module):
    """Normalised actions to vectors, and the vector of a frame without one."""

    def __init__(self, action_dim: int, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(action_dim, 4 * width), nn.SiLU(), nn.Linear(4 * width, width)
        )
        self.none_action = nn.Embedding(1, width)

    def forward(self, actions: Float[Tensor, "b k a"]) -> Float[Tensor, "b k d"]:
        """One vector for each action."""
        return steady(self.fc, actions.to(self.none_action.weight.dtype))


class Attention(nn.Module):
    """Multi-head attention with RMS-normalised queries and keys, over tokens or over frames."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.k_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.proj = Linear(width, width)

    def within_frames(self, x: Float[Tensor, "t b s d"]) -> Float[Tensor, "t b s d"]:
        """Every token of a frame sees every token of the same frame."""
        q, k, v = self._projected(x, FRAMES)
        return self.proj(_attend(q, k, v).transpose(1, 2).reshape(x.shape))

    def keys_values(self, x: Float[Tensor, "t b s d"], places: FramePlaces) -> KeysValues:
        """Keys and values alone, of frames whose own features nobody reads any more."""
        width = x.shape[-1]
        projected = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
        k, v = projected.unflatten(-1, (2, self.heads, -1)).permute(PLACES).flatten(1, 2)
        return KeysValues(_rotate(_normed(k, self.k_norm.weight), places), v)

    def across_frames(
        self, x: Float[Tensor, "t b s d"], places: FramePlaces, past: KeysValues | None
    ) -> tuple[Float[Tensor, "t b s d"], KeysValues]:
        """Every frame sees itself, the frames before it and the remembered past, place by place.

        Returns:
            (features, keys and values of these frames).
        """
        q, k, v = self._projected(x, PLACES, places)
        own = KeysValues(k, v)
        past = KeysValues(k[:, :, :0], v[:, :, :0]).before(places) if past is None else past
        keys, values = torch.cat([past.keys, k], dim=2), torch.cat([past.values, v], dim=2)
        attended = _attend(q, keys, values, places.mask)
        return self.proj(attended.permute(2, 0, 1, 3).reshape(x.shape)), own

    def _projected(
        self, x: Float[Tensor, "t b s d"], order: tuple[int, ...], places: FramePlaces | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [n heads l e] of l tokens that see each other; the first two
        normalised and, across frames, turned: laid out for that and both at once on a CPU, one
        after the other where memory is dearer than passes."""
        parts = self.qkv(x).view(*x.shape[:-1], 3, self.heads, -1)
        projected = parts.permute(order).flatten(1, 2)
        if x.device.type != "cpu":
            q = _turned(_normed(projected[0], self.q_norm.weight), places)
            return q, _turned(_normed(projected[1], self.k_norm.weight), places), projected[2]
        projected = projected.contiguous()
        weight = torch.cat([self.q_norm.weight, self.k_norm.weight]).view(2, 1, 1, 1, -1)
        q, k = _turned(_normed(projected[:2], weight), places)
        return q, k, projected[2]


class Mlp(nn.Module):
    """Two linear layers with a tanh-approximated GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*x d"]) -> Float[Tensor, "*x d"]:
        """Apply to the last dimension."""
        return self.fc2(self.fc1.gelu(x))


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated (method.md §1.2, 6).

    # paper: writes the residual gain as 1 + gate; the released code uses the gate alone.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.empty(6, width))
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def within_frames(
        self, x: Float[Tensor, "t b s d"], modulation: Float[Tensor, "*m 6 d"]
    ) -> Float[Tensor, "t b s d"]:
        """A spatial block."""
        shift, gain, gate, *mlp = self._modulation(modulation)
        attended = self.attn.within_frames(modulate(x, shift, gain))
        return self._mlp(_gated(x, gate, attended), *mlp)

    def across_frames(
        self,
        x: Float[Tensor, "t b s d"],
        modulation: Float[Tensor, "*m 6 d"],
        places: FramePlaces,
        past: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "t b s d"], KeysValues]:
        """A temporal block: (features, keys and values of these frames)."""
        shift, gain, gate, *mlp = self._modulation(modulation)
        attended, own = self.attn.across_frames(modulate(x, shift, gain), places, past)
        return self._mlp(_gated(x, gate, attended), *mlp), own

    def keys_values(
        self,
        x: Float[Tensor, "t b s d"],
        modulation: Float[Tensor, "*m 6 d"],
        places: FramePlaces,
    ) -> KeysValues:
        """What a temporal block remembers of frames that go no further."""
        shift, gain, *_ = self._modulation(modulation)
        return self.attn.keys_values(modulate(x, shift, gain), places)

    def _modulation(self, modulation: Tensor) -> list[Tensor]:
        """[shift, gain, gate] of the attention, then of the MLP, each [t b 1 d]."""
        return list((self.scale_shift_table + modulation).unsqueeze(-2).unbind(-3))

    def _mlp(self, x: Tensor, shift: Tensor, gain: Tensor, gate: Tensor) -> Tensor:
        return _gated(x, gate, self.mlp(modulate(x, shift, gain)))


class FinalLayer(nn.Module):
    """Tokens to patches; modulated by the time's embedding itself."""

    def __init__(self, width: int, patch_values: int) -> None:
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.empty(2, width))
        self.linear = nn.Linear(width, patch_values)

    def modulate(
        self, x: Float[Tensor, "t b s d"], time: Float[Tensor, "#b d"]
    ) -> Float[Tensor, "t b s d"]:
        """Normalise, scale and shift by the time's embedding."""
        shift, scale = (self.scale_shift_table + time[:, None])[..., None, :].unbind(1)
        return modulate(x, shift, 1.0 + scale)


def _free(x: Tensor, *others: Tensor) -> Tensor | None:
    """x as the place of a result, if nobody needs x for a gradient and the result is like it.

    What lies in the caches is written again: new memory costs more than the arithmetic.
    """
    alike = all(other.dtype == x.dtype for other in others)
    return x if alike and not torch.is_grad_enabled() else None


def _gated(x: Tensor, gate: Tensor, added: Tensor) -> Tensor:
    """x + gate * added, in the memory of what is added."""
    return torch.addcmul(x, gate, added, out=_free(added, x, gate))


def _normed(x: Tensor, weight: Tensor) -> Tensor:
    """RMSNorm over the last dimension, in the precision of x: of mixed ones no kernel is fused.

    A CPU has no kernel of its own for it: the norm of a vector and two products are the fewest
    passes over the tokens, which are overwritten where no gradient needs them.
    """
    size = x.shape[-1]
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return F.rms_norm(x, (size,), None, EPSILON) * weight.to(x.dtype)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    inverse = norm.square().add_(size * EPSILON).rsqrt_()
    scaled = torch.mul(x, inverse, out=_free(x))
    return torch.mul(scaled, weight * math.sqrt(size), out=_free(scaled))


def _widened(x: Tensor, unused: int) -> Tensor:
    return F.pad(x, (0, 0, 0, unused)) if unused else x.clone()


def _attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention of [n heads l e].

    A CPU computes small ones fastest as they are written. CUDA takes several launches where it
    cannot count so many at once.
    """
    if q.device.type == "cpu" and keys.shape[2] <= FEW_KEYS:
        bias = q.new_zeros(()) if mask is None else mask.to(q.dtype)
        scores = torch.baddbmm(
            bias, q.flatten(0, 1), keys.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5
        )
        return torch.bmm(scores.softmax(dim=-1), values.flatten(0, 1)).view(q.shape)
    if len(q) <= CUDA_BATCH:
        return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    rest = slice(CUDA_BATCH, None)
    first = _attend(q[:CUDA_BATCH], keys[:CUDA_BATCH], values[:CUDA_BATCH], mask)
    return torch.cat([first, _attend(q[rest], keys[rest], values[rest], mask)])


def _turned(x: Tensor, places: FramePlaces | None) -> Tensor:
    return x if places is None else _rotate(x, places)


def _rotate(x: Tensor, places: FramePlaces) -> Tensor:
    """Rotary embedding of [... t e], pairs (2p, 2p + 1).

    Compilers and CUDA graphs know no complex numbers; one kernel of a CPU multiplies them five
    times as fast. Both give the same bits there.
    """
    pairs, turn = x.float().view(*x.shape[:-1], -1, 2), places.turn
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        numbers = torch.view_as_complex(pairs)
        product = torch.mul(numbers, torch.view_as_complex(turn), out=_free(numbers))
        turned = torch.view_as_real(product)
    else:
        turned = turn_pairs(pairs, turn)
    return turned.flatten(-2).to(x.dtype)


def turn_pairs(
    pairs: Float[Tensor, "*x p 2"], turn: Float[Tensor, "*#x p 2"]
) -> Float[Tensor, "*x p 2"]:
    """Pairs of numbers times pairs of a cosine and a sine, as complex numbers are multiplied."""
    real, imaginary = pairs.unbind(-1)
    cosine, sine = turn.unbind(-1)
    products = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    return torch.stack(products, dim=-1)


def linear_velocity(
    noisy: Float[Tensor, "b c k y x"], timestep: Float[Tensor, "#b"]
) -> Float[Tensor, "b c k y x"]:
    """E[x0 - noise | x] if data had mean 0 and variance 1 and nothing else were known.

    With x = (1 - t) x0 + t noise that is x ((1 - t) - t) / ((1 - t)² + t²), t in [0, 1].
    """
    level = rearrange(timestep / 1000.0, "b -> b 1 1 1 1")
    return noisy * (1.0 - 2.0 * level) / ((1.0 - level).square() + level.square())
