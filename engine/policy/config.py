"""Sizes and constants of the policy, from the demo to the released checkpoints (method.md §2)."""

from dataclasses import dataclass

from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class TrunkConfig(Config):
    """One vision trunk. Its feature is the output of block `depth - 2` (method.md §2.1)."""

    width: int = knob(96, "Channels of a patch token", low=1)
    depth: int = knob(3, "Blocks counted as in the full network; the last is never run", low=2)
    num_heads: int = knob(4, "Attention heads", low=1)
    mlp_dim: int = knob(384, "Hidden channels of a block's MLP", low=1)
    patch_size: int = knob(8, "Side of a patch in pixels", low=1)
    image_size: int = knob(64, "Side of the image in pixels", low=1)
    prefix_tokens: int = knob(0, "Class and register tokens: 5 for DINOv2-reg4, 0 for SigLIP")
    layer_scale: bool = knob(False, "Learned gain after attention and MLP (DINOv2)")
    stem: str = knob("patch", "How pixels become tokens", choices=("patch", "conv"))
    keep_unused: bool = knob(False, "Own the parameters that released files hold but nothing runs")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % self.patch_size or self.width % self.num_heads:
            raise ValueError(
                f"patch_size {self.patch_size} must divide image_size {self.image_size} and "
                f"num_heads {self.num_heads} must divide width {self.width}"
            )
        if self.stem == "conv" and self.patch_size.bit_count() != 1:
            raise ValueError(f"a conv stem needs patch_size 2, 4, 8…, not {self.patch_size}")

    @property
    def num_patches(self) -> int:
        """Patch tokens of an image."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(Config):
    """The Llama that reads image and prompt; defaults of transformers where not named."""

    hidden_size: int = knob(160, "Channels of a token", low=1)
    intermediate_size: int = knob(448, "Hidden channels of a layer's MLP", low=1)
    num_hidden_layers: int = knob(4, "Layers", low=1)
    num_attention_heads: int = knob(4, "Attention heads", low=1)
    vocab_size: int = knob(576, "Rows of the embedding table, padding included", low=256)
    max_position_embeddings: int = knob(2048, "Longest sequence", low=1)
    rms_norm_eps: float = knob(1e-6, "Added to the mean square", low=0.0)
    pad_token_id: int = knob(512, "Id of padding", low=0)
    bos_token_id: int = knob(1, "Id that opens every prompt", low=0)
    eos_token_id: int = knob(2, "Stop token that closes the sequence", low=0)


@dataclass(frozen=True, kw_only=True)
class PolicyConfig(Config):
    """OpenVLA-OFT with the discrete head, at any size."""

    dino: TrunkConfig = knob(help="First trunk", factory=TrunkConfig)
    siglip: TrunkConfig = knob(help="Second trunk", factory=TrunkConfig)
    language: LanguageConfig = knob(help="Language model", factory=LanguageConfig)
    chunk_size: int = knob(8, "Actions predicted at once", low=1)
    action_dim: int = knob(4, "Numbers in one action", low=1)
    vocab_without_padding: int = knob(512, "Vocabulary; its last 256 ids are actions", low=256)
    final_prompt_token: int | None = knob(None, "Appended to a prompt that does not end in it")
    projector_factor: int = knob(4, "Hidden width of the projector over its input's", low=1)
    placeholder: str = knob(
        "zero", "Embedding of the tokens to be predicted", choices=("zero", "learned")
    )
    image_pipeline: str = knob(
        "plain",
        "How a frame becomes pixel values: as it is, or as released checkpoints want it "
        "(`official` for imagined frames, `official-simulator` for rendered ones)",
        choices=("plain", "official", "official-simulator"),
    )
    dino_mean: tuple[float, ...] = knob((0.484375, 0.455078125, 0.40625), "DINOv2 pixel mean")
    dino_std: tuple[float, ...] = knob((0.228515625, 0.2236328125, 0.224609375), "DINOv2 std")
    siglip_mean: tuple[float, ...] = knob((0.5, 0.5, 0.5), "SigLIP pixel mean")
    siglip_std: tuple[float, ...] = knob((0.5, 0.5, 0.5), "SigLIP pixel std")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.dino.image_size, self.dino.num_patches) != (
            self.siglip.image_size,
            self.siglip.num_patches,
        ):
            raise ValueError("both trunks must see the same image as the same number of patches")
        if self.vocab_without_padding > self.language.vocab_size:
            raise ValueError(
                f"vocab_without_padding {self.vocab_without_padding} exceeds "
                f"vocab_size {self.language.vocab_size}"
            )

    @property
    def image_size(self) -> int:
        """Side in pixels of what the trunks see."""
        return self.dino.image_size

    @property
    def num_tokens(self) -> int:
        """Action tokens of a chunk: l = k * a."""
        return self.chunk_size * self.action_dim


def tiny_policy_config(
    action_dim: int = 4, chunk_size: int = 8, image_size: int = 64, *, stem: str = "conv"
) -> PolicyConfig:
    """The demo's policy, for a CPU: about 4 ms a row on one thread.

    Sixteen tokens an image: in one minute of training, patches of 16 pixels behind a convolutional
    stem came to half the error of patches of 8, because the stem learns fine positions quickly and
    the sequence is half as long.
    """
    trunk = TrunkConfig(
        image_size=image_size, stem=stem, patch_size=16, width=128, depth=2, mlp_dim=256
    )
    return PolicyConfig(
        dino=trunk.replace(prefix_tokens=5, layer_scale=True),
        siglip=trunk,
        language=LanguageConfig(num_hidden_layers=3, intermediate_size=400),
        projector_factor=2,
        chunk_size=chunk_size,
        action_dim=action_dim,
        placeholder="learned",
    )


def paper_policy_config(action_dim: int = 7, chunk_size: int = 8) -> PolicyConfig:
    """The released policy, 7.5 B parameters."""
    # paper: sizes of method.md §2.1
    return PolicyConfig(
        dino=TrunkConfig(
            width=1024,
            depth=24,
            num_heads=16,
            mlp_dim=4096,
            patch_size=14,
            image_size=224,
            prefix_tokens=5,
            layer_scale=True,
            keep_unused=True,
        ),
        siglip=TrunkConfig(
            width=1152,
            depth=27,
            num_heads=16,
            mlp_dim=4304,
            patch_size=14,
            image_size=224,
            keep_unused=True,
        ),
        language=LanguageConfig(
            hidden_size=4096,
            intermediate_size=11008,
            num_hidden_layers=32,
            num_attention_heads=32,
            vocab_size=32064,
            pad_token_id=32000,
        ),
        chunk_size=chunk_size,
        action_dim=action_dim,
        vocab_without_padding=32000,
        final_prompt_token=29871,
        image_pipeline="official",
    )
