"""A checkpoint is a directory: safetensors, config.json, card.json, manifest (design.md §9)."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.checkpoints.tensor_files import Shape, open_tensors, stored_files
from engine.ranks import leads, like, whole
from engine.records.manifest import verify_manifest

WEIGHTS = "model.safetensors"
STATE = "state.safetensors"
T = TypeVar("T")


def write_model(
    directory: Path,
    model: nn.Module,
    config: Mapping[str, Any],
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Put a model's weights, config and card into a directory being filled.

    Args:
        config: role and sizes, from which `engine.loading.models` builds the module again.
        card: data, seeds, code version, metrics, lineage.
        half: store floating weights as float16 (for shipped checkpoints).
    """
    write_weights(directory, model.state_dict(), config, card, half=half)


def write_weights(
    directory: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """`write_model` of weights as they are to be loaded."""
    weights = {
        name: whole(tensor.half() if half and tensor.is_floating_point() else tensor)
        for name, tensor in state.items()
    }
    if leads():
        save_file(weights, directory / WEIGHTS)
    write_json(directory / "config.json", config)
    write_json(directory / "card.json", card)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as readable JSON."""
    path.write_text(json.dumps(values, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read what `write_json` wrote."""
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def export_model(source: Path, directory: Path, card: Mapping[str, Any]) -> None:
    """Put a checkpoint as half precision, without training state, into a directory being filled."""
    verify_manifest(source)
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(source / WEIGHTS).items()
    }
    save_file(weights, directory / WEIGHTS)
    for path in source.glob("*.json"):
        if path.name not in ("card.json", "manifest.json", "progress.json"):
            shutil.copy(path, directory / path.name)
    write_json(directory / "card.json", card)


def read_config(directory: Path) -> dict[str, Any]:
    """A checkpoint's config, after its manifest was checked.

    Raises:
        ValueError: not a checkpoint directory, or one that is incomplete or changed.
    """
    if not directory.is_dir():
        raise ValueError(f"there is no checkpoint directory {directory}")
    verify_manifest(directory)
    if not (directory / "config.json").is_file():
        raise ValueError(f"{directory.name} has no config.json: it is not a model's checkpoint")
    return read_json(directory / "config.json")


def read_role(directory: Path) -> object:
    """What a checkpoint says it is; nothing is checked, so that only its reader has to.

    Raises:
        ValueError: not a model's checkpoint.
    """
    path = directory / "config.json"
    return read_json(path).get("role") if path.is_file() else read_config(directory).get("role")


def read_config_of(directory: Path, role: str) -> dict[str, Any]:
    """The config of a checkpoint that must have a role, without it.

    Raises:
        ValueError: as `read_config`, or a checkpoint of another role.
    """
    values = read_config(directory)
    found = values.pop("role", None)
    if found != role:
        raise ValueError(f"{directory.name} is a checkpoint of role {found!r}, not a {role}")
    return values


def load_weights(
    directory: Path,
    model: nn.Module,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    exact: str = "",
) -> None:
    """Load `model.safetensors` or its shards strictly, tensor by tensor.

    The model's tensors are replaced: it may have been built on the meta device, and nothing is
    held twice. Parameters become `dtype`, buffers keep their own.

    Args:
        exact: parameters whose names begin so stay float32.

    Raises:
        ValueError: an unreadable file, or names or shapes that do not fit the module (eight are
            named).
    """
    with open_tensors(stored_files(directory, "model")) as stored:
        own = model.state_dict()
        check_shapes(
            f"{directory.name} does not fit its config",
            {name: tensor.shape for name, tensor in stored.items()},
            {name: tuple(tensor.shape) for name, tensor in own.items()},
        )
        kinds = {name: tensor.dtype for name, tensor in own.items()}
        kinds |= {
            name: torch.float32 if exact and name.startswith(exact) else dtype
            for name, _ in model.named_parameters()
        }
        # A copy, so that no weight stays tied to a file that may go.
        weights = {
            name: tensor.load().to(device, kinds[name], copy=True)
            for name, tensor in stored.items()
        }
    model.load_state_dict(weights, strict=True, assign=True)


def check_shapes(
    sentence: str,
    found: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    *,
    optional: Mapping[str, Shape] | None = None,
) -> None:
    """Account for every tensor by name and shape.

    Args:
        sentence: opens the error.
        optional: may be absent, but has this shape.

    Raises:
        ValueError: unexpected, missing or misshapen tensors; eight are named.
    """
    known = {**(optional or {}), **expected}
    wrong = [f"{name} is unexpected" for name in sorted(set(found) - set(known))]
    wrong += [f"{name} is missing" for name in sorted(set(expected) - set(found))]
    wrong += [
        f"{name} is {list(found[name])}, not {list(known[name])}"
        for name in sorted(set(known) & set(found))
        if found[name] != known[name]
    ]
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise ValueError(f"{sentence}: {'; '.join(wrong[:8])}{more}")


def write_state(
    directory: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    average: Mapping[str, Tensor] | None = None,
    progress: Mapping[str, Any],
) -> None:
    """Put what a job needs to go on into a directory being filled: no generator state.

    Frozen parameters are as their checkpoint had them. Where processes learn together all have to
    call this, and the leading one writes.
    """
    tensors = {f"model.{name}": whole(t) for name, t in learnt_state(model).items()}
    tensors |= {f"average.{name}": whole(t) for name, t in (average or {}).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": whole(torch.as_tensor(t)) for name, t in state.items()
        }
    if leads():
        save_file(tensors, directory / STATE)
    write_json(directory / "progress.json", progress)


@runtime_checkable
class Stateful(Protocol):
    """A module, or what is like one."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool) -> Any: ...


def learnt_state(model: Stateful) -> dict[str, Tensor]:
    """A module's state but for frozen parameters."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: t for name, t in model.state_dict().items() if name not in frozen}


def load_learnt(model: Stateful, state: Mapping[str, Tensor]) -> None:
    """Put into a module what `learnt_state` gave of one like it.

    Raises:
        ValueError: tensors that are missing, or for which it has no place.
    """
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or set(missing) & set(learnt_state(model)):
        raise ValueError("the training state is of another model, or of other adapters")


def read_state(
    directory: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    average: dict[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Restore what `write_state` wrote, in place; returns the progress values.

    Raises:
        ValueError: incomplete or changed files.
    """
    verify_manifest(directory)
    own = model.state_dict()
    parameters = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    states: dict[int, dict[str, Tensor]] = {}
    with open_tensors([directory / STATE]) as stored:
        load_learnt(
            model,
            {
                name: like(tensor.load(), own[name]) if name in own else tensor.load()
                for name, tensor in _below("model.", stored).items()
            },
        )
        if average is not None:
            for name, tensor in _below("average.", stored).items():
                average[name].copy_(like(tensor.load(), average[name]))
        for name, tensor in _below("optimizer.", stored).items():
            index, key = name.split(".", 1)
            value = tensor.load()
            if value.ndim:  # of each weight, not of the step
                value = like(value, parameters[int(index)])
            states.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": states, "param_groups": groups})
    return read_progress(directory)


def read_progress(directory: Path) -> dict[str, Any]:
    """The progress values that `write_state` wrote."""
    progress: dict[str, Any] = json.loads((directory / "progress.json").read_text())
    return progress


def _below(prefix: str, tensors: Mapping[str, T]) -> dict[str, T]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
