"""What goes over the line: JSON whose arrays are `{"dtype", "shape", "data"}`, data in base64.

A row's place in a dream is a *state*, named by whoever asks; a step leads from one to
another. The same step asked twice is done once: an answer that got lost can be asked for again.

    GET    /v1/world_model          what it is: sizes of latents, chunks and actions; from a
                                    checkpoint also image_size, hash, name, task, starts and
                                    normalization {q01, q99, mask} of actions, as far as known
    POST   /v1/sessions             {anchored, noise}                          -> {session}
    POST   /v1/sessions/ID/open     {states, frames, seeds}                    -> {latents}
    POST   /v1/sessions/ID/step     {states, to, actions, seeds, denoising_steps}
                                                                               -> {latents, frames}
    POST   /v1/sessions/ID/decode   {latents}                                  -> {frames}
    DELETE /v1/sessions/ID                                                     -> {}

`states`, `to`: b names of up to 64 characters. `frames`: uint8 [b, h, w, 3] or [b, k, h, w, 3].
`seeds`: b whole numbers below 2**64, of the row's noise. `actions`: float32 [b, k, a], normalised
to [-1, 1]. `latents`: float32 [b, z, y, x] or [b, k, z, y, x].

Errors: {"error": a sentence} with 400 (the question), 401 (no token), 404 (no such session), 410 (a
state that is gone), 413 (too large), 503 (others are computing: ask again).
"""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Arrays = Mapping[str, Any]
DTYPES = ("uint8", "float32")


def pack(tensor: Tensor) -> dict[str, Any]:
    """A tensor as plain values."""
    array = np.ascontiguousarray(tensor.detach().cpu().numpy())
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def unpack(message: Mapping[str, Any], name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """An array of a message; -1 in `shape` fits any size.

    Raises:
        ValueError: in a sentence: missing, of another kind or shape, or damaged.
    """
    found = message.get(name)
    if not isinstance(found, dict) or found.get("dtype") != dtype:
        raise ValueError(f"{name} must be an array of {dtype}")
    sizes, data = found.get("shape"), found.get("data")
    fits = (
        isinstance(sizes, list)
        and len(sizes) == len(shape)
        and all(type(size) is int and size >= 0 for size in sizes)
        and all(want in (-1, size) for want, size in zip(shape, sizes, strict=True))
    )
    if not fits or not isinstance(sizes, list):
        told = " x ".join("any" if size < 0 else str(size) for size in shape)
        raise ValueError(f"{name} must have the shape {told}, not {sizes!s:.60}")
    try:
        raw = base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{name} is not base64") from error
    kind: npt.DTypeLike = np.dtype(dtype)
    if len(raw) != math.prod(sizes) * np.dtype(kind).itemsize:
        raise ValueError(f"{name} has {len(raw)} bytes, which is not its shape")
    return torch.from_numpy(np.frombuffer(raw, kind).reshape(sizes).copy())


def names(message: Mapping[str, Any], name: str, count: int | None = None) -> list[str]:
    """Names of states, each once.

    Raises:
        ValueError: in a sentence.
    """
    found = message.get(name)
    if not isinstance(found, list) or not all(
        isinstance(each, str) and 0 < len(each) <= 64 for each in found
    ):
        raise ValueError(f"{name} must be a list of names of up to 64 characters")
    if not found or (count is not None and len(found) != count):
        raise ValueError(f"{name} must be {count or 'one or more'} names, not {len(found)}")
    return found


def seeds(message: Mapping[str, Any], count: int) -> list[torch.Generator]:
    """A generator of each row's noise.

    Raises:
        ValueError: in a sentence.
    """
    found = message.get("seeds")
    if not isinstance(found, list) or len(found) != count:
        raise ValueError(f"seeds must be {count} whole numbers")
    if not all(type(seed) is int and 0 <= seed < 2**64 for seed in found):
        raise ValueError("seeds must be whole numbers from 0 to 2**64 - 1")
    return [torch.Generator().manual_seed(seed) for seed in found]
