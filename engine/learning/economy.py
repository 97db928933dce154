"""What the training of a policy too large for a card may hold in memory: each saving is a knob."""

from dataclasses import dataclass

from engine.config import Config, knob


@dataclass(frozen=True, kw_only=True)
class Economy(Config):
    """What training may hold in memory."""

    lora_rank: int = knob(
        0, "Rank of adapters (LoRA) that are trained instead of all weights; 0: none", low=0
    )
    lora_alpha: float = knob(0.0, "Adapters count alpha / rank times; 0: once", low=0.0)
    recompute: bool = knob(
        False, "Activations are computed again in the backward pass (gradient checkpointing)"
    )
    bfloat16: bool = knob(
        False, "Products in bfloat16, on a CPU too; what is trained stays float32"
    )
    spread: bool = knob(
        False, "Learners hold a part of weights, gradients and averages each (FSDP2)"
    )
