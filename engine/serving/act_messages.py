"""What a robot asks and is answered: JSON, with arrays as json-numpy writes them.

As OpenVLA's servers have it: `{"image": …, "instruction": …}`, or the same as one text under
`encoded`; an array is `{"__numpy__": base64, "dtype": "|u1", "shape": [h, w, 3]}` or plain lists.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IMAGES = ("image", "full_image")
LONGEST_INSTRUCTION = 2_000
LARGEST_SIDE = 4_096


class AskedWrongError(ValueError):
    """A request that cannot be answered: one sentence."""


@dataclass(frozen=True)
class Asked:
    """A picture [h, w, 3] and a command; `encoded` is how the answer is wanted."""

    image: npt.NDArray[np.uint8]
    instruction: str
    encoded: bool


def parse_asked(body: bytes) -> Asked:
    """The question in a request's body.

    Raises:
        AskedWrongError: no JSON, a missing field, or no picture.
    """
    values = _json(body)
    encoded = "encoded" in values
    if encoded:
        values = _json(str(values["encoded"]).encode())
    name = next((name for name in IMAGES if name in values), None)
    if name is None:
        raise AskedWrongError(f"the field image is missing: {', '.join(values) or 'nothing'} came")
    if "instruction" not in values:
        raise AskedWrongError("the field instruction is missing")
    instruction = values["instruction"]
    if not isinstance(instruction, str) or len(instruction) > LONGEST_INSTRUCTION:
        raise AskedWrongError(f"instruction must be a text of up to {LONGEST_INSTRUCTION} letters")
    return Asked(_picture(values[name], name), instruction, encoded)


def answer_of(actions: npt.NDArray[np.float32], asked: Asked) -> bytes:
    """The chunk [k, a] as JSON."""
    plain = json.dumps(
        {
            "__numpy__": base64.b64encode(np.ascontiguousarray(actions).tobytes()).decode(),
            "dtype": np.lib.format.dtype_to_descr(actions.dtype),
            "shape": list(actions.shape),
        }
    )
    return json.dumps(plain).encode() if asked.encoded else plain.encode()


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AskedWrongError(f"the request is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise AskedWrongError("the request must be a JSON object")
    return values


def _picture(value: Any, name: str) -> npt.NDArray[np.uint8]:
    try:
        array = _array(value) if isinstance(value, dict) else np.asarray(value)
    except (ValueError, TypeError, KeyError) as error:
        raise AskedWrongError(f"{name} is no array: {error}") from error
    if array.dtype.kind == "i" and array.size and array.min() >= 0 and array.max() <= 255:
        array = array.astype(np.uint8)  # plain lists
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise AskedWrongError(
            f"{name} must be uint8 [h, w, 3], not {array.dtype} {list(array.shape)}"
        )
    if not 0 < max(array.shape[:2]) <= LARGEST_SIDE or not min(array.shape):
        raise AskedWrongError(f"{name} has {array.shape[0]}×{array.shape[1]} pixels")
    return array


def _array(value: Mapping[str, Any]) -> npt.NDArray[Any]:
    kind, shape = str(value["dtype"]), tuple(int(side) for side in value["shape"])
    if kind not in ("|u1", "u1", "uint8"):
        raise ValueError(f"pictures are uint8, not {kind}")
    data = base64.b64decode(value["__numpy__"], validate=True)
    if any(side < 0 for side in shape) or int(np.prod(shape)) != len(data):
        raise ValueError(f"{len(data)} bytes are no array {list(shape)}")
    return np.frombuffer(data, np.uint8).reshape(shape)
