"""Layouts that people have: weights wrapped by a trainer, and parts that lie beside weights."""

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

# Whatever may hold tensors, in any framework's format.
TENSOR_FILES = (
    *(".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz", ".npy"),
    *(".h5", ".msgpack", ".gguf", ".onnx", ".pkl"),
)
# What only continues a training says nothing of the model.
_OF_TRAINING = ("training_args", "optimizer", "scheduler", "rng_state", "random_states", "scaler")
_WRAPPERS = ("module.", "_orig_mod.", "state_dict.", "model_state_dict.")
_STATES = ("optimizer", "lr_scheduler", "scheduler", "scaler", "grad_scaler", "epoch", "step")


def unwrapped(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Tensors without what a trainer put around them: `module.` of parallel training, `_orig_mod.`
    of compiling, `state_dict` or `model` of a training checkpoint, whose other states go.

    Names that no wrapper explains stay as they are.
    """
    found = dict(tensors)
    weights = {name: value for name, value in found.items() if not _is_state(name)}
    is_training = 0 < len(weights) < len(found)
    wrappers = (*_WRAPPERS, "model.") if is_training else _WRAPPERS
    removed = []
    while weights:
        first = next(iter(weights))
        wrapper = next((one for one in wrappers if first.startswith(one)), None)
        if wrapper is None or not all(name.startswith(wrapper) for name in weights):
            break
        weights = {name.removeprefix(wrapper): value for name, value in weights.items()}
        removed.append(wrapper)
    if not removed:
        return found
    logger.info("the weights are taken from inside %s", "".join(removed))
    return weights


def check_nothing_beside(source: Path, read: Iterable[Path]) -> None:
    """Refuse a folder that holds tensors which are not read: a head, a projector or an adapter
    beside the weights makes another policy of them than was trained.

    Raises:
        ValueError: names what is not read.
    """
    if not source.is_dir():
        return
    taken = {path.resolve() for path in read}
    beside = [
        path.relative_to(source).as_posix()
        for path in sorted(source.rglob("*"))
        if path.suffix in TENSOR_FILES
        and path.resolve() not in taken
        and not path.name.startswith(_OF_TRAINING)
    ]
    if not beside:
        return
    adapters = [path for path in source.rglob("adapter_config.json") if _is_lora(path)]
    way = "merge the LoRA adapter into the weights first" if adapters else "it would be left out"
    more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
    raise ValueError(
        f"{source.name} holds {', '.join(beside[:3])}{more} beside the weights, which is not read "
        f"here and makes another policy of them: {way}"
    )


def _is_state(name: str) -> bool:
    return name.partition(".")[0] in _STATES


def _is_lora(path: Path) -> bool:
    try:
        values: Any = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(values, dict) and str(values.get("peft_type", "LORA")).upper() == "LORA"
